"""D032: speakers on both sides of a split that are meant to be apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class SpeakersOverlap:
    """Speakers stand in two splits, although `[holdout] speakers_apart` says that they do not.

    Why: a model knows the voices it has heard. Scores for known speakers are better than what strangers
    will see.

    Repair: leave the speaker out of one of the splits, or let `[holdout]` cut them by speaker.

    Sources: LibriSpeech keeps its speakers apart (Panayotov et al., ICASSP 2015).
    """

    code: ClassVar[str] = "D032"
    name: ClassVar[str] = "speakers-overlap"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """The speaker column; nothing where the recipe does not ask for it."""
        import numpy as np
        import pyarrow.compute as pc

        from voxcli.doctor.data.rows import leave, named, of

        data = context.data
        if not data.holdout.speakers_apart:
            return
        if not any(len(pc.unique(data.used(split).column("speaker").array).drop_null()) for split in data.filled):
            yield Finding(
                "warning",
                "[holdout] speakers_apart, but the data name no speaker",
                "give the data a speaker column, or remove the key",
                path=("holdout", "speakers_apart"),
                fix=Fix({"holdout.speakers_apart": False}),
            )
            return
        for first, second in itertools.combinations(data.filled, 2):
            table, other = data.used(second), data.used(first)
            here, there = table.column("speaker").array, other.column("speaker").array
            both = pc.unique(here.filter(pc.is_in(here, value_set=pc.unique(there)))).drop_null()
            if not len(both):
                continue
            mine = np.flatnonzero(pc.is_in(here, value_set=both).to_numpy())
            theirs = np.flatnonzero(pc.is_in(there, value_set=both).to_numpy())
            smaller, rows, split = (other, theirs, first) if len(theirs) < len(mine) else (table, mine, second)
            shown = ", ".join(both.slice(0, 5).to_pylist())
            yield Finding(
                "warning",
                f"{of(len(mine), len(table))} of the {second} split are of speakers who also speak in {first}: {shown}",
                "leave the speakers out of one of the two",
                path=("holdout", "speakers_apart"),
                utterances=named(table, mine),
                fix=None if len(rows) == len(smaller) else Fix(leave_out=leave(smaller, rows, split)),
            )
