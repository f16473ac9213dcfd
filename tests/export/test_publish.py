"""An export with its card, uploaded to a hub on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import Hub

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

RECIPE = """
    name = "mine"

    [[data]]
    type = "manifest"
    path = "{root}/data/manifest.csv"

    [text]
    language = "en-GB"

    [model]
    type = "ctc"
    checkpoint = "{root}/ctc"

    [train]
    max_steps = 1
    batch_duration = 10.0
    use_cpu = true
"""


@pytest.fixture
def project(vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    made = vox_project()
    made.write({"mine.toml": RECIPE.format(root=made.path)})
    made.speech("data", splits={"train": 4, "validation": 2, "test": 2})
    tiny_ctc(made.path / "ctc")
    made.run("train", "mine.toml").assert_ok()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return made


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Hub]]:
    made: list[Hub] = []

    def start(**settings: bool) -> Hub:
        made.append(Hub(**settings))
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", made[-1].address)
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_a_run_is_uploaded_with_its_card(project: Project, hub: Callable[..., Hub]) -> None:
    project.run("evaluate", "runs/mine").assert_ok()
    there = hub()
    result = project.run("export", "runs/mine", "--to", "merged", "--push", "ada/mine", "--private").assert_ok()
    assert f"uploaded    {there.address}/ada/mine" in result.out
    assert there.made[0].items() >= {"name": "mine", "organization": "ada", "visibility": "private"}.items()
    folder = project.path / "runs/mine/export/merged-step-000001"
    assert there.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    card = there.files["README.md"].decode()
    assert "language: en\n" in card
    assert "pipeline_tag: automatic-speech-recognition\n" in card
    assert "base_model: ctc\n" in card
    assert "type: wer\n" in card, "the scores of the evaluation"
    assert "- train: 4 utterances" in card
    assert 'path = "manifest.csv"' in card
    assert str(project.path) not in card, "nobody's folders"
    assert "hf_secret" not in card


def test_a_card_without_an_evaluation(project: Project) -> None:
    project.run("export", "runs/mine", "--to", "merged", "--out", "plain").assert_ok()
    card = Path(project.path / "plain/README.md").read_text()
    assert "# mine\n" in card
    assert "model-index" not in card


def test_what_the_hub_does_not_take_stays_here(project: Project, hub: Callable[..., Hub]) -> None:
    hub(refuses=True)
    result = project.run("export", "runs/mine", "--to", "merged", "--out", "plain", "--push", "ada/mine").assert_code(1)
    assert "plain could not be uploaded to ada/mine: " in result.err
    assert "hf upload ada/mine plain ." in result.err
    assert (project.path / "plain/model.safetensors").is_file()


def test_what_is_wrong_before_anything_is_written(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    result = project.run("export", "runs/mine", "--to", "merged", "--push", "a/b/c").assert_code(2)
    assert "--push ada/whisper-tr" in result.err
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    result = project.run("export", "runs/mine", "--to", "merged", "--push", "ada/mine").assert_code(1)
    assert "no token of the hub is here" in result.err
    assert not (project.path / "runs/mine/export").exists()
