"""Texts that go round in circles end early; all others are what they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from voxcli.api import Bundle, Decoding, Utterance
from voxcli.models.open import open_model
from voxcli.tasks.endless import EVERY, LONGEST, TAIL, done, goes_round
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing_models import tiny_whisper


def circle(size: int, length: int = TAIL) -> list[int]:
    return [index % size for index in range(length)]


def test_circles_are_seen_and_nothing_else() -> None:
    almost = circle(3)
    almost[20] = 9
    rows = [circle(1), circle(LONGEST), circle(LONGEST + 1), almost, list(range(TAIL))]
    assert goes_round(torch.tensor(rows)).tolist() == [True, True, False, False, False]


def test_a_row_is_done_once_its_end_is_a_circle() -> None:
    rows = torch.tensor([[7, 8, 9] * 40, list(range(120))])
    assert done(rows[:, : TAIL - 1]).tolist() == [False, False]
    assert done(rows[:, : TAIL + EVERY]).tolist() == [True, False]
    assert done(rows[:, : TAIL + EVERY + 1]).tolist() == [False, False]  # not looked at


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tiny_whisper(tmp_path_factory.mktemp("endless") / "whisper", max_target_positions=448)
    made = open_model(str(folder), device="cpu").bundle
    config: Any = made.model.generation_config
    config.suppress_tokens = list(range(256, made.model.config.vocab_size))  # bytes alone, without an end
    return made


def test_generation_ends_early_where_texts_go_round(bundle: Bundle) -> None:
    task = Seq2Seq()
    audio = [np.random.default_rng(seed).normal(size=16_000).astype(np.float32) for seed in (0, 1)]
    items = [task.features(Utterance(id=str(n), audio="x.wav"), one, bundle) for n, one in enumerate(audio)]
    batch = task.collate(items, bundle)
    steps = []
    handle = bundle.model.model.decoder.register_forward_hook(lambda *_: steps.append(1))
    try:
        whole = task.predict(bundle, batch, Decoding())
        counted = len(steps)
        early = task.predict(bundle, batch, Decoding(stop_repeats=True))
    finally:
        handle.remove()
    for one, other in zip(whole, early, strict=True):
        assert other.text
        assert one.text.startswith(other.text)
    assert len(steps) - counted < counted / 2
