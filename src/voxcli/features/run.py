"""Recordings -> one file of features. A recording that cannot be used is named and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxcli.errors import DataError
from voxcli.features.files import Writer
from voxcli.features.sources import Recording
from voxcli.progress import NULL, Progress


@dataclass
class Outcome:
    """What was written."""

    recordings: int = 0
    duration: float = 0.0
    """s of audio."""
    frames: int = 0
    bins: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    """(id, reason) of recordings left out."""


def extract(
    recordings: Iterable[Recording],
    compute: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    out: Path,
    *,
    sampling_rate: int,
    parameters: Mapping[str, Any],
    progress: Progress = NULL,
) -> Outcome:
    """Write the features of each recording to `out`, in order.

    Raises `DataError` where not one can be used; nothing is left in place of `out` then.
    """
    recordings = list(recordings)
    done = Outcome()
    with progress.task("features", total=len(recordings), unit="files") as bar, Writer(out, parameters) as writer:
        for recording in recordings:
            try:
                audio = recording.audio(sampling_rate)
                made = compute(audio)
            except DataError as error:
                done.problems.append((recording.id, error.message))
            else:
                duration = len(audio) / sampling_rate
                writer.add(recording, made, duration)
                done.recordings += 1
                done.duration += duration
                done.frames += len(made) if made.ndim == 2 else 1
                done.bins = made.shape[-1]
            bar.advance(1)
        if not done.recordings:
            reason = done.problems[0][1] if done.problems else "nothing was named"  # it begins with the file's name
            raise DataError(f"none of {len(recordings)} recordings can be used; the first: {reason}")
    return done
