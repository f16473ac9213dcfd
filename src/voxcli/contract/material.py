"""What components are tried on: audio, a corpus of two labels, tiny checkpoints. Made once a process, when needed."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.api import Corpus, Utterance
from voxcli.testing_audio import tones, write_speech

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000
LABELS = ("no", "yes")
TEXTS = ("one two", "three", "four five six")
MODELS = ("whisper", "ctc", "classifier", "pretraining")
"""Tiny checkpoints, by the task that they are of use to."""
OF_TASK = {"seq2seq": "whisper", "classification": "classifier"}

_CORPUS = Corpus(" abcdefghijklmnopqrstuvwxyz", LABELS, 6, 6.0, (3, 3))


@functools.cache
def folder() -> Path:
    """Removed when the process ends."""
    made = tempfile.TemporaryDirectory(prefix="vox-contract-material-")
    _KEPT.append(made)
    return Path(made.name).resolve()


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def corpus() -> Corpus:
    """What the training split of the small data would say of itself."""
    return _CORPUS


@functools.cache
def model(name: str) -> Path:
    """The folder of a tiny checkpoint with random weights."""
    from voxcli import testing_models

    made = {
        "whisper": testing_models.tiny_whisper,
        "ctc": testing_models.tiny_ctc,
        "pretraining": testing_models.tiny_pretraining,
    }
    path = folder() / name
    if name == "classifier":
        return testing_models.tiny_classifier(path, labels=LABELS)
    return made[name](path)


@functools.cache
def without_weights(checkpoint: Path) -> Path:
    """A copy of a checkpoint that holds everything but its weights."""
    copy = folder() / "without-weights" / f"{len(list(folder().glob('without-weights/*')))}"
    weights = ("*.safetensors", "*.bin", "*.pt", "*.ckpt", "*.npz", "*.onnx", "*.msgpack", "training_state")
    shutil.copytree(checkpoint, copy, ignore=shutil.ignore_patterns(*weights))
    return copy


@functools.cache
def data() -> Path:
    """A folder with a manifest of six training and two validation utterances, and their audio."""
    return write_speech(folder() / "data", texts=TEXTS, splits={"train": 6, "validation": 2})


@functools.cache
def _speech(text: str, sampling_rate: int) -> np.ndarray:
    import numpy as np

    return tones(text, sampling_rate=sampling_rate, rng=np.random.default_rng(1))


def clip(duration: float, sampling_rate: int = RATE, text: str = TEXTS[2]) -> np.ndarray:
    """Tones of a text, repeated or cut to a duration in s; float32 (N,), a copy of its own."""
    import numpy as np

    sound = _speech(text, sampling_rate)
    n_samples = max(1, round(duration * sampling_rate))
    return np.resize(sound, n_samples).astype(np.float32)


def silence(duration: float, sampling_rate: int = RATE) -> np.ndarray:
    """Zeros, float32 (N,)."""
    import numpy as np

    return np.zeros(max(1, round(duration * sampling_rate)), dtype=np.float32)


def utterance(number: int, duration: float, *, text: str | None = None) -> Utterance:
    """One that has everything: text, label, speaker, language. Its audio is given beside it."""
    said = TEXTS[number % len(TEXTS)] if text is None else text
    return Utterance(
        id=f"utterance-{number}",
        audio=Path(f"{number}.wav"),
        duration=duration,
        text=said,
        label=LABELS[number % 2],
        speaker="ada" if number % 2 else "bob",
        language="en",
    )


@dataclass(frozen=True)
class Clips:
    """The other utterances of a training split, for augmentations that mix: `voxcli.api.Others`."""

    sampling_rate: int
    durations: Sequence[float] = (0.7, 1.1, 0.4, 2.0)

    def __len__(self) -> int:
        return len(self.durations)

    def utterance(self, row: int) -> Utterance:
        """One row."""
        return utterance(row, self.durations[row])

    def audio(self, row: int) -> np.ndarray:
        """Its samples, not to be written to."""
        made = clip(self.durations[row], self.sampling_rate, TEXTS[row % len(TEXTS)])
        made.flags.writeable = False
        return made
