"""The size of a batch -> the tensors that a task collates for one, made of one synthetic utterance.

What `features` and `collate` of the task return decides, so tasks of plugins need no code of theirs: the collations of
two and of three items show which dimensions are the batch's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from voxcli.api import Bundle, Task, Utterance
from voxcli.data.loading import longest_label
from voxcli.errors import VoxError
from voxcli.memory.setup import Setup, Shape

_SHORTER = 0.9
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def tensors(setup: Setup, bundle: Bundle, shape: Shape) -> dict[str, Any]:
    """What `task.collate` returns for a batch of that shape, on the CPU.

    One utterance is a little shorter than the others, as in nearly every batch, so that masks have something to mask.
    Raises `VoxError` where the task refuses such an utterance.
    """
    item, shorter = _items(setup, bundle, shape.duration, shape.n_labels)
    count = shape.n_utterances
    return setup.task.collate([item] * (count - 1) + [shorter if count > 1 else item], bundle.replace(model=None))


class Blank:
    """The sizes and types of a batch. Make it outside of any mode: the task computes features for it."""

    def __init__(self, setup: Setup, bundle: Bundle, shape: Shape) -> None:
        self._count = count = shape.n_utterances
        self._first, larger = _collated(setup, bundle, shape.duration, shape.n_labels, alone=count == 1)
        self._sizes = {
            key: [
                size if size == other else size + (other - size) * (count - 2)
                for size, other in zip(value.shape, larger[key].shape, strict=True)
            ]
            for key, value in self._first.items()
            if isinstance(value, torch.Tensor)
        }

    @property
    def chosen(self) -> dict[tuple[int, ...], int]:
        """Shape of a boolean tensor -> how many of its elements are true."""
        return {
            tuple(size): math.ceil(float(self._first[key].float().mean()) * math.prod(size))
            for key, size in self._sizes.items()
            if self._first[key].dtype == torch.bool
        }

    @property
    def n_bytes(self) -> int:
        """Of all its tensors."""
        return sum(math.prod(size) * self._first[key].itemsize for key, size in self._sizes.items())

    def tensors(self) -> dict[str, Any]:
        """The batch with empty tensors, in whatever mode is in force."""
        return {
            key: torch.empty(self._sizes[key], dtype=value.dtype) if key in self._sizes else _listed(value, self._count)
            for key, value in self._first.items()
        }


def label_length(task: Task, bundle: Bundle, utterance: Utterance) -> int:
    """Tokens of an utterance's label as the task collates it; 0 where there is none.

    A task may say so itself, without audio, by a method `label_length(utterance, bundle)`.
    """
    own = getattr(task, "label_length", None)
    if callable(own):
        return int(own(utterance, bundle) or 0)
    silence = np.zeros(round((utterance.duration or 1.0) * sampling_rate(bundle)), dtype=np.float32)
    return longest_label(task.collate([task.features(utterance, silence, bundle)], bundle))


def sampling_rate(bundle: Bundle) -> int:
    """Hz of the audio that the model takes."""
    extractor = getattr(bundle.processor, "feature_extractor", bundle.processor)
    rate = getattr(extractor, "sampling_rate", None)
    return int(rate if rate is not None else bundle.family.limits().sampling_rate)


def utterance_of(setup: Setup, bundle: Bundle, duration: float, n_labels: int) -> Utterance:
    """An utterance of that length whose label has that many tokens, or as near above it as can be made."""
    labels, characters = setup.corpus.labels, setup.corpus.characters
    plain = Utterance(
        id="synthetic",
        audio=_unread,
        duration=duration,
        label=labels[0] if labels else None,
        language=getattr(setup.family, "language", None) or "en",
    )

    def length(text: str) -> int:
        return label_length(setup.task, bundle, plain.replace(text=text))

    letters = [c for c in (characters or _ALPHABET) if not c.isspace()][:26] or list("ab")
    best: tuple[int, str] | None = None
    for between in ("", " "):
        found = _text(letters, between, length, n_labels)
        if best is None or abs(found[0] - n_labels) < abs(best[0] - n_labels):
            best = found
        if best[0] == n_labels:
            break
    assert best is not None
    return plain.replace(text=best[1])


def _text(letters: list[str], between: str, length: Callable[[str], int], wanted: int) -> tuple[int, str]:
    """(tokens, text) of the shortest text of that pattern with at least `wanted` tokens; of the longest tried, else."""

    def text(count: int) -> str:
        return between.join(letters[index % len(letters)] for index in range(count))

    low, high = 0, max(wanted, 1)
    if length(text(high)) < wanted:
        return length(text(high)), text(high)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if length(text(middle)) < wanted else (low, middle)
    return length(text(high)), text(high)


_MOST = 64
_kept: dict[Any, Any] = {}


def _once(key: Any, make: Callable[[], Any]) -> Any:
    if key not in _kept:
        while len(_kept) >= _MOST:
            _kept.pop(next(iter(_kept)))
        _kept[key] = make()
    return _kept[key]


def _key(setup: Setup, bundle: Bundle, duration: float, n_labels: int) -> tuple[Any, ...]:
    return id(bundle.processor), repr(setup.family), repr(setup.task), duration, n_labels


def _collated(
    setup: Setup, bundle: Bundle, duration: float, n_labels: int, *, alone: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The batches of two and of three items, of which one is shorter; of one item, twice, where it is `alone`."""

    def make() -> tuple[dict[str, Any], dict[str, Any]]:
        item, shorter = _items(setup, bundle, duration, n_labels)
        light = bundle.replace(model=None)
        if alone:
            return (setup.task.collate([item], light),) * 2
        return setup.task.collate([item, shorter], light), setup.task.collate([item, item, shorter], light)

    made: tuple[dict[str, Any], dict[str, Any]] = _once((*_key(setup, bundle, duration, n_labels), alone), make)
    return made


def _items(setup: Setup, bundle: Bundle, duration: float, n_labels: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `features` returns for an utterance of that size, and for one that is a little shorter."""

    def make() -> tuple[dict[str, Any], dict[str, Any]]:
        light = bundle.replace(model=None)
        utterance = utterance_of(setup, light, duration, n_labels)
        audio = _noise(round(duration * sampling_rate(bundle)))
        item = setup.task.features(utterance, audio, light)
        text = utterance.text or ""
        less = utterance.replace(duration=duration * _SHORTER, text=text[: len(text) * 4 // 5])
        try:
            return item, setup.task.features(less, audio[: round(len(audio) * _SHORTER)], light)
        except VoxError:  # nothing shorter can be learned
            return item, item

    made: tuple[dict[str, Any], dict[str, Any]] = _once(_key(setup, bundle, duration, n_labels), make)
    return made


@functools.lru_cache(maxsize=4)
def _noise(n_samples: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0.0, 0.1, n_samples).astype(np.float32)


def _listed(value: Any, count: int) -> Any:
    """Lists with one entry an utterance have `count` of them."""
    return [value[index % 2] for index in range(count)] if isinstance(value, list) and len(value) == 2 else value


def _unread() -> tuple[np.ndarray, int]:
    raise RuntimeError("the audio of a synthetic utterance is never read")
