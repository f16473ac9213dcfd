"""What is known of a plugin that was imported once, in a process of its own: plain data that is kept as JSON."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import voxcli


@dataclass(frozen=True)
class Component:
    """One component that it registers."""

    kind: str
    name: str
    target: str
    summary: str = ""


@dataclass(frozen=True)
class Known:
    """A component that another distribution brings, of which this plugin tells (`registry.known`)."""

    kind: str
    name: str
    distribution: str


@dataclass(frozen=True)
class Oddity:
    """A function that was meant to be a hook, see `voxcli.plugins.misfits`."""

    attribute: str
    message: str
    help: str
    broken: bool = False
    """Whether the whole plugin is refused for it."""
    place: str = ""
    """ "file:line" """


@dataclass(frozen=True)
class HeavyImport:
    """A library that is imported with the plugin and need not be."""

    module: str
    seconds: float
    chain: tuple[str, ...]
    """ "module:line" of every import on the way, the plugin's own first."""


@dataclass(frozen=True)
class Failure:
    """Why something of a plugin cannot be used."""

    message: str
    """ "ZeroDivisionError: division by zero", or how its process ended."""
    place: str = ""
    """ "file:line" of the innermost code that is neither Python's nor voxcli's."""
    missing: str = ""
    """The module that was not found, where that is the reason."""
    help: str = ""
    misfits: tuple[Oddity, ...] = ()
    """Those for which it is refused."""
    hung: float | None = None
    """The time it had, s, where it was still being imported when that was up."""
    shadowed: bool = False
    """Whether another distribution brings the same module."""


@dataclass(frozen=True)
class Look:
    """A plugin that could be imported and registered its components."""

    components: tuple[Component, ...] = ()
    commands: Mapping[str, str] = field(default_factory=dict)
    """name -> the line in `vox --help`"""
    hooks: tuple[str, ...] = ()
    """Hooks of voxcli that it implements."""
    misfits: tuple[Oddity, ...] = ()
    known: tuple[Known, ...] = ()
    api_version: int | None = None
    """Its `API_VERSION`, where it says one."""
    heavy: tuple[HeavyImport, ...] = ()
    printed: str = ""
    """The beginning of what it wrote to stdout and stderr meanwhile."""
    patched: tuple[str, ...] = ()
    """What it replaced in other modules: "torch.nn.modules.linear.Linear.forward"."""
    raised: Mapping[str, Failure] = field(default_factory=dict)
    """hook -> why it cannot be used; `vox_commands` only, the others are not called."""
    seconds: float = 0.0
    """To import it and to call `vox_register`."""
    origin: str = ""
    """The file of its module."""


def plain(found: Look | Failure) -> dict[str, Any]:
    """As JSON has it."""
    return asdict(found)


def look_of(content: Mapping[str, Any]) -> Look:
    """From JSON. Raises `TypeError`, `ValueError`, `KeyError` or `AttributeError` where it is no look."""
    made: dict[str, Callable[[Any], Any]] = {
        "components": lambda rows: tuple(Component(**one) for one in rows),
        "misfits": lambda rows: tuple(Oddity(**one) for one in rows),
        "known": lambda rows: tuple(Known(**one) for one in rows),
        "heavy": lambda rows: tuple(HeavyImport(one["module"], one["seconds"], tuple(one["chain"])) for one in rows),
        "raised": lambda table: {hook: failure_of(one) for hook, one in table.items()},
        "commands": dict,
        "hooks": tuple,
        "patched": tuple,
    }
    return Look(**{name: made.get(name, _as_it_is)(value) for name, value in content.items()})


def failure_of(content: Mapping[str, Any]) -> Failure:
    """From JSON. Raises as `look_of` does."""
    return Failure(**{**content, "misfits": tuple(Oddity(**one) for one in content.get("misfits", ()))})


def _as_it_is(value: Any) -> Any:
    return value


def failure_from(error: BaseException) -> Failure:
    """What is kept of an error that came out of a plugin."""
    message = f"{type(error).__name__}: {error}".strip().removesuffix(":")
    missing = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    help = getattr(error, "help", None)
    return Failure(message, _place(error), missing, help if isinstance(help, str) else "")


def _place(error: BaseException) -> str:
    """File and line of the innermost code that is neither Python's nor voxcli's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    ours = ("<frozen", str(Path(os.__file__).parent / "importlib"), str(Path(voxcli.__file__).parent))
    own = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith(ours)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""
