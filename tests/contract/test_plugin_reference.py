"""docs/plugins/reference.md is what the code says of itself, and the public surface changes on purpose only."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "plugin_reference.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plugin_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_that_of_the_code(script: ModuleType) -> None:
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run: python scripts/plugin_reference.py"


def test_the_public_surface(script: ModuleType, vox_snapshot: Callable[[str, str], None]) -> None:
    """A difference is a decision: docs/plugins/compatibility.md says which release may hold it."""
    vox_snapshot(script.surface(), "api.txt")


def test_what_the_page_has_to_have(script: ModuleType) -> None:
    page = script.page()
    for name in ("vox_register", "vox_run_end", "Dataset", "Check", "Utterance", "Others", "Job", "tiny_whisper"):
        assert f"# {name}\n" in page
    assert "check_plugin(plugin: str | Path" in page
    assert "| input-changed | the clip it is given stays as it is: it is heard again |  |" in page
    assert "'" not in script.signature(script.protocols.Dataset.utterances)
