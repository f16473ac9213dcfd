"""Clips -> batches of bounded padded length -> transcripts. What `vox evaluate`, `vox transcribe` and training share.

A clip longer than the model's window, or than 30 s, goes through the task's `transcribe`; all others share batches with
clips of about their own length.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Decoding, Limits, Task, Transcript, Utterance
from voxcli.engines.halving import is_out_of_memory
from voxcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

LONGEST = 30.0  # s in one piece, where the model has no window of its own: attention grows with the square
MAX_CLIPS = 64  # of a batch, however short they are: a decoder's state grows with the clips, not with their length


def pack(
    durations: Sequence[float], batch_duration: float, *, shortest: float = 0.0, most: int = MAX_CLIPS
) -> list[list[int]]:
    """Indices of clips, longest first, in batches of at most `batch_duration` s with padding and of at most `most`.

    `shortest` is what the model pads every clip to at least, s. A clip longer than `batch_duration` is its own batch.
    The longest come first: what does not fit the memory is known at once.
    """
    batches: list[list[int]] = []
    room = 0
    for index in sorted(range(len(durations)), key=lambda index: -durations[index]):
        if room <= 0:
            longest = max(durations[index], shortest, 1e-3)
            room = max(1, min(int(batch_duration / longest), most))
            batches.append([])
        batches[-1].append(index)
        room -= 1
    return batches


def shortest_input(bundle: Bundle, limits: Limits) -> float:
    """What the model pads every clip to at least, s: Whisper's whole window unless it works at the clip's length."""
    from voxcli.data.batches import padding_of

    padded = padding_of(bundle.family, limits)
    return padded(0.0) if padded is not None else limits.min_duration


def fits(audio: np.ndarray, limits: Limits) -> bool:
    """Whether a clip (N,) is decoded in one piece."""
    return len(audio) <= min(limits.max_duration, LONGEST) * limits.sampling_rate


def long_enough(audio: np.ndarray, limits: Limits) -> np.ndarray:
    """The clip (N,), with silence after it where it is shorter than the network's first layers need."""
    import math

    import numpy as np

    missing = math.ceil(limits.min_duration * limits.sampling_rate) - len(audio)
    return np.pad(audio, (0, missing)) if missing > 0 else audio


def collate(bundle: Bundle, task: Task, clips: Sequence[tuple[Utterance, np.ndarray]]) -> dict[str, Any]:
    """(utterance, audio (N,)) of B clips -> one batch on the CPU. References are left out: they are for the scores."""
    items = [task.features(utterance.replace(text=None), audio, bundle) for utterance, audio in clips]
    return task.collate(items, bundle)


def transcripts(
    bundle: Bundle, task: Task, batch: Mapping[str, Any], durations: Sequence[float], decoding: Decoding
) -> list[Transcript]:
    """Transcripts of a batch that `collate` made, each with the length of its own audio."""
    import dataclasses

    device = next(bundle.model.parameters()).device
    moved = {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}
    predicted = task.predict(bundle, moved, decoding)
    return [dataclasses.replace(one, duration=duration) for one, duration in zip(predicted, durations, strict=True)]


@contextlib.contextmanager
def inference(bundle: Bundle, batch_duration: float) -> Iterator[None]:
    """Dropout off and no gradients; afterwards every module trains as before. Out of memory becomes a `ModelError`."""
    import torch

    training = [module for module in bundle.model.modules() if module.training]
    bundle.model.eval()
    try:
        # no_grad, not inference_mode: what a module keeps from here (rotary tables) may be used in training again
        with torch.no_grad():
            yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"out of memory while decoding batches of {batch_duration:g} s: {said}",
            help="a lower --batch-duration (in a recipe evaluate.batch_duration) or fewer beams need less",
        ) from error
    finally:
        for module in training:
            module.training = True
