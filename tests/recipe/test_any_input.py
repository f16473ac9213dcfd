"""Whatever stands in a recipe or on the command line, it resolves or there are findings: never a traceback."""

from __future__ import annotations

import random

import pytest

from voxcli.errors import RecipeError
from voxcli.recipe import render
from voxcli.recipe.resolve import resolve

RECIPE = """
extends = "parent.toml"
unset = ["train.eval_steps"]
name = "x"
[[data]]
type = "words"
root = "recordings"
[[augment]]
type = "hum"
p = 0.5
snr_db = [1.0, 2.0]
[text]
replace = { "&" = " and " }
[model]
type = "tiny"
checkpoint = "someone/tiny"
[model.config]
layers = 2
[adapter]
r = 8
[train]
max_steps = 10
batch_duration = 20.0
[evaluate]
metrics = ["wer"]
"""
VALUES = ["", "1", "-1", "true", '"a"', '""', "[1]", "[[1]]", "{ a = 1 }", "[{ a = 1 }]", "nan", "inf", "1e400"]
VALUES += ["1979-05-27", "07:32:00", "9" * 30, '["wer", 1]', '"tiny"', "'''", "{", "[", "# x"]
WORDS = ["train", "max_steps", "0", "7", "augment", "p", "data", "type", "root", "model", "config", "x", "extends"]
WORDS += ["unset", "seed", "name", "text", "replace", "evaluate", "metrics", "~", "a b", '"a.b"']


def spoilt(rng):
    lines = RECIPE.strip().split("\n")
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(lines))
        action = rng.random()
        if action < 0.2 and len(lines) > 1:
            del lines[at]
        elif action < 0.4:
            lines.insert(at, rng.choice(lines))
        elif action < 0.8 and "=" in lines[at]:
            lines[at] = f"{lines[at].partition('=')[0]}= {rng.choice(VALUES)}"
        else:
            column = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:column] + rng.choice('="[]{}.,#\n\\') + lines[at][column:]
    return "\n".join(lines) + "\n"


def argument(rng):
    key = ".".join(rng.choice(WORDS) for _ in range(rng.randint(1, 3)))
    return rng.choice([key, f"~{key}", f"{key}={rng.choice(VALUES)}", f"{key}={rng.choice(VALUES)}"])


def attempt(source, arguments):
    """(recipe, what is told about it)"""
    try:
        return resolve(source, arguments, missing="warning"), ""
    except RecipeError as error:
        return None, render.findings(error.findings, error.places)


@pytest.mark.parametrize("seed", range(3))
def test_any_recipe_and_any_override(fakes, vox_project, monkeypatch, seed):
    project = vox_project({"parent.toml": "[train]\neval_steps = 3\n"})
    monkeypatch.chdir(project.path)
    rng = random.Random(seed)
    resolved = 0
    for _ in range(100):
        text, arguments = spoilt(rng), [argument(rng) for _ in range(rng.randint(0, 1))]
        project.write({"r.toml": text})
        made, told = attempt("r.toml", arguments)
        assert (made is None) == bool(told), (text, arguments)
        if made is None:
            continue
        resolved += 1
        project.write({"again.toml": render.toml(made.tables, made.places)})
        again = resolve("again.toml", missing="warning")
        assert repr(again.tables) == repr(made.tables), (text, arguments)
    assert 5 < resolved < 95
