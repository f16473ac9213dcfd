"""A recording of any length -> the probabilities of its classes in windows, and those of the whole of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from voxcli.api import Bundle, Utterance

if TYPE_CHECKING:
    import numpy as np

    from voxcli.tasks.classification import ClassificationTask

AT_ONCE = 60.0  # s of audio that share a batch


def spans(n_samples: int, window: int, stride: int) -> list[tuple[int, int]]:
    """Windows [begin, end) over N samples, `stride` apart; the last one ends with the recording.

    What would be left beyond it is less than a stride and lies within it, so that no window is shorter than the
    others, unless the recording is.
    """
    if n_samples <= window:
        return [(0, n_samples)]
    begins = list(range(0, n_samples - window, stride))
    return [(begin, begin + window) for begin in begins] + [(n_samples - window, n_samples)]


def scored(
    task: ClassificationTask,
    bundle: Bundle,
    audio: np.ndarray,
    *,
    window: float | None = None,
    stride: float | None = None,
) -> Iterator[tuple[float, float, np.ndarray]]:
    """(begin s, end s, probabilities (classes,)) of each window of a recording (N,), in order.

    `window` and `stride` in s; None takes the model's own. Memory does not grow with the recording's length.
    """
    from voxcli.tasks.wrapped import decoding_mode

    family: Any = bundle.family
    rate = bundle.processor.feature_extractor.sampling_rate
    seconds = min(window or _own(family), _most(family))
    length = max(1, round(seconds * rate))
    step = max(1, round((stride or (None if window else family.window_stride) or seconds) * rate))
    places = spans(len(audio), length, step)
    light = bundle.replace(model=None)
    count = max(1, int(AT_ONCE / max(family.padded_duration(seconds), 1e-3)))
    for first in range(0, len(places), count):
        some = places[first : first + count]
        items = [task.features(_piece(), audio[begin:end], light) for begin, end in some]
        with decoding_mode(bundle.model):
            found = task.probabilities(bundle, task.collate(items, light))
        for (begin, end), scores in zip(some, found, strict=True):
            yield begin / rate, end / rate, scores


def aggregated(scores: Sequence[np.ndarray], how: Literal["mean", "max"]) -> np.ndarray:
    """Probabilities of the windows -> (classes,). Maxima of one class only do not sum to 1."""
    import numpy as np

    made = np.stack(scores).mean(0) if how == "mean" else np.stack(scores).max(0)
    return np.asarray(made, dtype=np.float32)


def _own(family: Any) -> float:
    """s: of windows where the recipe asks for them, else what the model takes in one piece."""
    return float(family.window) if family.scored == "windows" else _most(family)


def _most(family: Any) -> float:
    from voxcli.engines.batching import LONGEST

    return min(float(family.limits().max_duration), LONGEST)


def _piece() -> Utterance:
    from pathlib import Path

    return Utterance(id="window", audio=Path("window"))
