"""A model that reads how many samples a clip has, and tables of clips of known length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from voxcli.api import Bundle, Decoding, Limits, Transcript, Utterance
from voxcli.recipe.schema import TextRules

RATE = 16_000


class Rows(list):
    """Utterances as a table."""

    @property
    def durations(self) -> np.ndarray:
        return np.array([np.nan if one.duration is None else one.duration for one in self], dtype=np.float32)

    def utterance(self, index: int) -> Utterance:
        return self[index]


@dataclass
class Counting:
    """A task whose transcript is the number of milliseconds it heard; keeps what it was given."""

    batches: list[int] = field(default_factory=list)
    modes: list[tuple[bool, bool]] = field(default_factory=list)
    long: list[float] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        assert bundle.model is None or isinstance(bundle.model, torch.nn.Module)
        self.texts.append(utterance.text)
        return {"samples": len(audio)}

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        return {"samples": torch.tensor([item["samples"] for item in items])}

    def predict(self, bundle: Bundle, batch: dict[str, Any], decoding: Decoding) -> list[Transcript]:
        self.batches.append(len(batch["samples"]))
        self.modes.append((bundle.model.training, torch.is_grad_enabled()))
        return [Transcript(f"{int(n) * 1000 // RATE} ms") for n in batch["samples"]]

    def transcribe(self, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
        self.long.append(len(audio) / RATE)
        return Transcript(f"{len(audio) * 1000 // RATE} ms", duration=len(audio) / RATE)


class Family:
    """Takes 0.1 s to 2 s in one piece."""

    def limits(self) -> Limits:
        return Limits(RATE, 0.1, 2.0, 320, None, 10)


@pytest.fixture
def model() -> SimpleNamespace:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    network[1].eval()  # one part that training holds still
    return SimpleNamespace(
        bundle=Bundle(model=network, processor=SimpleNamespace(), family=Family()),
        task=Counting(),
        text=TextRules(),
        decoding=Decoding(),
        folder=None,
    )


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Utterance]:
    def make(name: str, duration: float, **fields: Any) -> Utterance:
        path = tmp_path / f"{name}.wav"
        time = np.arange(round(duration * RATE)) / RATE
        soundfile.write(path, 0.3 * np.sin(2 * np.pi * 300 * time), RATE)
        return Utterance(id=name, audio=path, **{"duration": duration, "text": f"{duration * 1000:.0f} ms", **fields})

    return make


@pytest.fixture
def table() -> type[Rows]:
    return Rows
