"""D074: durations that no utterance can have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding, Fix
from voxcli.doctor.checks.thresholds import LONGEST_DURATION, READ_AGAIN
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.api import Split
    from voxcli.doctor.context import Context


class ImpossibleDuration:
    """The data say durations that no utterance can have.

    Why: batches are made by duration. One of a million seconds is a batch of its own, or is left out as too long; zero
    and less are not believed, and the file's header is asked instead. Often they are samples or milliseconds.

    Repair: durations in seconds in the manifest, or no column: then headers say them.

    Sources: NeMo's manifests have seconds; Kaldi's utt2dur as well.
    """

    code: ClassVar[str] = "D074"
    name: ClassVar[str] = "impossible-duration"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Longer than a day, in the index; less than nothing, in the source."""
        import numpy as np

        from voxcli.doctor.rows import named, of

        for split in SPLITS:
            table = context.data.listed(split)
            durations = np.nan_to_num(table.durations, nan=0.0)
            long = durations > LONGEST_DURATION
            if long.any():
                whole = bool(long.all())
                yield Finding(
                    "error" if whole else "warning",
                    f"{of(int(long.sum()), len(table))} of the {split} split are said to be longer than a day, up to "
                    f"{float(durations.max()):,.0f} s; are the durations in samples or milliseconds?",
                    "write seconds, or leave the column out",
                    utterances=named(table, long),
                    fix=None if whole else Fix(leave_out=context.data.leave_out(split, table, long)),
                )
            yield from self._negative(context, split)

    def _negative(self, context: Context, split: Split) -> Iterator[Finding]:
        """Durations below 0 where the source is small enough to be read again: the index has those of the headers."""
        import logging

        import numpy as np
        import pyarrow.compute as pc

        from voxcli.doctor.rows import counted, named

        data = context.data
        table = data.whole(split)
        if not len(table) or sum(len(data.whole(one)) for one in SPLITS) > READ_AGAIN:  # one file may hold all splits
            return
        logging.disable(logging.WARNING)  # what there is to say of single rows was said when they were indexed
        try:
            said = [one.duration for dataset in data.datasets for one in dataset.utterances(split)]
        finally:
            logging.disable(logging.NOTSET)
        if len(said) != len(table):
            return
        below = np.asarray([duration is not None and duration < 0 for duration in said], dtype=np.bool_)
        if not below.any():
            return
        below &= np.asarray(
            pc.is_in(table.ids.array, value_set=data.listed(split).ids.array.combine_chunks()).to_numpy()
        )
        if below.any():
            yield Finding(
                "warning",
                f"{counted(int(below.sum()))} of the {split} split are said to be shorter than nothing: "
                f"{said[int(below.argmax())]:g} s; their headers are believed instead",
                "correct the durations, or leave the column out; an end before its begin is another mistake",
                utterances=named(table, below),
                fix=Fix(leave_out=data.leave_out(split, table, below)),
            )
