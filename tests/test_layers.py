"""Who may import whom, from the syntax tree: nothing imports upward, and light modules stay light.

0 errors api findings predictions progress sample   1 plugins   2 recipe   3 components   4 audio text data …   5 cli
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

import voxcli

PACKAGE = Path(voxcli.__file__).parent
LAYERS = [
    {"errors", "alphabet", "api", "findings", "folders", "others", "predictions", "progress", "protocols", "sample"},
    {"plugins"},
    {"recipe"},
    {"datasets", "augment", "models", "tasks", "decoders", "backends", "engines", "exporters", "doctor/checks"},
    {
        "align",
        "audio",
        "text",
        "data",
        "memory",
        "pretraining",
        "train",
        "evaluate",
        "export",
        "features",
        "preview",
        "transcribe",
        "classify",
        "doctor",
        "suggest",
        "survey",
    },
    {"checkpoints", "cli", "contract", "testing", "testing_audio", "testing_models", "__main__"},
]
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names}
COMPONENTS = 3
HEAVY = {
    "torch", "transformers", "numpy", "datasets", "pydantic", "rich", "soundfile", "soxr", "peft", "accelerate",
    "bitsandbytes", "pyarrow", "jiwer", "av", "safetensors", "scipy", "pandas",
}  # fmt: skip

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def part(path: Path) -> str:
    """src/voxcli/recipe/load.py -> recipe; the checks of the doctor are components"""
    parts = path.relative_to(PACKAGE).parts
    return "doctor/checks" if parts[:2] == ("doctor", "checks") else parts[0].removesuffix(".py")


def imports(tree: ast.AST, *, top_level: bool) -> Iterator[tuple[int, str]]:
    """(line, module) of every import that runs; those for type checkers do not run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            yield node.lineno, node.module or ""
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
        elif not (top_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            yield from imports(node, top_level=top_level)


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


PARTS = sorted({part(path) for path in MODULES})


def of(name: str) -> list[Path]:
    return [path for path in MODULES if part(path) == name]


@pytest.mark.parametrize("name", PARTS)
def test_every_part_has_a_layer(name):
    assert name in LAYER


@pytest.mark.parametrize("name", [name for name in PARTS if LAYER.get(name) != COMPONENTS + 1])
def test_light_modules_stay_light(name):
    """Layers 0 to 3, and the command line, import libraries inside functions only."""
    found = [
        f"{ids(path)}:{line} imports {heavy} at module level"
        for path in of(name)
        for line, heavy in imports(parsed(path), top_level=True)
        if heavy.split(".")[0] in HEAVY
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PARTS)
def test_nothing_imports_upward(name):
    """A component may reach into layer 4 inside its methods: it describes the work that is done there."""
    level = LAYER[name]
    reach = COMPONENTS + 1 if level == COMPONENTS else level
    upward = []
    for path in of(name):
        tree = parsed(path)
        at_top = set(imports(tree, top_level=True))
        for line, imported in imports(tree, top_level=False):
            parts = imported.split(".")
            if parts[:3] == ["voxcli", "doctor", "checks"]:
                parts[1] = "doctor/checks"
            if parts[0] != "voxcli" or len(parts) < 2 or parts[1] not in LAYER:
                continue
            allowed = level if (line, imported) in at_top and level == COMPONENTS else reach
            if LAYER[parts[1]] > allowed:
                upward.append(f"{ids(path)}:{line} imports {imported}, which is above it")
    assert not upward, "\n".join(upward)


@pytest.mark.parametrize("name", [name for name in PARTS if name != "cli"])
def test_only_the_command_line_prints(name):
    calls = [
        (path, node)
        for path in of(name)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert not [f"{ids(path)}:{node.lineno}" for path, node in calls if node.func.id == "print"]


@pytest.mark.parametrize("name", PARTS)
def test_only_the_console_imports_rich(name):
    found = [
        f"{ids(path)}:{line}"
        for path in of(name)
        for line, imported in imports(parsed(path), top_level=False)
        if imported.split(".")[0] == "rich" and path.name != "console.py"
    ]
    assert not found


@pytest.mark.parametrize("name", PARTS)
def test_a_file_holds_one_idea(name):
    """The thresholds of all checks are one table, however long it is."""
    for path in of(name):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") < 400 or path.name == "thresholds.py", f"{ids(path)} is long: one idea a file"
        assert not text.strip() or ast.get_docstring(parsed(path)), f"{ids(path)} does not say what it is"
