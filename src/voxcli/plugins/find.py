"""A name that a person wrote -> the plugins that are called so, or that come from the distribution of that name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from voxcli.errors import PluginError
from voxcli.plugins import known
from voxcli.plugins.choices import same

if TYPE_CHECKING:
    from voxcli.plugins.manager import Plugin


def plugins_called(plugins: Iterable[Plugin], name: str) -> list[Plugin]:
    """Plugins whose own name, distribution or file it is. Raises `PluginError` where there is none."""
    every = list(plugins)
    found = called(every, name)
    if not found:
        raise PluginError(f"no plugin is called '{name}'", help=suggestion(every, name))
    return found


def called(plugins: Iterable[Plugin], name: str) -> list[Plugin]:
    """The same, without an error: those of the distribution first, as its name is the more exact one."""
    every, wanted = list(plugins), same(name)
    of_distribution = [one for one in every if one.file is None and same(one.distribution) == wanted]
    of_file = [one for one in every if one.file is not None and name in (str(one.file), one.file.name)]
    return of_distribution or of_file or [one for one in every if same(one.name) == wanted]


def hooks_of(plugin: Plugin) -> tuple[str, ...]:
    """The hooks that a plugin implements: by the look at it, or by its module where that is here."""
    if plugin.look is not None:
        return plugin.look.hooks
    marked = (name for name in dir(plugin.module) if hasattr(getattr(plugin.module, name, None), "voxcli_impl"))
    return tuple(marked) if plugin.module is not None else ()


def suggestion(plugins: Iterable[Plugin], name: str) -> str:
    """What may have been meant: a plugin that is installed, or one that is known."""
    names = sorted({word for one in plugins for word in (one.name, one.distribution) if one.file is None})
    published = sorted({one for distributions in known.shipped().values() for one in distributions})
    parts = []
    package = next((one for one in (same(name), f"vox-{same(name)}") if one in published), None)
    if package is not None and package not in map(same, names):
        parts.append(f"it is not installed: `vox plugins install {package}`.")
    elif close := difflib.get_close_matches(same(name), names, n=1):
        parts.append(f"did you mean `{close[0]}`?")
    parts.append(f"installed: {', '.join(names) or 'none'}")
    return " ".join(parts)
