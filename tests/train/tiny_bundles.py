"""Families of tiny checkpoints and a batch of two utterances, for tests of what training does to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from voxcli.api import Bundle, Utterance
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.seq2seq import Seq2Seq


def family_of(folders: dict[str, Path], name: str, **keys: Any) -> tuple[Any, Any]:
    """The family and the task of `folders[name]`; all but "whisper" are CTC."""
    if name == "whisper":
        return Whisper(checkpoint=str(folders[name]), language="tr", **keys), Seq2Seq()
    return CTC(checkpoint=str(folders[name]), **keys), CTCTask()


def batch_of(bundle: Bundle, task: Any) -> dict[str, Any]:
    """A second of audio and one and a half, with two and four letters."""
    rng = np.random.default_rng(0)
    audio = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (16_000, 24_000)]
    utterances = [Utterance(id=t, audio=Path(t), text=t, duration=1.0) for t in ("ab", "abba")]
    return task.collate([task.features(u, a, bundle) for u, a in zip(utterances, audio, strict=True)], bundle)  # type: ignore[no-any-return]
