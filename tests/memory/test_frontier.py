"""Two short traces say what a trace of the whole model says, for every batch, optimizer and accumulation."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxcli.api import Corpus
from voxcli.memory import frontier as frontiers
from voxcli.memory import growth, roles
from voxcli.memory.frontier import Frontier
from voxcli.memory.growth import FEATURES, Frames
from voxcli.memory.setup import PARTS, Setup, Shape
from voxcli.memory.step import trace_step
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing_models import tiny_ctc, tiny_whisper

CORPUS = Corpus(characters=" 'abcdefghijklmnopqrstuvwxyz", labels=(), n_utterances=10, duration=100.0)
SIZES = {"d_model": 128, "encoder_ffn_dim": 512, "decoder_ffn_dim": 512}
HALF = {"mixed_precision": "fp16", "frozen_dtype": "float16"}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven layers and five: the numbers of layers are not those of any trace."""
    return tiny_whisper(tmp_path_factory.mktemp("whisper"), encoder_layers=7, decoder_layers=5, **SIZES)


@pytest.fixture(scope="module")
def ctc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(
        tmp_path_factory.mktemp("ctc"), hidden_size=128, intermediate_size=512, num_hidden_layers=6, mask_time_prob=0.05
    )


def of_whisper(checkpoint: Path, *, family: dict[str, Any] | None = None, train: Any = None, **more: Any) -> Setup:
    made = Whisper(checkpoint=str(checkpoint), language="en", **(family or {}))
    options = Train(max_steps=1, batch_duration=30.0, **(train or {}))
    return Setup(family=made, task=Seq2Seq(), corpus=CORPUS, train=options, **more)


def of_ctc(checkpoint: Path, *, family: dict[str, Any] | None = None, train: Any = None, **more: Any) -> Setup:
    options = Train(max_steps=1, batch_duration=30.0, **(train or {}))
    made = CTC(checkpoint=str(checkpoint), **(family or {}))
    return Setup(family=made, task=CTCTask(), corpus=CORPUS, train=options, **more)


def assert_alike(setup: Setup, *shapes: Shape) -> Frontier:
    frontier = Frontier.fit(setup)
    assert frontier.shortened
    for shape in shapes:
        exact, found = trace_step(setup, shape).peaks, frontier.peak(shape)
        for mine, theirs in ((found.first, exact.first), (found.steady, exact.steady)):
            assert mine.total == pytest.approx(theirs.total, rel=0.002), (shape, mine, theirs)
            assert mine.phase == theirs.phase
            assert sum(mine.parts.values()) == mine.total
            for part in PARTS:
                assert mine.parts.get(part, 0) == pytest.approx(theirs.parts.get(part, 0), abs=0.01 * theirs.total)
        assert frontier.total(shape) == pytest.approx(found.worst.total, abs=4)
    return frontier


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"train": {"gradient_checkpointing": True, "mixed_precision": "bf16"}, "family": {"encoder_context": "clip"}},
        {"train": {"gradient_accumulation_steps": 4, "optim": "adafactor"}, "family": {"freeze_encoder": True}},
        {"adapter": Adapter(), "train": HALF},
    ],
    ids=["full", "checkpointing, clip", "accumulation, frozen encoder", "LoRA"],
)
def test_whisper(whisper: Path, options: dict[str, Any]) -> None:
    assert_alike(of_whisper(whisper, **options), Shape(9, 2.9, 60))


def test_merged_silence(whisper: Path) -> None:
    """Up to where there is silence to merge; nearer to the window a clip is as long as that."""
    assert_alike(of_whisper(whisper, family={"encoder_context": "merged"}), Shape(9, 1.9, 60))


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_ctc(ctc: Path, device: Any) -> None:
    assert_alike(of_ctc(ctc, device=device), Shape(6, 15.1, 150))


def test_a_frozen_base_that_is_quantised_and_computed_again(ctc: Path) -> None:
    pytest.importorskip("bitsandbytes")
    setup = of_ctc(
        ctc,
        adapter=Adapter(),
        quantization=Quantization(load_in_8bit=True),
        train={**HALF, "gradient_checkpointing": True, "optim": "adamw_bnb_8bit"},
    )
    assert_alike(setup, Shape(5, 6.2, 30))


def test_the_peak_is_named_by_the_layer_of_the_whole_model(ctc: Path) -> None:
    setup = of_ctc(ctc, train={"attn_implementation": "eager"})
    shape = Shape(8, 20.0, 20)
    frontier = assert_alike(setup, shape)
    where = frontier.peak(shape).steady.where
    assert where == trace_step(setup, shape).peaks.steady.where
    assert ".5" in where, "the last of six layers"


def test_layers_that_differ_are_traced_one_by_one(ctc: Path) -> None:
    setup = of_ctc(ctc, family={"freeze_layers": 2})
    frontier = Frontier.fit(setup)
    assert not frontier.shortened
    shape = Shape(4, 5.0, 20)
    exact = trace_step(setup, shape).peaks.worst.total
    assert frontier.total(shape) == pytest.approx(exact, rel=0.002)
    some = of_ctc(ctc, adapter=Adapter(layers_to_transform=(0, 3)))
    assert roles.stacks(some) == ()


