"""Ways of training that fit a device: what is known of each, which to show, and which one changes a recipe least."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voxcli.memory.setup import Setup, Shape, StepPeaks
from voxcli.memory.variants import METHODS, Method

ROOM = 0.06
"""A margin that the estimated part of the total cannot eat up; what is recommended has it where anything does."""


@dataclass(frozen=True)
class Candidate:
    """One way of training that fits."""

    label: str
    changes: Mapping[str, Any]
    """Recipe key -> value; a whole table under its section's name, None where it goes; empty: the recipe as it is."""
    setup: Setup = field(repr=False)
    shape: Shape
    """The worst batch."""
    peaks: StepPeaks = field(repr=False)
    resting: int
    """Bytes of weights, gradients and optimizer states: what lies there during an evaluation."""
    total: int
    """Bytes that the device has to have."""
    margin: float
    """What is left of the device, as a share."""
    speed: float
    """Audio a second, over that of the recipe as it is; an estimate."""
    data_kept: float = 1.0
    """Share of the audio that is trained on."""
    method: Method = "as it is"
    evaluation: int = 0
    """Bytes of tensors at the peak of an evaluation; 0 where there is none."""


def undominated(found: list[Candidate]) -> list[Candidate]:
    """Without those that another one equals in speed, size, data and number of changes, or beats, and whose method is
    the same or changes the recipe less.
    """

    def beats(other: Candidate, one: Candidate) -> bool:
        theirs = (other.data_kept, other.speed, -other.total, -len(other.changes))
        ours = (one.data_kept, one.speed, -one.total, -len(one.changes))
        lighter = METHODS.index(other.method) <= METHODS.index(one.method)
        return lighter and theirs != ours and all(a >= b for a, b in zip(theirs, ours, strict=True))

    return [one for one in found if not any(beats(other, one) for other in found)]


def recommended(found: list[Candidate]) -> Candidate | None:
    """The recipe as it is where it fits with room to spare, else what changes it least, the quickest of these."""

    def effort(one: Candidate) -> tuple[Any, ...]:
        narrow = one.margin < ROOM
        return one.data_kept < 1.0, narrow, METHODS.index(one.method), len(one.changes), -one.speed

    own = next((one for one in found if not one.changes), None)
    return own if own is not None else min(found, key=effort, default=None)
