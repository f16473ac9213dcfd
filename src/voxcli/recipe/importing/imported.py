"""What comes out of a command: the tables of a recipe, and what has to be said about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from voxcli.errors import UsageError
from voxcli.recipe.importing.command import Command

Kind = Literal["mended", "changed", "left out", "to do"]


@dataclass(frozen=True)
class Note:
    """One line about a command."""

    kind: Kind
    """mended: a defect of the script or the command that the recipe does not have; changed: done otherwise here;
    left out: has no counterpart; to do: needs a person."""
    argument: str
    text: str


@dataclass
class Imported:
    """The recipe on its way: arguments are taken from it one by one, keys and notes go into it."""

    command: Command
    tables: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    # ------------------------------------------------------------------------------------------------ arguments

    def given(self, name: str) -> bool:
        """Whether the command says it."""
        return name in self.command.given

    def words(self, name: str) -> list[str] | None:
        """All words after an argument; None where it is not given."""
        self.taken.add(name)
        return self.command.given.get(name)

    def text(self, name: str, default: str | None = None) -> str | None:
        """One word. Raises `UsageError` where there are none or several."""
        words = self.words(name)
        if words is None:
            return default
        if len(words) != 1:
            raise UsageError(f"--{name} has {len(words)} values, expected one", help=f"--{name} VALUE")
        return None if words[0] in ("None", "null") else words[0]

    def number(self, name: str, default: float | None = None) -> Any:
        """A number; whole numbers come out whole. Raises `UsageError` where it is none."""
        found = self.text(name)
        if found is None:
            return default
        try:
            value = float(found)
        except ValueError as error:
            raise UsageError(f"--{name} is '{found}', expected a number", help=f"--{name} 1e-4") from error
        whole = value.is_integer() and not set(found) & set(".eE")
        return int(value) if whole else value

    def flag(self, name: str, default: bool = False) -> bool:
        """--flag, --flag True, --no_flag."""
        self.taken.add(f"no_{name}")
        if self.given(f"no_{name}"):
            self.taken.add(name)
            return False
        words = self.words(name)
        if words is None:
            return default
        said = (words[0] if words else "true").lower()
        if said not in ("true", "false", "t", "f", "yes", "no", "y", "n", "1", "0"):
            raise UsageError(f"--{name} is '{said}', expected True or False", help=f"--{name} True")
        return said in ("true", "t", "yes", "y", "1")

    def untaken(self) -> Iterator[str]:
        """Arguments that nothing has asked for."""
        return (name for name in self.command.given if name not in self.taken)

    # --------------------------------------------------------------------------------------------------- recipe

    def set(self, section: str, **keys: Any) -> None:
        """Keys of a section; None is left out."""
        table = self.tables.setdefault(section, {})
        table.update({name: value for name, value in keys.items() if value is not None})

    def note(self, kind: Kind, argument: str, text: str) -> None:
        """One line more."""
        self.notes.append(Note(kind, argument, text))

    def drop(self, *names: str, why: str) -> None:
        """Take arguments that have no counterpart, with one line for those that are given."""
        said = [name for name in names if self.given(name) or self.given(f"no_{name}")]
        self.taken.update(names, (f"no_{name}" for name in names))
        if said:
            self.note("left out", ", ".join(f"--{name}" for name in said), why)
