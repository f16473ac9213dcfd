"""A few clips are learned by heart and read back: the labels, the loss and the decoding mean the same thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voxcli.api import Corpus, Decoding, Utterance
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing_models import tiny_ctc, tiny_whisper
from voxcli.train.loading import build, save_pretrained

RATE = 16_000
TEXTS = ["ab", "ba ab"]


def tones(text: str) -> np.ndarray:
    """Each character is a tone of 0.15 s."""
    time = np.arange(round(0.15 * RATE)) / RATE
    pitch = {"a": 400.0, "b": 1500.0, " ": 0.0}
    return np.concatenate([0.3 * np.sin(2 * np.pi * pitch[c] * time) for c in text]).astype(np.float32)


@pytest.mark.parametrize("name", ["window", "clip", "parakeet_ctc"])
def test_what_was_learned_is_read_back(tmp_path: Path, name: str) -> None:
    family: Any
    task: Any
    if name == "parakeet_ctc":
        folder = tiny_ctc(tmp_path / "base", architecture=name, hidden_size=32)
        family, task, rate = CTC(checkpoint=str(folder), vocabulary="data"), CTCTask(), 1e-2
    else:
        folder = tiny_whisper(tmp_path / "base", d_model=32)
        family = Whisper(checkpoint=str(folder), language="tr", encoder_context=name)  # type: ignore[arg-type]
        task, rate = Seq2Seq(), 3e-3
    bundle = build(family, Corpus(characters=" ab", labels=(), n_utterances=2, duration=2.0), seed=1)
    items = [task.features(Utterance(id=t, audio=Path(t), text=t), tones(t), bundle) for t in TEXTS]
    batch = task.collate(items, bundle)
    optimizer = torch.optim.AdamW(bundle.model.parameters(), lr=rate)
    for _ in range(80 if name == "parakeet_ctc" else 150):
        total, count = task.loss(bundle, batch)
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(bundle.model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    decoding = Decoding(max_new_tokens=10)
    assert [one.text for one in task.predict(bundle, batch, decoding)] == TEXTS
    save_pretrained(bundle, tmp_path / "saved")
    again = type(family)(checkpoint=str(tmp_path / "saved"), **({"encoder_context": name} if task.__class__ is Seq2Seq
                                                               else {})).build(Corpus("", (), 0, 0.0))  # fmt: skip
    assert [one.text for one in task.predict(again, batch, decoding)] == TEXTS
