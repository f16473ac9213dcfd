"""A collated batch -> the tensors of some of its utterances, so that a step can be taken in smaller parts.

Rows are cut out of the tensors of the whole batch: padding, random masks and all stay what they were, and the losses
and counts of the parts add up to those of the batch. Tensors are read as tasks write them: the first dimension is B, or
the utterances stand one after the other with their lengths in a tensor of the same name (labels, label_lengths). The
first time in a run this is compared with the utterances read and collated again; a task whose batches cannot be cut is
collated again every time. Augmentation draws the same for the same utterance and epoch, see `voxcli.data.loading`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from voxcli.data.loading import Batch, longest_label
from voxcli.engines.ceiling import Ceiling, Size
from voxcli.errors import VoxError

Again = Callable[[list[int]], Batch]
"""Row numbers of the table -> a batch of them, read and collated anew."""


class Uncuttable(Exception):
    """The rows of a batch cannot be told from its tensors."""


@dataclass(frozen=True)
class Part:
    """Some of the utterances of a batch, or all of them."""

    batch: Batch
    positions: tuple[int, ...]
    """Where they stand in the batch."""

    @classmethod
    def whole(cls, batch: Batch) -> Part:
        """All of a batch."""
        return cls(batch, tuple(range(len(batch.ids))))

    @property
    def is_whole(self) -> bool:
        """Whether it is the batch as it was collated."""
        return len(self.positions) == len(self.batch.ids)

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [self.batch.ids[position] for position in self.positions]

    @property
    def rows(self) -> list[int]:
        """Their row numbers in the table; empty where the batch does not say."""
        return [self.batch.rows[position] for position in self.positions] if self.batch.rows else []

    @property
    def size(self) -> Size:
        """What decides the memory: rows cut out of a batch keep its padding."""
        duration = self.batch.padded_duration / max(len(self.batch.ids), 1)
        return Size(len(self.positions), duration, longest_label(self.batch.tensors))

    def without(self, names: set[str]) -> Part:
        """The part without the utterances of the given ids."""
        return Part(self.batch, tuple(at for at in self.positions if self.batch.ids[at] not in names))

    def halves(self) -> tuple[Part, Part]:
        """Two parts of about the same size."""
        middle = (len(self.positions) + 1) // 2
        return Part(self.batch, self.positions[:middle]), Part(self.batch, self.positions[middle:])

    def below(self, ceiling: Ceiling) -> Iterator[Part]:
        """The part in halves of halves, until none of them is as large as one that failed."""
        if not ceiling.reached(self.size):
            yield self
            return
        for half in self.halves():
            yield from half.below(ceiling)


class Splitter:
    """Cuts the batches of one run. Whether they can be cut is found out at the first one."""

    def __init__(self) -> None:
        self._cuts: bool | None = None

    def tensors(self, part: Part, again: Again) -> dict[str, Any]:
        """The tensors of a part; empty where none of its utterances could be read again."""
        tensors = part.batch.tensors
        if part.is_whole:
            return tensors
        if self._cuts is None:
            self._cuts = _can_be_cut(part.batch, again)
        return cut(tensors, len(part.batch.ids), part.positions) if self._cuts else again(part.rows).tensors


def _can_be_cut(batch: Batch, again: Again) -> bool:
    """Whether the second half of a batch, cut out of it, is what its utterances give when they are read again.

    The second: indices into the whole batch would agree in the first. Assumed where they cannot be read any more.
    """
    half = Part.whole(batch).halves()[1]
    try:
        made = cut(batch.tensors, len(batch.ids), half.positions)
    except Uncuttable:
        return False
    try:
        fresh = again(half.rows)
    except VoxError:
        return True
    return agrees(made, fresh.tensors) if fresh.ids == half.ids else True


def cut(tensors: Mapping[str, Any], n_utterances: int, positions: Sequence[int]) -> dict[str, Any]:
    """The rows `positions` of a collated batch. Raises `Uncuttable`."""
    return {key: _cut(key, value, tensors, n_utterances, positions) for key, value in tensors.items()}


def agrees(made: Mapping[str, Any], fresh: Mapping[str, Any]) -> bool:
    """Whether rows cut out of a batch are those of a batch of their own, but for padding at their end."""
    return set(made) == set(fresh) and all(_same(value, fresh[key]) for key, value in made.items())


def _cut(key: str, value: Any, tensors: Mapping[str, Any], n_utterances: int, positions: Sequence[int]) -> Any:
    if isinstance(value, torch.Tensor | np.ndarray):
        lengths = _lengths(key, value, tensors, n_utterances)
        if lengths is not None:
            ends = np.cumsum([0, *lengths])
            pieces: Any = [value[int(ends[at]) : int(ends[at + 1])] for at in positions]
            return torch.cat(pieces) if isinstance(value, torch.Tensor) else np.concatenate(pieces)
        if value.ndim and len(value) == n_utterances:
            first, last = positions[0], positions[-1]
            if list(positions) == list(range(first, last + 1)):
                return value[first : last + 1]  # a view
            return value[torch.tensor(positions)] if isinstance(value, torch.Tensor) else value[list(positions)]
    elif isinstance(value, Mapping):
        return {name: _cut(name, one, value, n_utterances, positions) for name, one in value.items()}
    elif isinstance(value, list | tuple) and len(value) == n_utterances:
        return type(value)([value[at] for at in positions])
    elif value is None or isinstance(value, bool | int | float | str):
        return value  # compared with a batch of their own, like everything else
    raise Uncuttable(key)


def _lengths(key: str, value: Any, tensors: Mapping[str, Any], n_utterances: int) -> list[int] | None:
    """Of each utterance in a flat tensor: `label_lengths` (B,) belongs to `labels` (their sum,)."""
    if value.ndim != 1:
        return None
    for name, other in tensors.items():
        of = name.removesuffix("_lengths")
        if of == name or not key.startswith(of) or not isinstance(other, torch.Tensor) or other.is_floating_point():
            continue
        if other.shape == (n_utterances,) and int(other.sum()) == len(value):
            return [int(one) for one in other]
    return None


def _same(made: Any, fresh: Any) -> bool:
    if isinstance(made, Mapping):
        return isinstance(fresh, Mapping) and agrees(made, fresh)
    if isinstance(made, np.ndarray) and isinstance(fresh, np.ndarray):
        made, fresh = torch.from_numpy(made), torch.from_numpy(fresh)
    if not isinstance(made, torch.Tensor) or not isinstance(fresh, torch.Tensor):
        return type(made) is type(fresh) and bool(made == fresh)
    if made.ndim != fresh.ndim or any(cut < own for cut, own in zip(made.shape, fresh.shape, strict=True)):
        return False
    shared = made[tuple(slice(0, size) for size in fresh.shape)]
    if not fresh.is_floating_point():
        return torch.equal(shared, fresh)
    return torch.allclose(shared, fresh, rtol=1e-4, atol=1e-5, equal_nan=True)
