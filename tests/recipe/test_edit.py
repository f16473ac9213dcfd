"""An edited recipe says what was asked for, keeps everything else as it was written, and resolves."""

from __future__ import annotations

import os
import random
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from voxcli.errors import UsageError, VoxError
from voxcli.recipe import shipped
from voxcli.recipe.edit import edit
from voxcli.recipe.load import load
from voxcli.recipe.problems import Problems
from voxcli.recipe.resolve import resolve

CHILD = """\
# Turkish, read aloud
extends = "whisper-lora-int8"          # a preset
name = "tr"

[[data]]
type = "manifest"   # one file
path = "tr.csv"

[[augment]]
type = "gain"
p = 0.5

[model]
checkpoint = "base"
language = "tr"

[train]
max_steps = 100     # a hundred
batch_duration = 60.0

# what is measured
[evaluate]
metrics = [         # two
  "wer",
  "cer",
]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str = CHILD, name: str = "tr.toml") -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


def tables(path: Path, content: bytes | None = None) -> dict[str, Any]:
    problems = Problems("warning")
    values = load(path, (), problems, content=content).values
    assert not problems.errors
    return values


def lines(path: Path, changes: Mapping[str, Any], *arguments: str) -> tuple[list[str], list[str]]:
    """(lines that go, lines that come) of the difference."""
    shown = edit(path, changes, arguments).difference().splitlines()[2:]
    gone, come = ([line[1:] for line in shown if line[0] == sign] for sign in "-+")
    return gone, come


def test_a_key_is_changed_where_it_stands_and_keeps_its_comment(recipe: Callable[..., Path]) -> None:
    gone, come = lines(recipe(), {"train.max_steps": 5})
    assert gone == ["max_steps = 100     # a hundred"]
    assert come == ["max_steps = 5       # a hundred"]


def test_a_new_key_goes_into_its_table_and_not_under_the_next_comment(recipe: Callable[..., Path]) -> None:
    path = recipe()
    after = edit(path, {"train.gradient_checkpointing": False}).after.decode()
    assert "batch_duration = 60.0\ngradient_checkpointing = false\n\n# what is measured\n[evaluate]" in after
    assert edit(path, {"train.gradient_checkpointing": True}).after == path.read_bytes(), "the preset says so already"


def test_a_key_of_the_parent_is_set_in_the_child(recipe: Callable[..., Path]) -> None:
    gone, come = lines(recipe(), {"adapter.r": 16, "train.mixed_precision": "bf16"})
    assert gone == []
    assert come == ["[adapter]", "r = 16", "", 'mixed_precision = "bf16"']
    after = edit(recipe(), {"adapter.r": 16}).after.decode()
    assert after.index("[model]") < after.index("[adapter]") < after.index("[train]"), "in the usual order"


def test_an_inherited_table_is_unset(recipe: Callable[..., Path]) -> None:
    path = recipe()
    gone, come = lines(path, {"quantization": None})
    assert (gone, come) == ([], ['unset = ["quantization"]'])
    both = edit(path, {"quantization": None, "adapter": None}).after.decode()
    assert 'extends = "whisper-lora-int8"          # a preset\nunset = ["quantization", "adapter"]\n' in both
    path.write_text(both, encoding="utf-8")
    gone, come = lines(path, {"train.warmup_steps": None})
    assert come == ['unset = ["quantization", "adapter", "train.warmup_steps"]']


def test_a_table_is_replaced_whole(recipe: Callable[..., Path]) -> None:
    path = recipe()
    made = edit(path, {"quantization": {"load_in_4bit": True}})
    assert tables(path, made.after)["quantization"] == {"load_in_4bit": True}
    assert 'unset = ["quantization.load_in_8bit"]' in made.after.decode()
    fresh = recipe(CHILD.replace("whisper-lora-int8", "whisper-full"))
    gone, come = lines(fresh, {"adapter": {"r": 8, "target_modules": ["q_proj", "v_proj"]}})
    assert gone == []
    assert come == ["[adapter]", "r = 8", 'target_modules = ["q_proj", "v_proj"]', ""]


def test_a_table_of_the_file_goes_with_what_is_said_of_it(recipe: Callable[..., Path]) -> None:
    path = recipe(CHILD.replace("whisper-lora-int8", "whisper-full") + "\n# small\n# steps\n[adapter]\n# rank\nr = 8\n")
    made = edit(path, {"adapter": None}).after.decode()
    assert made.endswith("]\n")
    assert "# small" not in made
    assert "# rank" not in made
    assert "# what is measured" in made


def test_other_ways_to_write_a_table(recipe: Callable[..., Path]) -> None:
    path = recipe('train.max_steps = 1\ntrain.batch_duration = 9.0 # s\nmodel = { type = "ctc", "a=b" = 2 } # m\n')
    made = edit(path, {"train.batch_duration": 4.5, "train.optim": "sgd", "model.type": "whisper"})
    assert made.after.decode() == (
        "train.max_steps = 1\ntrain.batch_duration = 4.5 # s\n"
        'train.optim = "sgd"\nmodel = { type = "whisper", "a=b" = 2 } # m\n'
    )
    made = edit(path, {"model.type": None, "train.max_steps": None})
    assert made.after.decode() == 'train.batch_duration = 9.0 # s\nmodel = { "a=b" = 2 }               # m\n'
    quoted = recipe('[model]\n"a # b = 1" = "#" # c\n')
    assert edit(quoted, {'model."a # b = 1"': "##"}).after.decode() == '[model]\n"a # b = 1" = "##" # c\n'


def test_arguments_of_the_command_line_are_written_too(recipe: Callable[..., Path]) -> None:
    path = recipe()
    gone, come = lines(path, {"train.optim": "sgd"}, "augment.0.p=0.25", "~quantization", "evaluate.metrics=['cer']")
    assert gone == ["p = 0.5", "metrics = [         # two", '  "wer",', '  "cer",', "]"]
    assert come == [
        'unset = ["quantization"]',
        "p = 0.25",
        'optim = "sgd"',
        'metrics = ["cer"]',
    ]
    with pytest.raises(UsageError, match="extends"):
        edit(path, {}, ["extends=whisper-full"])


def test_what_cannot_be_written_is_said_and_nothing_is(recipe: Callable[..., Path]) -> None:
    path = recipe('extends = "p.toml"\n')
    recipe('[[augment]]\ntype = "gain"\np = 0.5\n', "p.toml")
    with pytest.raises(VoxError, match="cannot be changed by itself") as caught:
        edit(path, {"augment.0.p": 0.25})
    assert caught.value.help == "by hand: augment.0.p = 0.25"


def test_line_ends_byte_order_mark_mode_and_links_stay(tmp_path: Path, recipe: Callable[..., Path]) -> None:
    path = recipe()
    path.write_bytes(b"\xef\xbb\xbf" + CHILD.replace("\n", "\r\n").encode())
    path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    made = edit(link, {"train.max_steps": 5})
    assert link.read_bytes() == made.before, "nothing is written before it is asked for"
    made.write()
    expected = CHILD.replace("100 ", "5   ").replace("\n", "\r\n").encode()
    assert path.read_bytes() == b"\xef\xbb\xbf" + expected
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.toml", "tr.toml"], "no file is left beside it"


def test_a_file_that_changed_meanwhile_is_kept(recipe: Callable[..., Path]) -> None:
    path = recipe()
    made = edit(path, {"train.max_steps": 5})
    path.write_text(CHILD + "# more\n", encoding="utf-8")
    with pytest.raises(UsageError, match="changed meanwhile"):
        made.write()
    assert path.read_text(encoding="utf-8").endswith("# more\n")


def test_shipped_recipes_and_records_of_runs_are_nobodys_to_change(recipe: Callable[..., Path]) -> None:
    for one in shipped.shipped()[:1]:
        with pytest.raises(UsageError, match="shipped with voxcli"):
            edit(one.path, {"seed": 1})
    path = recipe()
    (path.parent / "lock.json").write_text("{}")
    with pytest.raises(UsageError, match="record of a run"):
        edit(path, {"seed": 1})


CHANGES: dict[str, list[Any]] = {
    "train.gradient_checkpointing": [True, False, None],
    "train.optim": ["adamw_bnb_8bit", "sgd", None],
    "train.batch_duration": [30.0, 12.5],
    "train.gradient_accumulation_steps": [1, 4, None],
    "train.mixed_precision": ["bf16", "no", None],
    "filter.max_duration": [10.0, None],
    "filter": [None, {"min_duration": 1.0}],
    "adapter": [None, {"r": 8}, {"r": 8, "target_modules": ["q_proj"]}],
    "quantization": [None, {"load_in_4bit": True, "bnb_4bit_use_double_quant": True}, {"load_in_8bit": True}],
    "model.freeze_encoder": [True, False],
    "seed": [3, None],
}


@pytest.mark.parametrize("name", [one.name for one in shipped.shipped()])
def test_any_change_of_any_shipped_recipe_says_what_was_asked_for(name: str, tmp_path: Path) -> None:
    source = next(one.path for one in shipped.shipped() if one.name == name)
    text = source.read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    rng = random.Random(name)
    for _ in range(12):
        path.write_text(text if rng.random() < 0.7 else f'extends = "{name}"\nseed = 2 # two\n', encoding="utf-8")
        for _ in range(3):
            changes = {key: rng.choice(CHANGES[key]) for key in rng.sample(sorted(CHANGES), rng.randint(1, 4))}
            if "filter" in changes:
                changes.pop("filter.max_duration", None)
            before = path.read_text(encoding="utf-8")
            made = edit(path, changes)
            made.write()
            now = tables(path)
            for key, value in changes.items():
                found: Any = now
                for part in key.split("."):
                    found = found.get(part) if isinstance(found, dict) else None
                assert found == value, (changes, made.difference())
            after = path.read_text(encoding="utf-8")
            tomllib.loads(after)
            kept = [line for line in before.splitlines() if line.startswith("#")]
            lost = set(kept) - set(after.splitlines())
            assert not lost or None in changes.values(), "comments stay"
            assert "\n\n\n" not in after
            assert not edit(path, changes).difference(), "a second time changes nothing"


def test_the_edited_recipe_can_be_resolved_before_it_is_written(recipe: Callable[..., Path]) -> None:
    path = recipe()
    made = edit(path, {"train.optim": "sgd", "quantization": None})
    now = resolve(path, missing="warning", content=made.after)
    assert (now.train.optim, now.quantization) == ("sgd", None)
    assert resolve(path, missing="warning").quantization is not None
