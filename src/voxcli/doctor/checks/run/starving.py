"""T114: a device that waits for its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import SPEED_SECONDS, SPEED_STEPS, STARVING, STARVING_NOTE, STARVING_STEP
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class DeviceWaitsForData:
    """The steps wait for their data for much of the time.

    Why: decoding, augmentation and features are made on processor cores. While they lag behind, the device is idle and
    paid for: a run that waits half of its time takes twice as long.

    Repair: `train.dataloader_num_workers = 4`, or as many as there are cores to spare; `--resume` takes the change.
    Where workers do not help, the disk is what is slow: copy the audio to a local one, or store it as FLAC.

    Sources: torch.utils.data, num_workers. Measured here: with one thread that reads ahead steps wait 0 to 12 % of the
    time.
    """

    code: ClassVar[str] = "T114"
    name: ClassVar[str] = "device-waits-for-data"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Share of the seconds of all steps but the first."""
        import numpy as np

        record = context.record
        seconds, waited = record.column("seconds")[5:], record.column("data_seconds")[5:]
        fine = np.isfinite(seconds) & np.isfinite(waited)
        seconds, waited = seconds[fine], waited[fine]
        if len(seconds) < SPEED_STEPS or np.sum(seconds) < SPEED_SECONDS or np.median(seconds) < STARVING_STEP:
            return
        share = float(np.sum(waited) / np.sum(seconds))
        if share < STARVING_NOTE:
            return
        workers = record.train.get("dataloader_num_workers", 0)
        more = max(4, 2 * int(workers)) if isinstance(workers, int) else 4
        yield Finding(
            "warning" if share >= STARVING else "note",
            f"steps wait for their data {share:.0%} of the time: {np.mean(waited):.2g} of "
            f"{np.mean(seconds):.2g} s, with {workers} workers",
            f"{record.key('dataloader_num_workers')}={more}; --resume takes the change. If not: a local disk",
            where=str(record.log_path),
        )
