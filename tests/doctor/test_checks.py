"""What every check of voxcli keeps to: its file, its code, its name, its docstring."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

import voxcli.doctor.checks as folder
from voxcli.doctor.context import CODES
from voxcli.doctor.known import LETTERS, known, unusable
from voxcli.findings import Check
from voxcli.plugins.builtin_checks import CHECKS
from voxcli.plugins.manager import Manager
from voxcli.recipe.explained import EXPLAINED

FOLDER = Path(folder.__file__).parent
ARITHMETIC = {0.01, 0.5, *range(21), 60, 100, 1000, 1024, 3600, 8000}  # 8000 Hz: a telephone's rate
PARAGRAPHS = ("Why:", "Repair:", "Sources:")


def builtin() -> Manager:
    made = Manager()
    made.load_builtin()
    return made


BUILTIN = builtin()
EVERY = known(BUILTIN)


def parameters() -> list[object]:
    return [pytest.param(check, id=one.name) for check, one in EVERY]


def file_of(check: Check) -> Path:
    return Path(inspect.getfile(type(check)))


def test_every_registered_check_can_be_used():
    assert unusable(loaded=BUILTIN) == []
    assert {one.name for _, one in EVERY} == set(CHECKS)


def test_codes_and_names_are_given_once():
    codes = Counter([check.code for check, _ in EVERY] + list(EXPLAINED))
    names = Counter([check.name for check, _ in EVERY] + [one.name for one in EXPLAINED.values()])
    assert [code for code, count in codes.items() if count > 1] == []
    assert [name for name, count in names.items() if count > 1] == []


def test_codes_of_what_cannot_be_opened_are_explained():
    assert set(CODES.values()) <= {check.code for check, _ in EVERY}


def test_problems_of_recipes_that_are_reported_are_explained():
    source = Path(folder.__file__).parents[2] / "recipe"
    told = {
        code for path in source.glob("*.py") for code in re.findall(r'"(R0\d\d)"', path.read_text(encoding="utf-8"))
    }
    assert told == set(EXPLAINED)


@pytest.mark.parametrize("check", parameters())
def test_a_check_says_what_it_is(check: Check):
    registered = next(one.name for other, one in EVERY if other is check)
    assert check.code == registered
    assert re.fullmatch(r"[A-Z]\d{3}", check.code)
    assert LETTERS[check.code[0]] == check.about, "its letter is that of another group"
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.name)
    assert isinstance(check, Check)
    assert isinstance(getattr(check, "before_training", False), bool)


@pytest.mark.parametrize("check", parameters())
def test_its_docstring_explains_it(check: Check):
    text = inspect.getdoc(type(check)) or ""
    first, *paragraphs = text.split("\n\n")
    assert first.endswith("."), "the first paragraph is a sentence: what is wrong"
    assert not first.startswith(PARAGRAPHS)
    begun = [one.split(" ", 1)[0] for one in paragraphs if one.startswith(PARAGRAPHS)]
    assert begun == list(PARAGRAPHS), "then Why:, Repair:, Sources:, in this order"
    for paragraph in paragraphs:
        assert len(paragraph.split(":", 1)[-1].strip()) > 10, f"{paragraph} says nothing"


@pytest.mark.parametrize("check", parameters())
def test_it_has_a_file_of_its_own(check: Check):
    path = file_of(check)
    assert path.parent.name == check.about
    assert path.parent.parent == FOLDER
    others = [other.code for other, _ in EVERY if file_of(other) == path and other is not check]
    assert others == []


@pytest.mark.parametrize("check", parameters())
def test_its_figures_stand_with_their_sources(check: Check):
    """A number that is compared with is a name of `thresholds`; halves, few of something and units are arithmetic."""
    found = []
    for node in ast.walk(ast.parse(file_of(check).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Compare):
            continue
        for part in node.comparators:
            value = part.value if isinstance(part, ast.Constant) else None
            if isinstance(value, int | float) and value not in ARITHMETIC:
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert found == []


def test_every_threshold_says_what_it_is():
    tree = ast.parse((FOLDER / "thresholds.py").read_text(encoding="utf-8"))
    bare = []
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        said = after.value if isinstance(after, ast.Expr) else None
        if not isinstance(said, ast.Constant) or len(str(said.value)) < 2:
            bare.append(ast.unparse(node))
    assert bare == []


def test_no_file_is_forgotten():
    files = {path for path in FOLDER.glob("*/*.py") if path.name != "__init__.py"}
    used = {file_of(check) for check, _ in EVERY}
    for path in sorted(files - used):  # what several checks of a folder share has no check of its own
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not [
            node.name
            for node in tree.body
            if isinstance(node, ast.ClassDef) and any("code" in ast.unparse(inner).split("=")[0] for inner in node.body)
        ], f"{path.name} holds a check that is not registered"
