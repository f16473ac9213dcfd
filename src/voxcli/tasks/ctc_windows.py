"""A recording of any length -> its transcript by a CTC model, in overlapping windows and bounded memory.

Windows begin on whole frames, so frame j of a window is frame begin / stride + j of the recording. Of each window only
the frames without the overlap are kept; they are joined *before* repeats are collapsed or a decoder searches, so
nothing is doubled or lost at a seam: a token that lies across it is one token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcli.api import Bundle, Decoding, Transcript, Utterance
from voxcli.engines.halving import Halving, whole
from voxcli.tasks.ctc_decoding import Frames, frames_of, transcript_of

if TYPE_CHECKING:
    import numpy as np

    from voxcli.tasks.ctc import CTCTask

WINDOW = 30.0  # s that the model sees at a time
CONTEXT = 4.0  # s on each side that are seen and not kept
WINDOWS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of samples [begin, end) and which of its frames [first, last) are kept; last None: to the end."""

    begin: int
    end: int
    first: int
    last: int | None


def windows(n_samples: int, stride: int, sampling_rate: int, *, window: float, context: float) -> Iterator[Window]:
    """Windows over N samples whose kept frames follow each other without gap or overlap."""
    aside = round(context * sampling_rate / stride)  # frames
    kept = max(round(window * sampling_rate / stride) - 2 * aside, 1)
    start = 0  # frames
    while True:
        begin = max(start - aside, 0)
        end = (start + kept + aside) * stride
        if end >= n_samples:
            yield Window(begin * stride, n_samples, start - begin, None)
            return
        yield Window(begin * stride, end, start - begin, start - begin + kept)
        start += kept


def transcribe(
    task: CTCTask,
    bundle: Bundle,
    audio: np.ndarray,
    decoding: Decoding,
    *,
    window: float = WINDOW,
    context: float = CONTEXT,
) -> Transcript:
    """Audio (N,) at the model's rate -> transcript. `window` and `context` are s."""
    import numpy as np

    limits = bundle.family.limits()
    rate = limits.sampling_rate
    duration = len(audio) / rate
    least = -(-round(limits.min_duration * rate * 1000) // 1000)
    if len(audio) < least:
        audio = np.pad(audio, (0, least - len(audio)))
    all_windows = list(windows(len(audio), limits.stride, rate, window=window, context=context))
    kept: list[Frames] = []
    halving: Halving[Window, Frames] = Halving(lambda some: _run(task, bundle, audio, some, decoding))
    for at in range(0, len(all_windows), WINDOWS_AT_ONCE):
        some = all_windows[at : at + WINDOWS_AT_ONCE]
        found = whole(halving(some, [(one.end - one.begin) / rate for one in some]))
        for one, frames in zip(some, found, strict=True):
            kept.append(tuple(array[one.first : one.last] for array in frames))
    whole_length = tuple(np.concatenate(parts) for parts in zip(*kept, strict=True))
    return transcript_of(whole_length, bundle, decoding, duration)


def _run(task: CTCTask, bundle: Bundle, audio: np.ndarray, some: list[Window], decoding: Decoding) -> list[Frames]:
    items = [task.features(Utterance(id="recording", audio=_unread), audio[w.begin : w.end], bundle) for w in some]
    batch = task.collate(items, bundle)
    return frames_of(bundle, task.prepared(bundle, batch), batch["frames"], decoding)


def _unread() -> tuple[np.ndarray, int]:
    raise RuntimeError("the audio of this recording is already in memory")
