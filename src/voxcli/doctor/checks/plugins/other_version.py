"""P004: plugins made for another version of voxcli."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, ClassVar

import voxcli
from voxcli.api import API_VERSION, Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.plugins.manager import Plugin


class PluginForOtherVersion:
    """A plugin was built for another version of voxcli.

    Why: pip checks requirements when it installs, not when voxcli is upgraded afterwards or installed from a checkout.
    The plugin may load and fail in the middle of a run, where a method gets other arguments than it was written for.

    Repair: upgrade the plugin, or install the voxcli that it asks for. A plugin asks in its `dependencies`
    ("voxcli>=0.2,<0.3"), or with `API_VERSION = 1` in its module, the `voxcli.api.API_VERSION` that it was written for.

    Sources: packaging.python.org, "Core metadata", Requires-Dist, and "Version specifiers".
    """

    code: ClassVar[str] = "P004"
    name: ClassVar[str] = "plugin-for-other-version"
    about: ClassVar[About] = "plugins"

    def run(self, context: Context) -> Iterator[Finding]:
        """What the distribution requires, then what the module declares."""
        for plugin in context.plugins.plugins:
            if plugin.state == "disabled" or not (plugin.target or plugin.file):
                continue
            who = f"plugin {plugin.name} ({plugin.distribution} {plugin.version})"
            help = f"`pip install --upgrade {plugin.distribution}`"
            asked = _required(plugin)
            if asked is not None:
                message = f"{who} was built for voxcli {asked}, and this is {voxcli.__version__}"
                yield Finding("warning", message, f'{help}, or `pip install "voxcli{asked}"`')
            declared = plugin.look.api_version if plugin.look else getattr(plugin.module, "API_VERSION", None)
            if isinstance(declared, int) and declared != API_VERSION:
                message = f"{who} was written for version {declared} of voxcli's API, and this is version {API_VERSION}"
                yield Finding("warning", message, help if declared < API_VERSION else "`pip install --upgrade voxcli`")


def _required(plugin: Plugin) -> str | None:
    """The range of voxcli's versions that the distribution asks for, where this one is outside it."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    if not plugin.target:
        return None
    try:
        lines = metadata.requires(plugin.distribution) or []
    except metadata.PackageNotFoundError:
        return None
    for line in lines:
        try:
            one = Requirement(line)
        except InvalidRequirement:
            continue
        if canonicalize_name(one.name) != "voxcli" or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        if not one.specifier.contains(voxcli.__version__, prereleases=True):
            return str(one.specifier)
    return None
