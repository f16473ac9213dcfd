"""(kind, name) -> component class, imported when it is asked for.

A registration is a string, "module:Class", so that listing what exists imports nothing. Two distributions may offer the
same name: asking for the bare name is then an error that says so, and "distribution/name" chooses.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from voxcli.api import KINDS
from voxcli.errors import PluginError
from voxcli.plugins.known import distribution_of

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


class Registry:
    """Components by kind and name."""

    def __init__(self) -> None:
        self._offers: dict[tuple[str, str], list[Registration]] = {}

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

    def remove(self, distribution: str) -> None:
        """Take back everything a distribution registered."""
        for key, offers in list(self._offers.items()):
            self._offers[key] = [offer for offer in offers if offer.distribution != distribution]
            if not self._offers[key]:
                del self._offers[key]

    def __iter__(self) -> Iterator[Registration]:
        for key in sorted(self._offers):
            yield from self._offers[key]

    def names(self, kind: str) -> list[str]:
        """Names of a kind, sorted."""
        return sorted(name for of_kind, name in self._offers if of_kind == kind)

    def clashes(self) -> list[list[Registration]]:
        """Registrations that share kind and name."""
        return [offers for offers in self._offers.values() if len(offers) > 1]

    def find(self, kind: str, name: str) -> Registration:
        """The registration of "name" or "distribution/name".

        Raises `PluginError` where none or several match; its help names close matches, and the package to install where
        the name is known.
        """
        distribution, _, bare = name.rpartition("/")
        offers = self._offers.get((kind, bare), [])
        if distribution:
            offers = [offer for offer in offers if offer.distribution == distribution]
        if len(offers) > 1:
            choices = " or ".join(f'"{offer.distribution}/{bare}"' for offer in offers)
            raise PluginError(
                f"{len(offers)} plugins offer a {kind} called '{bare}'", help=f"choose one: type = {choices}"
            )
        if not offers:
            article = "an" if kind[0] in "aeiou" else "a"
            raise PluginError(f"no {kind} is called '{name}'", help=self._suggestion(kind, bare, article))
        return offers[0]

    def load(self, kind: str, name: str) -> type:
        """Import the class of a component. Raises `PluginError` where it cannot be imported."""
        return load_target(self.find(kind, name))

    def _suggestion(self, kind: str, name: str, article: str) -> str:
        known = self.names(kind)
        parts = []
        if close := difflib.get_close_matches(name, known, n=1):
            parts.append(f"did you mean `{close[0]}`?")
        if package := distribution_of(kind, name):
            parts.append(f"`pip install {package}` brings {article} {kind} of that name.")
        parts.append(f"known: {', '.join(known) or 'none'}")
        return " ".join(parts)


def load_target(registration: Registration) -> type:
    """Import "module:Class". Raises `PluginError` that names the distribution and its version."""
    module_name, _, class_name = registration.target.partition(":")
    who = f"{registration.kind} '{registration.name}' of {registration.distribution} {registration.version}"
    try:
        module = importlib.import_module(module_name)
        component: type = getattr(module, class_name)
    except Exception as error:  # third-party code: anything may come out of its import
        raise PluginError(
            f"{who} cannot be imported: {type(error).__name__}: {error}",
            help="`vox plugins list` shows its state; update or uninstall it",
        ) from error
    return component
