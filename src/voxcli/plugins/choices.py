"""What a person has chosen for plugins: those that never run, and those that run although nobody asked for them.

Kept in `$VOX_CONFIG/plugins.json`, by names of distributions or as "distribution:plugin": anybody may give an entry
point the name of another. `VOX_DISABLE_PLUGINS` is for one command, wins, and takes names of plugins too.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from voxcli.errors import PluginError
from voxcli.folders import config_folder
from voxcli.plugins import stored

log = logging.getLogger(__name__)

DISABLE_VARIABLE = "VOX_DISABLE_PLUGINS"  # comma-separated names, or "all"
FILE = "plugins.json"

_said: set[Path] = set()


def path() -> Path:
    """Where the choices are kept."""
    return config_folder() / FILE


def disabled() -> frozenset[str]:
    """Names that `disable` was given, as `same` writes them."""
    return _names("disabled")


def enabled() -> frozenset[str]:
    """Names that `enable` was given, as `same` writes them."""
    return _names("enabled")


def disabled_now() -> frozenset[str]:
    """Names in `VOX_DISABLE_PLUGINS`; "all" is one of them."""
    given = os.environ.get(DISABLE_VARIABLE, "").split(",")
    return frozenset(same(name) for name in given if name.strip())


def disable(*names: str) -> None:
    """Never run these plugins. Raises `PluginError` where that cannot be written down."""
    _choose(names, "disabled", "enabled")


def enable(*names: str) -> None:
    """Run these plugins: take back what `disable` did, and run them where they came as a dependency.

    Raises `PluginError` where that cannot be written down.
    """
    _choose(names, "enabled", "disabled")


def same(name: str) -> str:
    """A name as indexes compare it: Vox_LM is vox-lm (packaging.python.org, "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def key(distribution: str, plugin: str) -> str:
    """What stands for one plugin of a distribution."""
    return f"{same(distribution)}:{same(plugin)}"


def _choose(names: tuple[str, ...], into: str, out_of: str) -> None:
    def edit(content: dict[str, Any]) -> None:
        chosen = {same(name) for name in names}
        content[into] = sorted(_listed(content, into) | chosen)
        content[out_of] = sorted(_listed(content, out_of) - chosen)

    try:
        stored.change(path(), edit)
    except OSError as error:
        raise PluginError(
            f"{path()} cannot be written: {error.strerror or error}",
            help=f"the environment variable VOX_CONFIG names another folder; {DISABLE_VARIABLE} works without a file",
        ) from error


def _names(which: str) -> frozenset[str]:
    place = path()
    try:
        return frozenset(_listed(stored.read(place), which))
    except (OSError, ValueError) as error:
        if place not in _said:
            _said.add(place)
            log.warning("%s cannot be read, so no plugin counts as disabled or enabled: %s", place, error)
        return frozenset()


def _listed(content: dict[str, Any], which: str) -> set[str]:
    found = content.get(which)
    return {same(one) for one in found if isinstance(one, str)} if isinstance(found, list) else set()
