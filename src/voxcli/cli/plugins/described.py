"""A plugin, a distribution or a component -> all that is known of it, as `vox plugins info --json` prints it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import voxcli
from voxcli.errors import PluginError

if TYPE_CHECKING:
    from voxcli.plugins.manager import Manager, Plugin
    from voxcli.plugins.registry import Registration


def distribution(group: Sequence[Plugin], loaded: Manager, *, keys: bool) -> dict[str, Any]:
    """The distribution of these plugins, which are all that it brings, or their file. `keys`: of components too."""
    from voxcli.plugins import contents
    from voxcli.plugins.locking import is_builtin
    from voxcli.plugins.provenance import provenance

    first = group[0]
    if first.file is not None:
        found: dict[str, Any] = {
            "distribution": first.file.name,
            "version": "",
            "code": str(first.file.resolve()),
            "hash": contents.hash_of(first),
        }
    else:
        try:
            found = provenance(first.distribution)
        except PackageNotFoundError:  # voxcli itself, run from a folder
            found = {"distribution": first.distribution, "version": first.version}
        if is_builtin(first):
            found |= {"code": str(Path(voxcli.__file__).parent), "hash": ""}
    return {**found, "plugins": [plugin(one, loaded, keys=keys) for one in group]}


def plugin(one: Plugin, loaded: Manager, *, keys: bool) -> dict[str, Any]:
    """One plugin: its state, what it brings, and what it does when it is imported."""
    from voxcli.plugins import known
    from voxcli.plugins.find import hooks_of

    look = one.look
    found: dict[str, Any] = {
        "name": one.name,
        "module": one.target,
        "state": one.state,
        "reason": one.reason,
        "place": one.failure.place if one.failure is not None else "",
        "help": (one.failure.help if one.failure is not None else "") or known.repair_of(one),
        "import_seconds": round(look.seconds if look is not None else one.import_seconds, 4),
        "api_version": look.api_version if look is not None else None,
        "heavy": [asdict(each) for each in look.heavy] if look is not None else [],
        "printed": look.printed if look is not None else "",
        "patched": list(look.patched) if look is not None else [],
        "hooks": list(hooks_of(one)),
        "commands": dict(look.commands) if look is not None else {},
        "misfits": [asdict(each) for each in look.misfits] if look is not None else [],
    }
    registered = [each for each in loaded.registry if each.distribution == one.distribution]
    if look is not None:  # a distribution may bring several plugins
        own = {(each.kind, each.name) for each in look.components}
        registered = [each for each in registered if (each.kind, each.name) in own]
    if one.state == "ok" and registered:
        rows = [component(each, loaded, keys=keys and each.kind != "check") for each in registered]
    else:
        rows = [asdict(each) for each in look.components] if look is not None else []
    return {**found, "components": rows}


def component(one: Registration, loaded: Manager, *, keys: bool) -> dict[str, Any]:
    """One component; with its keys, its class is imported."""
    found: dict[str, Any] = {
        "kind": one.kind,
        "name": one.name,
        "distribution": one.distribution,
        "version": one.version,
        "target": one.target,
        "summary": one.summary,
    }
    return {**found, **_class(one, loaded)} if keys else found


def _class(one: Registration, loaded: Manager) -> dict[str, Any]:
    """What the class says of itself; why it cannot be imported, where it cannot."""
    from voxcli.recipe.component_keys import about, keys_of

    try:
        cls = loaded.registry.load(one.kind, f"{one.distribution}/{one.name}")
        rows = [asdict(key) for key in keys_of(cls)]
    except PluginError as error:
        return {"error": error.message}
    except Exception as error:  # third-party code: pydantic reads its annotations
        return {"error": f"its keys cannot be read: {type(error).__name__}: {error}"}
    return {"about": about(cls), "file": _file(cls), "keys": rows}


def _file(cls: type) -> str:
    try:
        return f"{inspect.getfile(cls)}:{inspect.getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return ""
