"""The distributions in plugins/: each is whole, installed beside voxcli, loads, and is tested by the same command."""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))


def test_the_main_test_command_runs_their_tests() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "plugins" in settings["tool"]["pytest"]["ini_options"]["testpaths"]
    assert FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_plugin_is_whole_and_loads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.plugins.manager import forget, manager

    monkeypatch.setattr("voxcli.plugins.manager.entry_points", entry_points)
    forget()
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == folder.name
    assert (folder / project["readme"]).read_text(encoding="utf-8").startswith(f"# {folder.name}\n")
    assert list((folder / "tests").glob("test_*.py"))
    (name,) = project["entry-points"]["voxcli"]
    installed = {point.name for point in entry_points(group="voxcli")}
    assert name in installed, f"`make install` installs {folder.name} beside voxcli"
    (loaded,) = (plugin for plugin in manager().plugins if plugin.name == name)
    assert (loaded.state, loaded.reason, loaded.version) == ("ok", "", project["version"])
    assert not list(manager().misfits())
    forget()
