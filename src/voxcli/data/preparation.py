"""One utterance -> one item: its audio read, augmented and turned into features; or why it cannot be used."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxcli.api import Augmentation, Bundle, Limits, Others, Task, Utterance
from voxcli.audio.decode import read_utterance
from voxcli.augment.segments import moved
from voxcli.data.remembered import Remembered
from voxcli.errors import DataError, VoxError

log = logging.getLogger(__name__)

FEATURES = 2**32  # place of what a task draws: beyond those of augmentations
LOUDEST = 2.0**32
"""More than integers of 32 bits reach that nobody has scaled; sums of their squares are finite in float32."""


@dataclass(frozen=True)
class Step:
    """A clip before and after one augmentation of the list."""

    augmentation: Augmentation
    applied: bool
    """Whether the draw let it through."""
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    utterance: Utterance
    """With the text that it now has."""


def steps(
    utterance: Utterance,
    audio: NDArray[np.float32],
    augment: Sequence[Augmentation],
    *,
    sampling_rate: int,
    seed: int,
    epoch: int,
    others: Others | None = None,
    always: bool = False,
) -> Iterator[Step]:
    """Audio (N,) through each augmentation that its draw lets through; with `always`, through each.

    Each augmentation draws from a generator of its own, seeded by (seed, epoch, utterance id, place in the list): a
    change of its keys leaves what the rest do as it was. Raises `DataError` where one mixes and there are no `others`.
    """
    for place, augmentation in enumerate(augment):
        rng = generator(utterance.id, place, seed=seed, epoch=epoch)
        before, applied = audio, bool(rng.random() < augmentation.p) or always
        if applied:
            audio, utterance = _changed(augmentation, utterance, audio, sampling_rate, rng, others)
        yield Step(augmentation, applied, before, audio, utterance)


def generator(name: str, place: int, *, seed: int, epoch: int) -> np.random.Generator:
    """The generator of what is drawn for one utterance in one epoch; `place` tells its several draws apart."""
    identity = int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    return np.random.default_rng([seed % 2**63, epoch, identity, place])


def _changed(
    augmentation: Augmentation,
    utterance: Utterance,
    audio: NDArray[np.float32],
    sampling_rate: int,
    rng: np.random.Generator,
    others: Others | None,
) -> tuple[NDArray[np.float32], Utterance]:
    blend = getattr(augmentation, "blend", None)
    if blend is None:
        changed = augmentation(audio, sampling_rate, rng)
    elif others is None:
        kind = type(augmentation).__name__
        raise DataError(
            f"the augmentation {kind} mixes utterances, and these data cannot be read in any order",
            help="data that are not streamed, or noise from a folder",
        )
    else:
        changed, utterance = blend(utterance, audio, sampling_rate, rng, others)
    changed = np.asarray(changed, dtype=np.float32)
    if changed.ndim != 1:
        raise ValueError(f"{type(augmentation).__name__} returned samples of shape {changed.shape}, expected (M,)")
    if blend is None and utterance.segments and len(changed) != len(audio):
        scales = getattr(augmentation, "scales_time", False) and len(audio)
        utterance = utterance.replace(
            segments=moved(utterance.segments, factor=len(changed) / len(audio)) if scales else ()
        )
    return changed, utterance


class Skip(Exception):
    """A clip that cannot be used; its text is the reason."""


@dataclass(frozen=True)
class Preparation:
    """What turns one utterance into one item. Pickled once per worker."""

    task: Task
    bundle: Bundle
    augment: tuple[Augmentation, ...]
    sampling_rate: int
    seed: int
    epoch: int
    limits: Limits | None
    others: Others | None = None
    """The training split, where an augmentation may mix."""
    remembered: Remembered | None = None
    """What earlier epochs have read; None where every epoch reads for itself."""

    def item(self, utterance: Utterance) -> tuple[dict[str, Any], float]:
        """The features of an utterance and its duration, s. Raises `Skip` with the reason."""
        if self.remembered is None or self._differs:
            return self._item(utterance)
        return self.remembered.of(utterance.id, lambda: self._item(utterance))

    @property
    def _differs(self) -> bool:
        """Whether an utterance becomes another item in another epoch."""
        return bool(self.augment) or hasattr(self.task, "drawn_features")

    def _item(self, utterance: Utterance) -> tuple[dict[str, Any], float]:
        audio, utterance = self.heard(utterance)
        if why := unusable(audio):
            raise Skip(f"{why} (after augmentation)" if self.augment else why)
        duration = len(audio) / self.sampling_rate
        utterance = utterance.replace(duration=duration)
        if self.limits is not None and (why := self.task.problem(utterance, self.limits, self.bundle)):
            raise Skip(f"{why} (after augmentation)" if self.augment else why)
        try:
            return self._features(utterance, audio), duration
        except VoxError as error:
            raise Skip(error.message) from error
        except Exception as error:  # one odd clip must not end a run; where all fail, the loader ends it
            log.debug("no features for %s", utterance.id, exc_info=True)
            raise Skip(f"no features: {type(error).__name__}: {error}") from error

    def _features(self, utterance: Utterance, audio: NDArray[np.float32]) -> dict[str, Any]:
        drawn = getattr(self.task, "drawn_features", None)
        if drawn is None:
            return self.task.features(utterance, audio, self.bundle)
        rng = generator(utterance.id, FEATURES, seed=self.seed, epoch=self.epoch)
        made: dict[str, Any] = drawn(utterance, audio, self.bundle, rng)
        return made

    def heard(self, utterance: Utterance) -> tuple[NDArray[np.float32], Utterance]:
        """Its samples (N,), augmented, and what is said in them. Raises `Skip` where they cannot be read."""
        return self._augment(self._read(utterance), utterance)

    def _read(self, utterance: Utterance) -> NDArray[np.float32]:
        if self.remembered is None or not self._differs:
            return self._decoded(utterance)
        return self.remembered.of(utterance.id, lambda: self._decoded(utterance))

    def _decoded(self, utterance: Utterance) -> NDArray[np.float32]:
        try:
            audio = read_utterance(utterance, self.sampling_rate)
        except VoxError as error:
            raise Skip(error.message) from error
        except Exception as error:  # a data set's own reader: anything may come out of it
            raise Skip(f"its audio cannot be read: {type(error).__name__}: {error}") from error
        if not len(audio):
            raise Skip("its audio is empty")
        return audio

    def _augment(self, audio: NDArray[np.float32], utterance: Utterance) -> tuple[NDArray[np.float32], Utterance]:
        try:
            for step in steps(
                utterance,
                audio,
                self.augment,
                sampling_rate=self.sampling_rate,
                seed=self.seed,
                epoch=self.epoch,
                others=self.others,
            ):
                audio, utterance = step.after, step.utterance
        except VoxError:
            raise
        except Exception as error:  # a plugin's code on this one clip
            raise Skip(f"augmentation failed: {type(error).__name__}: {error}") from error
        if not len(audio):
            raise Skip("augmentation left no audio")
        return audio, utterance


def unusable(audio: NDArray[np.float32]) -> str | None:
    """Why samples (N,) must not reach a model, or None: squares of them would not be finite in float32."""
    low, high = float(audio.min()), float(audio.max())  # not numbers where one sample is not
    if max(-low, high) <= LOUDEST:
        return None
    bad = int((~np.isfinite(audio)).sum())
    if bad:
        return f"{bad} of {len(audio)} samples are not numbers"
    return f"its samples reach {max(-low, high):.3g}, and audio lies within -1 and 1"
