"""The tables of a recipe in, the plugins that a run of it uses out: of its components, and all that listen to runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from voxcli.errors import PluginError
from voxcli.plugins.find import hooks_of
from voxcli.recipe.schema import COMPONENT_SECTIONS

if TYPE_CHECKING:
    from voxcli.plugins.manager import Manager, Plugin

RUN_HOOKS = ("vox_run_start", "vox_run_log", "vox_run_checkpoint", "vox_run_end")
DEFAULT_BACKEND = "accelerate"


def named(tables: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(kind, name) of every component that the tables name, those of stages too, each once."""
    found = dict.fromkeys(_named(tables))
    for stage in _tables(tables.get("stage")):
        found |= dict.fromkeys(_named(stage))
    if not any(kind == "backend" for kind, _ in found):
        found["backend", DEFAULT_BACKEND] = None
    return list(found)


def plugins(tables: Mapping[str, Any], loaded: Manager, *, tasks: Iterable[str] | None = None) -> list[Plugin]:
    """The plugins that a run uses, by name. `tasks`: of its models, where they are known already; else the classes of
    the models are asked.

    Raises `PluginError` for a component that nothing installed brings.
    """
    asked = named(tables)
    if tasks is None:
        tasks = [task for kind, name in asked if kind == "model" and (task := _task(loaded, name))]
    asked += [("task", name) for name in tasks]
    distributions = {loaded.registry.find(kind, name).distribution for kind, name in asked}
    used = [one for one in loaded.plugins if one.distribution in distributions and one.state == "ok"]
    used += [one for one in loaded.plugins if one not in used and listens(one)]
    return sorted(used, key=lambda one: (one.distribution, one.name))


def listens(plugin: Plugin) -> bool:
    """Whether it hears of every run, whatever the recipe names."""
    return plugin.state == "ok" and any(hook in RUN_HOOKS for hook in hooks_of(plugin))


def _named(tables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section, kind in COMPONENT_SECTIONS.items():
        for table in _tables(tables.get(section)):
            if isinstance(name := table.get("type"), str):
                yield kind, name


def _tables(found: Any) -> list[Mapping[str, Any]]:
    every = found if isinstance(found, list) else [found]
    return [one for one in every if isinstance(one, Mapping)]


def _task(loaded: Manager, model: str) -> str:
    try:
        return str(getattr(loaded.registry.load("model", model), "task", ""))
    except PluginError:
        raise
    except Exception as error:  # a plugin's class: anything may come out of it
        raise PluginError(f"model '{model}' fails: {type(error).__name__}: {error}") from error
