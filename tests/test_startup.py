"""What a command may import before it is known what it has to do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "numpy", "datasets", "pydantic", "rich", "soundfile", "peft", "pyarrow")
SCRIPT = """
import sys
from voxcli.cli.app import main
code = main(sys.argv[2:])
print("loaded:", *sorted(set(sys.argv[1].split(",")) & set(sys.modules)))
sys.exit(code)
"""


def loaded(heavy, *arguments, cwd=None):
    """The heavy modules that a command has imported when it is done."""
    environment = {**os.environ, "NO_COLOR": "1", "VOX_DISABLE_PLUGINS": "all"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, ",".join(heavy), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["plugins", "list"], ["plugins", "list", "--json"]])
def test_what_needs_no_library_imports_none(arguments):
    assert loaded(HEAVY, *arguments) == []


def test_the_metadata_of_what_is_installed_are_read_once(tmp_path, monkeypatch):
    monkeypatch.setenv("VOX_CACHE", str(tmp_path))
    assert loaded(("importlib.metadata",), "--help") == ["importlib.metadata"]
    assert loaded(("importlib.metadata", "tomllib"), "--help") == []


@pytest.mark.parametrize("arguments", [["recipe", "--help"], ["recipe", "check", "--help"], ["recipe", "list"]])
def test_help_of_a_command_imports_no_library(arguments):
    assert loaded(HEAVY, *arguments) == []


@pytest.mark.parametrize(
    "arguments", [["doctor", "--list"], ["doctor", "--list", "--json"], ["explain", "R103", "M001"]]
)
def test_checks_are_listed_and_explained_without_a_library(arguments):
    assert loaded(HEAVY, *arguments) == []


@pytest.mark.parametrize("command", ["train", "evaluate", "transcribe", "export", "doctor", "explain"])
def test_help_of_a_long_command_imports_no_library(command):
    assert loaded(HEAVY, command, "--help") == []


def test_a_recipe_is_checked_without_torch(tmp_path):
    from voxcli.recipe.shipped import find

    recipe = find("whisper_tr", prefer="recipe")
    assert recipe is not None
    assert loaded(("torch", "transformers", "numpy", "datasets", "peft"), "recipe", "check", str(recipe)) == []


def test_the_pytest_plugin_is_light():
    script = (
        "import voxcli.testing, sys; print(*sorted({'torch', 'transformers', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


def told(script: str) -> list[str]:
    """What a Python of its own prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_library_that_does_not_load_is_left_to_whoever_needs_it(tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
    script = f"""
import gc, sys
sys.path.insert(0, {str(tmp_path)!r})
from voxcli.cli import imports
imports.libraries()
print(gc.isenabled(), "torch" in sys.modules)
"""
    assert told(script) == ["True", "False"]


def test_the_libraries_are_imported_without_looking_for_garbage():
    script = """
import gc
from voxcli.cli import imports
looks = []
gc.callbacks.append(lambda phase, info: looks.append(phase))
imports.libraries()
print(len(looks), gc.isenabled(), gc.get_freeze_count() > 200_000)
frozen = gc.get_freeze_count()
imports.libraries()
print(gc.get_freeze_count() == frozen)
"""
    assert told(script) == ["0", "True", "True", "True"]
