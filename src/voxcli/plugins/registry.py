"""(kind, name) -> component class, imported when it is asked for.

A registration is a string, "module:Class", so that listing what exists imports nothing. What voxcli and plugin files
bring is found first, and installed plugins are looked up for other names only: no plugin that is installed can take a
name from a recipe that worked. Two of them may offer the same name: asking for the bare name is then an error that says
so, and "distribution/name" chooses.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voxcli.errors import PluginError
from voxcli.protocols import KINDS

if TYPE_CHECKING:
    from voxcli.plugins.looks.look import Known
    from voxcli.plugins.manager import Plugin

BUILTIN = "voxcli"


@dataclass(frozen=True)
class Registration:
    """One component that a distribution offers."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    summary: str = ""
    installed: bool = False
    """Whether an installed plugin brings it, and neither voxcli nor a plugin file."""


class Source(Protocol):
    """Where the components of installed plugins come from."""

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin."""
        ...

    def complete(self, *, thorough: bool) -> None:
        """Register what installed plugins bring; `thorough` waits for those that nobody has looked at yet."""
        ...

    def running(self, registration: Registration) -> AbstractContextManager[None]:
        """Around the import of a component. Raises `PluginError` where it may not run."""
        ...


class Registry:
    """Components by kind and name."""

    def __init__(self, source: Source | None = None) -> None:
        self._source = source
        self._offers: dict[tuple[str, str], list[Registration]] = {}
        self.told: list[Known] = []
        """Components that other distributions bring, as plugins say."""

    def add(self, registration: Registration) -> None:
        """Take a registration. Raises `PluginError` for an unknown kind or a target that is not "module:Class"."""
        if registration.kind not in KINDS:
            raise PluginError(
                f"{registration.distribution} registers '{registration.name}' as a {registration.kind!r}, "
                f"which is no kind of component",
                help=f"kinds: {', '.join(KINDS)}",
            )
        if registration.target.count(":") != 1:
            raise PluginError(
                f"{registration.distribution} registers {registration.kind} '{registration.name}' "
                f"with the target {registration.target!r}",
                help='a target is "module:Class"',
            )
        offers = self._offers.setdefault((registration.kind, registration.name), [])
        if any(other.distribution == registration.distribution for other in offers):
            raise PluginError(
                f"{registration.distribution} registers {registration.kind} '{registration.name}' twice",
                help="give one of the two another name",
            )
        offers.append(registration)

    def tell(self, known: Known) -> None:
        """Take what a plugin says of another distribution."""
        self.told.append(known)

    def told_of(self) -> dict[tuple[str, str], list[str]]:
        """(kind, name) -> the distributions that bring it, as plugins say."""
        found: dict[tuple[str, str], list[str]] = {}
        for one in self.told:
            found.setdefault((one.kind, one.name), []).append(one.distribution)
        return found

    def remove(self, distribution: str) -> None:
        """Take back everything a distribution registered."""
        for key, offers in list(self._offers.items()):
            self._offers[key] = [offer for offer in offers if offer.distribution != distribution]
            if not self._offers[key]:
                del self._offers[key]

    def __iter__(self) -> Iterator[Registration]:
        self._complete()
        for key in sorted(self._offers):
            yield from self._offers[key]

    def names(self, kind: str) -> list[str]:
        """Names of a kind, sorted."""
        self._complete()
        return sorted(name for of_kind, name in self._offers if of_kind == kind)

    def clashes(self) -> list[list[Registration]]:
        """Registrations that share kind and name."""
        self._complete()
        return [offers for offers in self._offers.values() if len(offers) > 1]

    def called(self, registration: Registration) -> str:
        """What a recipe writes: the bare name, or "distribution/name" where that means another one, or nobody."""
        if self._offering(registration.kind, registration.name, "") == [registration]:
            return registration.name
        return f"{registration.distribution}/{registration.name}"

    def find(self, kind: str, name: str) -> Registration:
        """The registration of "name" or "distribution/name".

        Raises `PluginError` where none or several match; its help names close matches, and the package to install where
        the name is known.
        """
        distribution, _, bare = name.rpartition("/")
        offers = self._offering(kind, bare, distribution)
        for thorough in (False, True):
            if not offers:
                self._complete(thorough=thorough)
                offers = self._offering(kind, bare, distribution)
        if len(offers) > 1:
            choices = " or ".join(f'"{offer.distribution}/{bare}"' for offer in offers)
            raise PluginError(
                f"{len(offers)} plugins offer a {kind} called '{bare}'", help=f"choose one: type = {choices}"
            )
        if not offers:
            raise PluginError(f"no {kind} is called '{name}'", help=self._suggestion(kind, bare))
        return offers[0]

    def _offering(self, kind: str, name: str, distribution: str) -> list[Registration]:
        offers = self._offers.get((kind, name), [])
        if distribution:
            return [offer for offer in offers if offer.distribution == distribution]
        return [offer for offer in offers if not offer.installed] or offers

    def _complete(self, *, thorough: bool = False) -> None:
        if self._source is not None:
            self._source.complete(thorough=thorough)

    def load(self, kind: str, name: str) -> type:
        """Import the class of a component. Raises `PluginError` where it cannot be imported."""
        registration = self.find(kind, name)
        with self._source.running(registration) if self._source is not None else nullcontext():
            return load_target(registration)

    def _suggestion(self, kind: str, name: str) -> str:
        from voxcli.plugins.known import repair  # reads a table that only a missing name needs

        known = self.names(kind)
        parts = []
        if close := difflib.get_close_matches(name, known, n=1):
            parts.append(f"did you mean `{close[0]}`?")
        if repaired := repair(kind, name, self._source.plugins if self._source is not None else (), self.told_of()):
            parts.append(f"{repaired}.")
        parts.append(f"known: {', '.join(known) or 'none'}")
        return " ".join(parts)


def load_target(registration: Registration) -> type:
    """Import "module:Class". Raises `PluginError` that names the distribution and its version."""
    module_name, _, class_name = registration.target.partition(":")
    who = f"{registration.kind} '{registration.name}' of {registration.distribution} {registration.version}"
    try:
        module = importlib.import_module(module_name)
        component: type = getattr(module, class_name)
    except (Exception, SystemExit) as error:  # third-party code: anything may come out of its import
        raise PluginError(
            f"{who} cannot be imported: {type(error).__name__}: {error}",
            help="`vox plugins list` shows its state; update or uninstall it",
        ) from error
    return component
