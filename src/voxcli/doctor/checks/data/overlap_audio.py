"""D031: audio on both sides of a split."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioOverlaps:
    """The same audio stands in two splits.

    Why: the model is measured on recordings that it was trained on. Nothing that is found out on such a split is true
    of new recordings.

    Repair: leave it out of the training split: `[filter] exclude` with lines of id, tab and `train`.

    Sources: leakage, Kaufman et al. 2012; Speech Commands hashes file names so that a recording stays on one side
    (arXiv 1804.03209).
    """

    code: ClassVar[str] = "D031"
    name: ClassVar[str] = "audio-overlaps"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Files that two splits name at overlapping places."""
        from voxcli.doctor.data.rows import leave, named, of
        from voxcli.doctor.data.stretches import common

        data = context.data
        for first, second in itertools.combinations(data.filled, 2):
            table, other = data.used(second), data.used(first)
            rows, there = common(table, other)
            if rows.any():
                whole = bool(there.all())
                yield Finding(
                    "warning",
                    f"{of(int(rows.sum()), len(table))} of the {second} split are audio that also stands in {first}",
                    f"take another split, or leave them out of {first} with [filter] exclude",
                    utterances=named(table, rows),
                    fix=None if whole else Fix(leave_out=leave(other, there, first)),
                )
