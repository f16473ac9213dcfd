"""What a step takes on the CPU, counted at torch's allocator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voxcli.api import Corpus, Decoding
from voxcli.memory import counted
from voxcli.memory.counted import Allocations, count_evaluation, count_step
from voxcli.memory.setup import PARTS, Setup, Shape
from voxcli.memory.step import trace_step
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing_models import tiny_ctc, tiny_whisper

CORPUS = Corpus(characters="abc", labels=(), n_utterances=4, duration=10.0)
SHAPE = Shape(n_utterances=3, duration=2.5, n_labels=12)
SIZES = {"d_model": 64, "encoder_ffn_dim": 256, "decoder_ffn_dim": 256}


def _whisper(tmp_path: Path, train: Train | None = None, **more: Any) -> Setup:
    folder = tiny_whisper(tmp_path / "whisper", **SIZES)
    family = Whisper(checkpoint=str(folder), language="en")
    return Setup(family, Seq2Seq(), CORPUS, train or Train(), device="cpu", **more)


def test_allocations_see_what_an_operation_needs_for_itself() -> None:
    x = torch.randn(256, 1024).bfloat16()
    with Allocations() as seen:
        seen.mark()
        y = x + torch.ones(1024)  # bfloat16 and float32: both are float32 while it runs
        seen.mark()
        del y
        seen.mark()
    assert seen.curve[-1] < 256 * 1024 * 4
    assert seen.peak >= 256 * 1024 * 4
    added, deleted = seen.between_marks()
    assert added == deleted == seen.peak or added >= deleted


def test_what_lies_between_marks_is_told_apart() -> None:
    with Allocations() as seen:
        kept = []
        for n_bytes in (1000, 4000, 2000):
            seen.mark()
            kept.append(torch.empty(n_bytes, dtype=torch.uint8))
            torch.empty(500, dtype=torch.uint8)
            seen.mark()
    assert seen.between_marks()[::2] == [1500, 5500, 7500]


def test_the_first_step_has_no_states_of_the_optimizer_yet(tmp_path: Path) -> None:
    setup = _whisper(tmp_path)
    peaks = count_step(setup, SHAPE)
    n_bytes = sum(one.nbytes for one in counted.build(setup).model.parameters() if one.requires_grad)
    for peak in (peaks.first, peaks.steady):
        assert sum(peak.parts.values()) == peak.total
        assert set(peak.parts) == set(PARTS)
        assert peak.parts["trained weights"] == n_bytes
    assert peaks.first.parts["optimizer"] == 0
    assert peaks.steady.parts["optimizer"] == pytest.approx(2 * n_bytes, rel=0.01)
    assert peaks.worst is peaks.steady


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "full": ({}, {}),
    "checkpointing": ({"gradient_checkpointing": True}, {}),
    "bf16": ({"mixed_precision": "bf16"}, {}),
    "accumulation": ({"gradient_accumulation_steps": 2}, {}),
    "adafactor": ({"optim": "adafactor"}, {}),
    "adagrad, whose states are there from the beginning": ({"optim": "adagrad"}, {}),
    "8-bit": ({"optim": "adamw_bnb_8bit"}, {}),
    "lora": ({}, {"adapter": Adapter(r=4)}),
    "int8": (
        {"gradient_checkpointing": True},
        {"adapter": Adapter(r=4), "quantization": Quantization(load_in_8bit=True)},
    ),
    "nf4": ({"mixed_precision": "bf16"}, {"adapter": Adapter(r=4), "quantization": Quantization(load_in_4bit=True)}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_prediction_is_what_a_step_takes(name: str, tmp_path: Path) -> None:
    train, more = CASES[name]
    setup = _whisper(tmp_path, Train(**train), **more)
    real, predicted = count_step(setup, SHAPE), trace_step(setup, SHAPE).peaks
    assert predicted.first.total == pytest.approx(real.first.total, rel=0.01)
    assert predicted.steady.total == pytest.approx(real.steady.total, rel=0.01)
    assert predicted.steady.results == pytest.approx(real.steady.results, rel=0.01)
    assert predicted.steady.results <= predicted.steady.total


def test_real_batches_can_be_counted(tmp_path: Path) -> None:
    folder = tiny_ctc(tmp_path / "ctc")
    setup = Setup(CTC(checkpoint=str(folder)), CTCTask(), CORPUS, Train(), device="cpu")
    bundle = counted.build(setup)
    from voxcli.api import Utterance

    def unread() -> tuple[np.ndarray, int]:
        raise AssertionError

    audio = np.sin(np.arange(16_000, dtype=np.float32) / 20)
    item = setup.task.features(Utterance(id="a", audio=unread, duration=1.0, text="abc"), audio, bundle)
    small = setup.task.collate([item], bundle)
    large = setup.task.collate([item] * 4, bundle)
    sizes = [count_step(setup, [batch], bundle=bundle).worst.total for batch in (small, large)]
    assert sizes[1] > 2 * sizes[0]


def test_evaluation_is_counted_with_its_decoding(tmp_path: Path) -> None:
    setup = _whisper(tmp_path)
    bundle = counted.build(setup)
    few, many = (
        count_evaluation(setup, SHAPE, Decoding(num_beams=beams, max_new_tokens=8, language="en"), bundle=bundle)
        for beams in (1, 4)
    )
    assert few.phase == "decoding"
    assert few.total > sum(one.nbytes for one in bundle.model.parameters())
    assert many.total >= few.total
