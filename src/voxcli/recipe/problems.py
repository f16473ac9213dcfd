"""Collects what is wrong with a recipe, so that all of it is told at once.

R001  the file cannot be read, or is not TOML        R010  neither max_steps nor num_train_epochs
R002  extends or unset                               R011  batch_duration and per_device_train_batch_size
R003  a section or top-level key that does not exist R012  a key of [train] that the backend does not honour
R004  no such component, or none named               R013  a metric that the task does not have
R005  a key that its table does not have             R014  load_in_8bit and load_in_4bit
R006  a value of the wrong type, or out of range     R015  quantization without adapter
R007  a key or section that has to be there          R016  what a component found about its own keys
R008  an override of the command line                R017  a path that does not exist here
R009  a component that cannot be imported            R018  precisions and attention that do not go together
R019  keys of [adapter] that exclude each other      R020  what a [[stage]] says
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from voxcli.api import Finding
from voxcli.errors import RecipeError
from voxcli.recipe.where import Key, Place

Missing = Literal["error", "warning"]
"""What a path that does not exist here is (R017)."""


class Problems:
    """Findings so far, and the places of keys that no longer stand in the tables."""

    def __init__(self, missing: Missing = "error") -> None:
        self.missing: Missing = missing
        self.findings: list[Finding] = []
        self.places: dict[Key, Place] = {}

    def add(
        self,
        code: str,
        message: str,
        help: str | None,
        path: Key = (),
        *,
        level: Literal["error", "warning", "note"] = "error",
        place: Place | None = None,
    ) -> None:
        """Keep a finding about the key `path`; `place` where the tables do not know it."""
        self.findings.append(Finding(level, message, help or None, code=code, path=path))
        if place is not None:
            self.places[path] = place

    def take(self, error: RecipeError, path: Key) -> None:
        """Keep what reading another file raised, under the key that named the file."""
        for finding in error.findings:
            self.findings.append(replace(finding, path=path))
        for place in error.places.values():
            self.places[path] = place

    @property
    def errors(self) -> list[Finding]:
        """Those that stop the command."""
        return [finding for finding in self.findings if finding.level == "error"]

    @staticmethod
    def suggestion(name: str, known: Iterable[str], *, limit: int = 12) -> str:
        """The closest known name; the known ones too where they are few or none is close. "" where nothing is known."""
        names = sorted(set(known))
        close = difflib.get_close_matches(name, names, n=1)
        parts = [f"did you mean `{close[0]}`?"] if close else []
        if names and (not close or len(names) <= 12):
            more = f" and {len(names) - limit} more" if len(names) > limit else ""
            parts.append(f"known: {', '.join(names[:limit])}{more}")
        return " ".join(parts)
