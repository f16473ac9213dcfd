"""D050: a few recordings with most of the seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import FEW_RECORDINGS, RECORDINGS_FROM
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class FewRecordingsHoldMost:
    """A few recordings hold most of the seconds of the training split.

    Why: the model hears one voice and one room most of the time. Where they are single long clips, each is a batch of
    its own that needs the most memory, and a step on it counts as much as one on many others.

    Repair: cut long recordings into utterances, leave them out, or set `[filter] max_duration`.

    Sources: measured here on seven real data sets, see FEW_RECORDINGS.
    """

    code: ClassVar[str] = "D050"
    name: ClassVar[str] = "few-recordings-hold-most"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Seconds by audio file."""
        import numpy as np
        import pyarrow.compute as pc

        from voxcli.data.corpus import clock
        from voxcli.doctor.data.rows import counted, named

        table = context.data.used("train")
        files = table.column("audio").array
        numbers = pc.fill_null(pc.dictionary_encode(files).combine_chunks().indices, -1).to_numpy(zero_copy_only=False)
        numbers = np.where(numbers < 0, len(table) + np.arange(len(table)), numbers)  # no file: each row by itself
        values, places = np.unique(numbers, return_inverse=True)
        if len(values) < RECORDINGS_FROM:
            return
        seconds = np.bincount(places, weights=table.durations.astype(np.float64))
        order = np.argsort(-seconds, kind="stable")
        shares = np.cumsum(seconds[order]) / max(float(seconds.sum()), 1e-9)
        for share, few in FEW_RECORDINGS:
            needed = int(np.searchsorted(shares, share)) + 1
            if needed <= max(1, int(few * len(values))):
                break
        else:
            return
        chosen = np.isin(places, order[:needed])
        yield Finding(
            "warning",
            f"{counted(needed, 'recording')} of {len(values):,} hold {shares[needed - 1]:.0%} of the training audio "
            f"({clock(float(seconds[order[0]]))} the longest, {clock(float(np.median(seconds)))} the median)",
            "cut them into utterances, leave them out, or set [filter] max_duration",
            utterances=named(table, chosen),
            fix=Fix(leave_out=context.data.leave_out("train", table, chosen)),
        )
