"""D074: durations that no utterance can have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding, Fix
from voxcli.doctor.checks.thresholds import LONGEST_DURATION
from voxcli.findings import About

if TYPE_CHECKING:
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
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Longer than a day; 0 and less where the source was listed."""
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
