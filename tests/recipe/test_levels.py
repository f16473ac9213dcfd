"""Every level of every task writes a recipe that resolves."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from voxcli.plugins.manager import manager
from voxcli.recipe.levels import LEVELS, with_level
from voxcli.recipe.look import look
from voxcli.recipe.resolve import resolve
from voxcli.recipe.starter import CHECKPOINTS, starter
from voxcli.testing import Project


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two utterances with a text and a label."""
    made = tmp_path_factory.mktemp("levels") / "data"
    made.mkdir()
    rows = "path,duration,text,label\na.wav,1.0,One two,yes\nb.wav,2.0,Three,no\n"
    (made / "manifest.csv").write_text(rows, encoding="utf-8")
    return made


def test_every_task_has_every_level() -> None:
    assert set(LEVELS) == set(CHECKPOINTS)
    assert all(list(levels) == ["quick", "balanced", "thorough"] for levels in LEVELS.values())


@pytest.mark.parametrize("task", LEVELS)
def test_it_resolves_and_says_what_the_level_says(task: str, folder: Path, tmp_path: Path) -> None:
    found = look(folder, manager().registry)
    for name, level in LEVELS[task].items():
        checkpoint = "here" if task == "classification" else level.checkpoint  # whose config is looked at
        if task == "classification":
            (tmp_path / "here").mkdir(exist_ok=True)
            kind = "whisper" if name == "quick" else "wav2vec2"
            (tmp_path / "here/config.json").write_text(f'{{"model_type": "{kind}"}}')
        text = with_level(starter(found, task, source=folder, out=None, checkpoint=checkpoint), task, name)
        path = tmp_path / f"{name}.toml"
        path.write_text(text, encoding="utf-8")
        recipe = resolve(path, missing="warning")
        said = tomllib.loads(text)
        assert said["extends"] == level.preset
        assert (recipe.task_name, said["model"].get("checkpoint")) == (task, checkpoint)
        for section, lines in (("train", level.train), ("model", level.model)):
            assert {key: said[section][key] for key, _, _ in lines} == {key: value for key, value, _ in lines}
        assert [one["type"] for one in said.get("augment", [])] == [table[0][1] for table in level.augment]
        assert f"# {name}: {level.about}" in text


def test_the_command(vox_project: Callable[..., Project]) -> None:
    project = vox_project()
    project.speech("data", n=4)
    written = project.run("recipe", "new", "data", "--task", "ctc", "--level", "thorough").assert_ok().out
    assert tomllib.loads(written)["train"]["ema_decay"] == 0.999
    unknown = project.run("recipe", "new", "data", "--level", "heroic").assert_code(2)
    assert "'heroic' is not one of" in unknown.err
    own = project.run("recipe", "new", "data", "--task", "ctc", "--level", "quick", "--checkpoint", "mine").assert_ok()
    assert tomllib.loads(own.out)["model"]["checkpoint"] == "mine"
