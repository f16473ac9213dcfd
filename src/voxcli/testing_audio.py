"""Small synthetic audio: a corpus of tones that tiny models can learn. `voxcli.testing` offers it to tests.

Importing this module costs the standard library.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CHARACTER_SECONDS = 0.08  # s of tone for each character of a synthetic utterance
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def write_speech(
    folder: Path,
    *,
    n: int = 8,
    texts: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    splits: Mapping[str, int] | None = None,
    sampling_rate: int = 16000,
    suffix: str = ".wav",
    speakers: Sequence[str] = ("ada", "bob"),
    language: str | None = "en",
    seed: int = 0,
) -> Path:
    """Write a corpus that a tiny model can learn: every character has its own tone. Returns `folder`.

    `folder/manifest.csv` has the columns path, duration, text, speaker, language, split; the audio lies in
    `folder/audio`. With `labels` there is a column label as well: they are used in turn, and are what is "said" unless
    `texts` are given, so that a classifier can learn them. `n` training utterances; `splits` is how many each split has
    instead, by default n for training and 2 for validation and for test. `texts` are used in turn; by default two of
    ten words.
    """
    import numpy as np
    import soundfile

    rng = np.random.default_rng(seed)
    texts = texts or labels
    counts = dict(splits) if splits is not None else {"train": n, "validation": 2, "test": 2}
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows: list[list[str]] = []
    for split, count in counts.items():
        for index in range(count):
            number = len(rows)
            text = texts[number % len(texts)] if texts else " ".join(rng.choice(WORDS, 2))
            samples = tones(text, sampling_rate=sampling_rate, rng=rng)
            name = f"audio/{split}-{index:03}{suffix}"
            soundfile.write(folder / name, samples, sampling_rate)
            duration = f"{len(samples) / sampling_rate:.3f}"
            rows.append([name, duration, text, speakers[number % len(speakers)], language or "", split])
            rows[-1] += [labels[number % len(labels)]] if labels else []
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "duration", "text", "speaker", "language", "split", *(["label"] if labels else [])])
        writer.writerows(rows)
    return folder


def tones(text: str, *, sampling_rate: int = 16000, rng: np.random.Generator | None = None) -> np.ndarray:
    """Text -> float32 (N,): `CHARACTER_SECONDS` of one tone for each character, silence for a space, a little noise."""
    import numpy as np

    rng = rng or np.random.default_rng(0)
    length = round(CHARACTER_SECONDS * sampling_rate)
    time = np.arange(length) / sampling_rate
    pieces = [np.zeros(length // 2)]
    for character in text:
        pitch = 0.0 if character.isspace() else 200.0 + 97.0 * (ord(character) % 37)
        pieces.append(0.3 * np.hanning(length) * np.sin(2 * np.pi * pitch * time))
    pieces.append(np.zeros(length // 2))
    audio = np.concatenate(pieces)
    return (audio + 0.002 * rng.standard_normal(len(audio))).astype(np.float32)
