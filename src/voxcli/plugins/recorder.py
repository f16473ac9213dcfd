"""What `vox_register` receives: fills a registry under the name of one distribution."""

from __future__ import annotations

from voxcli.errors import PluginError
from voxcli.plugins.looks.look import Known
from voxcli.plugins.registry import Registration, Registry


class Recorder:
    """Takes what one plugin registers."""

    def __init__(self, registry: Registry, distribution: str, version: str) -> None:
        self.registry = registry
        self._from = (distribution, version)

    def add(self, kind: str, name: str, target: str, *, summary: str = "") -> None:
        """Offer a component. Raises `PluginError` where it cannot be one."""
        self.registry.add(Registration(kind, name, target, *self._from, summary))

    def known(self, kind: str, name: str, distribution: str) -> None:
        """Say which other distribution brings a component. Raises `PluginError` where one of them is no text."""
        if not all(isinstance(one, str) and one for one in (kind, name, distribution)):
            raise PluginError(
                f"{self._from[0]} says that {distribution!r} brings the {kind!r} {name!r}",
                help="registry.known(kind, name, distribution) takes three texts",
            )
        self.registry.tell(Known(kind, name, distribution))
