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
def test_a_plugin_is_whole_and_loads(folder: Path, first_party: None) -> None:
    from voxcli.plugins.manager import manager

    manager().wait()
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == folder.name
    assert (folder / project["readme"]).read_text(encoding="utf-8").startswith(f"# {folder.name}\n")
    assert list((folder / "tests").glob("test_*.py"))
    (name,) = project["entry-points"]["voxcli"]
    installed = {point.name for point in entry_points(group="voxcli")}
    assert name in installed, f"`make install` installs {folder.name} beside voxcli"
    (loaded,) = (plugin for plugin in manager().plugins if plugin.name == name)
    assert (loaded.state, loaded.reason, loaded.version) == ("ok", "", project["version"])
    assert manager().module(loaded) is not None
    assert loaded.look is not None
    assert (loaded.look.heavy, loaded.look.patched, loaded.look.printed) == ((), (), "")
    assert not list(manager().misfits())


def test_the_index_of_known_names_is_what_they_bring(first_party: None) -> None:
    """`known.toml` answers a name whose plugin is not installed, so it has to have every name of ours, and no other."""
    from voxcli.plugins.known import COMMAND, shipped
    from voxcli.plugins.manager import manager

    manager().wait()
    brought: dict[tuple[str, str], tuple[str, ...]] = {}
    for plugin in manager().plugins:
        if plugin.distribution not in {folder.name for folder in FOLDERS}:
            continue
        assert plugin.look is not None, f"{plugin.title}: {plugin.reason}"
        names = [(one.kind, one.name) for one in plugin.look.components if one.kind != "check"]
        names += [(COMMAND, name) for name in plugin.look.commands]
        for key in names:
            brought[key] = (*brought.get(key, ()), plugin.distribution)
    assert shipped() == brought
