"""D074: durations that no utterance can have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding, Fix
from voxcli.doctor.checks.thresholds import READ_AGAIN
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ImpossibleDuration:
    """The data say durations that no utterance can have.

    Why: below nothing and beyond a day nobody is believed: the file's header is asked instead. Such a row often has
    other mistakes, an end before its begin, or a column in samples or milliseconds of which only the longest show so.

    Repair: durations in seconds in the manifest, or no column: then headers say them.

    Sources: NeMo's manifests have seconds; Kaldi's utt2dur as well.
    """

    code: ClassVar[str] = "D074"
    name: ClassVar[str] = "impossible-duration"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """The source is read again, where it is small enough: the index has the durations of the headers instead."""
        import logging

        import numpy as np
        import pyarrow.compute as pc

        from voxcli.data.listing import LONGEST
        from voxcli.doctor.data.rows import named, of

        data = context.data
        if not all(hasattr(dataset, "duration_column") for dataset in data.datasets):
            return  # a stream is not asked for twice
        if sum(len(data.listed(split)) for split in SPLITS) > READ_AGAIN:  # one file may hold all splits
            return
        for split in SPLITS:
            table = data.whole(split)
            logging.disable(logging.WARNING)  # what there is to say of single rows was said when they were indexed
            try:
                said = [one.duration for dataset in data.datasets for one in dataset.utterances(split)]
            finally:
                logging.disable(logging.NOTSET)
            if len(said) != len(table) or not said:
                continue
            known = np.asarray([np.nan if duration is None else duration for duration in said], dtype=np.float64)
            listed = pc.is_in(table.ids.array, value_set=data.listed(split).ids.array.combine_chunks())
            wrong = ((known < 0) | (known > LONGEST)) & np.asarray(listed.to_numpy(), dtype=np.bool_)
            if wrong.any():
                whole = bool(wrong.all())
                yield Finding(
                    "warning",
                    f"{of(int(wrong.sum()), len(table))} of the {split} split are said to last "
                    f"{known[int(wrong.argmax())]:,g} s; the headers of their files are believed instead",
                    "write seconds, or leave the column out; samples, milliseconds and an end before its begin look so",
                    utterances=named(table, wrong),
                    fix=None if whole else Fix(leave_out=data.leave_out(split, table, wrong)),
                )