def test_another_optimizer_needs_no_other_trace(ctc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = of_ctc(ctc)
    frontier = Frontier.fit(setup)
    shape = Shape(3, 4.0, 30)
    wanted = {}
    for optim, steps in itertools.product(("sgd", "adamw_bnb_8bit"), (1, 2)):
        other = setup.with_train(optim=optim, gradient_accumulation_steps=steps)
        wanted[optim, steps] = trace_step(other, shape).peaks.worst.total
    monkeypatch.setattr(roles, "record", None)
    for (optim, steps), total in wanted.items():
        other = frontier.for_setup(setup.with_train(optim=optim, gradient_accumulation_steps=steps))
        assert other.total(shape) == pytest.approx(total, rel=0.002), (optim, steps)


def test_the_largest_batch_fits_and_the_next_does_not(ctc: Path) -> None:
    frontier = Frontier.fit(of_ctc(ctc))
    budget = frontier.total(Shape(11, 4.0, 20)) + 10_000
    assert frontier.largest(budget, 4.0, 20) == 11
    assert frontier.largest(1000, 4.0, 20) == 0


def test_it_checks_itself(ctc: Path) -> None:
    frontier = Frontier.fit(of_ctc(ctc))
    assert abs(frontiers.check(frontier, Shape(4, 3.3, 30))) < 0.002


def test_flops_are_those_of_the_whole_model(whisper: Path) -> None:
    setup = of_whisper(whisper)
    shape = Shape(6, 2.0, 41)
    assert Frontier.fit(setup).flops(shape) == pytest.approx(trace_step(setup, shape).flops, rel=0.01)


def features(*sizes: float) -> Any:
    return np.asarray([term(*sizes) for term in FEATURES.values()])


@pytest.mark.parametrize(
    "size",
    [
        lambda b, t, u: 4096,
        lambda b, t, u: 4 * b * 768,
        lambda b, t, u: 2 * b * t * 768,
        lambda b, t, u: 4 * b * t * t * 12,
        lambda b, t, u: 4 * b * u * 51865,
        lambda b, t, u: 4 * b * 12 * u * u,
        lambda b, t, u: 2 * b * 6 * t * u,
        lambda b, t, u: 4 * b * t * (2 * u + 1),
        lambda b, t, u: 4 * t * 768,
        lambda b, t, u: u * u,
        lambda b, t, u: 4 * b * 512 * (64 * t + 15),
        lambda b, t, u: 2 * b * t * (t + 8),
    ],
)
def test_every_way_of_growing_is_told_from_two_sizes(size: Any) -> None:
    one, other = (2, 104, 60), (4, 152, 69)
    pair = features(one[0], one[1], one[1], one[2]), features(other[0], other[1], other[1], other[2])
    found = growth.coefficients([size(*one)], [size(*other)], pair)[0]
    for b, t, u in ((1, 50, 10), (16, 1500, 200), (300, 99, 448)):
        assert found @ features(b, t, t, u) == pytest.approx(size(b, t, u), rel=1e-9)


@pytest.mark.parametrize("context", ["window", "clip"])
def test_frames_are_those_of_the_model(whisper: Path, ctc: Path, context: Any) -> None:
    frames = Frames.of(of_whisper(whisper, family={"encoder_context": context}))
    assert frames(2.0) == ((150.0, 150.0) if context == "window" else (125.0, 125.0))
    small, large = (frames(shape.duration)[0] for shape in frames.two_shapes())
    assert (small, large) == ((150, 150) if context == "window" else (88, 136))
    of_frames = Frames.of(of_ctc(ctc))
    assert [of_frames(shape.duration) for shape in of_frames.two_shapes()] == [(104.0, 104.0), (152.0, 152.0)]
    assert of_frames(2.0)[0] == 99
    assert 99 <= of_frames(2.0)[1] < 100


def test_what_was_traced_once_is_read_from_the_disk(ctc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process with the same model says the same without a trace; another model is traced."""
    traced: list[Setup] = []
    pair = roles.pair

    def counted(setup: Setup, **options: Any) -> Any:
        traced.append(setup)
        return pair(setup, **options)

    monkeypatch.setattr(roles, "pair", counted)
    monkeypatch.setattr(frontiers, "_kept", {})
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    setup, shape = of_ctc(ctc), Shape(3, 2.0, 20)
    first = Frontier.fit(setup)
    assert len(traced) == 1
    monkeypatch.setattr(frontiers, "_kept", {})
    again = Frontier.fit(setup)
    assert len(traced) == 1
    assert again.peak(shape) == first.peak(shape)
    assert again.flops(shape) == first.flops(shape)
    assert again.setup is setup

    monkeypatch.setattr(frontiers, "_kept", {})
    (file,) = (tmp_path / "cache").rglob("*.npz")
    file.write_bytes(file.read_bytes()[:1000])
    assert Frontier.fit(setup).peak(shape) == first.peak(shape)  # what cannot be read is made anew
    assert len(traced) == 2
    changed = tiny_ctc(tmp_path / "other", hidden_size=64, intermediate_size=256, num_hidden_layers=6)
    assert Frontier.fit(of_ctc(changed)).peak(shape).steady.total < first.peak(shape).steady.total
    assert len(traced) == 3
