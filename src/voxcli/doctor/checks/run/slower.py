"""T113: a run that became slower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import SLOWER, SLOWER_NOTE, SLOWER_PROCESSOR, SPEED_SECONDS, SPEED_STEPS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Floats, Record

PATIENT = "OMP_WAIT_POLICY=passive"
"""In the environment of the command: OpenMP 5.2, section 6.7."""


class RunBecameSlower:
    """The same amount of audio takes far longer at the end of the run than at its beginning.

    Why: a device that is too hot clocks down, another process shares it, a disk or a network share slows the reading,
    workers leak memory until the system swaps, batches are cut in halves since memory ran out. Such a run costs twice
    its hours without a message.

    Repair: where the steps wait for data: `train.dataloader_num_workers`, a local disk. Else look for other processes
    on the device (`nvidia-smi`) and at its temperature and clocks; where memory ran out, smaller batches. On processors
    that others use too, `OMP_WAIT_POLICY=passive vox train …`: threads that wait for each other then sleep, instead of
    taking the time of the one that they wait for.

    Sources: measured here: 11 healthy runs on a machine that others used kept between 0.87 and 1.1 of their speed.
    Beside a busy machine's other work a transcription with two threads took 76 s, with OMP_WAIT_POLICY=passive (OpenMP
    5.2, section 6.7) 32 s; alone it took 19 s either way, and a training of short steps a fifth longer.
    Threads about workers that grow until the machine swaps: pytorch 13246, NeMo 1467.
    """

    code: ClassVar[str] = "T113"
    name: ClassVar[str] = "run-became-slower"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Padded audio a second, the last quarter against the first."""
        import numpy as np

        record = context.record
        seconds, padded = record.column("seconds"), _padded(record)
        fine = np.flatnonzero(np.isfinite(seconds) & np.isfinite(padded) & (seconds > 0) & (padded > 0))
        fine = fine[max(5, len(fine) // 50) :]  # the first steps allocate and compile
        if len(fine) < SPEED_STEPS or float(np.sum(seconds[fine])) < SPEED_SECONDS:
            return
        quarter = len(fine) // 4
        speed = _like_with_like(padded[fine], seconds[fine])
        early, late = float(np.median(speed[:quarter])), float(np.median(speed[-quarter:]))
        ratio = late / early
        # a pause of others is over some time; what stays is the run's
        halves = [float(np.median(part)) / early for part in np.array_split(speed[-quarter:], 3)]
        if ratio >= SLOWER_NOTE or max(halves) >= SLOWER_NOTE:
            return
        begin = _since(speed, early, late)
        step = int(record.steps[fine[begin]])
        message = f"from about step {step} on the run trains {late:.3g} s of audio a second, {early:.3g} before"
        message += _cause(record, fine, quarter)
        device = record.sessions[-1]["session"].get("device") if record.sessions else None
        help = "look for other processes on the device and at its clocks; "
        if device == "cpu":
            help += f"beside them {PATIENT} lets threads sleep while they wait for each other; "
        help += "train.dataloader_num_workers and a local disk where the steps wait for data"
        limit = SLOWER_PROCESSOR if device == "cpu" else SLOWER
        yield Finding("warning" if ratio < limit else "note", message, help, where=f"step {step}")


def _padded(record: Record) -> Floats:
    """Seconds of audio that each step computed, padding with it."""
    import numpy as np

    padding = np.nan_to_num(record.column("padding"))
    result: Floats = record.column("audio_seconds") / np.clip(1 - padding, 0.05, 1)
    return result


def _like_with_like(padded: Floats, seconds: Floats) -> Floats:
    """Speed of each step over the usual speed of steps of its size, times the usual speed: small batches are slower."""
    import numpy as np

    speed = padded / seconds
    edges = np.quantile(padded, [0.25, 0.5, 0.75])
    size = np.searchsorted(edges, padded)
    whole = float(np.median(speed))
    for one in range(4):
        if (size == one).any():
            speed[size == one] *= whole / float(np.median(speed[size == one]))
    return speed


def _since(speed: Floats, early: float, late: float) -> int:
    """The step from which most are slow."""
    import numpy as np

    slow = speed < (early * late) ** 0.5
    # the place that parts most quick ones from most slow ones
    return int(np.argmax(np.cumsum(np.where(slow, -1, 1))))


def _cause(record: Record, fine: object, quarter: int) -> str:
    import numpy as np

    index = np.asarray(fine)
    waited, seconds = record.column("data_seconds"), record.column("seconds")
    if not np.isfinite(waited[index]).all():
        return ""
    early, late = index[:quarter], index[-quarter:]
    lost = float(np.median(seconds[late]) - np.median(seconds[early]))
    waiting = float(np.mean(waited[late]) - np.mean(waited[early]))
    if lost > 0 and waiting > 0.5 * lost:
        return f": steps wait {np.mean(waited[late]):.2g} s for their data, {np.mean(waited[early]):.2g} s before"
    if any(one.get("incident") == "memory" for one in record.incidents):
        return ": batches were cut in halves since memory ran out"
    return "; they do not wait for their data: the device itself is slower"
