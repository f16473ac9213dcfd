"""Augmentations with one fault each."""

import random
from typing import ClassVar

import numpy as np

from voxcli.api import config, hookimpl


class Kept:
    """Bounds of an augmentation that keeps the length."""

    def __call__(self, audio, sampling_rate, rng):
        return audio.copy()

    def longest(self, duration):
        return duration


@config
class NoShare(Kept):
    """Its p is 3."""

    p: float = 3.0
    """Share of the utterances."""


@config
class Wide(Kept):
    """Returns float64."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        return audio * np.float64(0.5)


@config
class Infinite(Kept):
    """Divides by the peak."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        with np.errstate(all="ignore"):
            return audio / np.abs(audio).max()


@config
class InPlace(Kept):
    """Writes into the clip."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        audio *= 0.5
        return audio


@config
class Counting(Kept):
    """Remembers how often it was called."""

    calls: ClassVar[list[int]] = []

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        self.calls.append(1)
        return (audio * np.float32(0.5 + 0.001 * len(self.calls))).astype(np.float32)


@config
class Global(Kept):
    """Draws from Python's generator, and seeds it itself, so that it seems to repeat."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        random.seed(1)
        return audio * np.float32(random.random())


@config
class Longer(Kept):
    """Adds a second and does not say so."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        return np.pad(audio, (0, sampling_rate))


@config
class Shorter(Kept):
    """Halves it and does not say so."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        return audio[: len(audio) // 2 + 1].copy()


@config
class Boundless(Kept):
    """Has no bound."""

    p: float = 1.0
    """Share of the utterances."""

    def longest(self, duration):
        return float("inf")


@config
class Fragile(Kept):
    """Needs a hundred samples."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        if len(audio) < 100:
            raise ValueError("too short")
        return audio.copy()


@config
class Idle(Kept):
    """Says that it does nothing, and does."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        return audio * np.float32(0.5)

    def idle(self, sampling_rate):
        return "nothing is to be done"


@config
class Mixing(Kept):
    """Forgets the utterance."""

    p: float = 1.0
    """Share of the utterances."""

    def blend(self, utterance, audio, sampling_rate, rng, others):
        return audio.copy(), utterance.text


@config
class Coin(Kept):
    """Draws from numpy's generator, and that only where a coin falls so."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        out = audio.copy()
        if rng.random() < 0.5:
            out[np.random.randint(len(out))] = 1.0
        return out


@hookimpl
def vox_register(registry):
    for name, found in list(globals().items()):
        if isinstance(found, type) and found is not Kept:
            registry.add("augmentation", name.lower(), f"{__name__}:{name}", summary="a fault")
