"""The largest batches: none that the sampler makes exceeds them, and the sampler comes near them."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from voxcli.augment.speed import Speed
from voxcli.data.batches import DurationBatches, by_duration, lengthened
from voxcli.engines.batching import pack
from voxcli.memory import worst
from voxcli.memory.setup import Shape
from voxcli.memory.worst import Clips


def made(rng: np.random.Generator, size: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    if kind == "even":
        durations = rng.uniform(0.5, 30.0, size)
    elif kind == "few lengths":
        durations = rng.choice([2.0, 2.5, 7.0, 29.9], size)
    else:
        durations = np.exp(rng.normal(1.5, 0.6, size)).clip(0.3, 30.0)
    labels = rng.integers(1, 8, size) + (durations * 12 * rng.uniform(0.3, 1.0, size)).astype(int)
    return durations.astype(np.float32), labels.astype(np.int64)


def within(shapes: list[Shape], count: int, duration: float, labels: int) -> bool:
    return any(s.n_utterances >= count and s.duration >= duration - 1e-4 and s.n_labels >= labels for s in shapes)


@pytest.mark.parametrize("kind", ["even", "few lengths", "speech"])
@pytest.mark.parametrize("size", [1, 7, 60, 900])
@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize(
    ("budget", "most", "window"),
    [(60.0, None, None), (60.0, 8, None), (None, 6, None), (120.0, None, 30.0), (4.0, None, None)],
)
def test_no_batch_of_any_epoch_exceeds_them(
    kind: str, size: int, grouped: bool, budget: float | None, most: int | None, window: float | None
) -> None:
    durations, labels = made(np.random.default_rng(size), size, kind)
    padded = None if window is None else (lambda _: window)
    augment = (Speed(factors=(0.9, 1.1)),)
    longest = lengthened(durations, augment)
    clips = Clips.of(durations, labels, augment=augment, padded=padded, longest=32.0)
    shapes = dataclasses.replace(clips, grouped=grouped).shapes(batch_duration=budget, batch_size=most)
    batching = DurationBatches(longest, batch_duration=budget, batch_size=most, seed=3, padded=padded, grouped=grouped)
    for epoch in range(12):
        for rows in batching.epoch(epoch, world=1 + epoch % 2):
            point = len(rows), float(np.minimum(longest[rows], 32.0).max()), int(labels[rows].max())
            assert within(shapes, *point), (point, shapes[:5])
    assert not any(within([b], a.n_utterances, a.duration, a.n_labels) for a in shapes for b in shapes if a != b)


def test_the_sampler_comes_near_them() -> None:
    durations, labels = made(np.random.default_rng(0), 4000, "speech")
    shapes = Clips.of(durations, labels).shapes(batch_duration=160.0)
    batching = DurationBatches(durations, batch_duration=160.0, batch_size=None, seed=0)
    batches = [rows for epoch in range(8) for rows in batching.epoch(epoch)]

    def logits(count: int, duration: float, label: int) -> float:
        return count * duration * (20.0 + label)

    predicted = max(logits(s.n_utterances, s.duration, s.n_labels) for s in shapes)
    met = max(logits(len(rows), float(durations[rows].max()), int(labels[rows].max())) for rows in batches)
    assert met <= predicted <= 1.1 * met
    assert max(s.n_utterances * s.duration for s in shapes) <= 160.0 + 1e-3


def test_a_short_clip_with_a_long_label_is_not_in_the_batch_of_the_longest() -> None:
    durations = np.concatenate([np.full(500, 1.0), np.linspace(2.0, 20.0, 500)])
    labels = np.concatenate([np.full(500, 300), np.full(500, 40)])
    shapes = Clips.of(durations, labels).shapes(batch_duration=100.0)
    assert max(s.n_labels for s in shapes if s.duration > 15.0) == 40
    assert max(s.n_labels for s in shapes if s.duration < 3.0) == 300


def test_a_window_makes_all_clips_neighbours() -> None:
    clips = Clips.of([1.0, 3.0, 9.0], [50, 5, 7], padded=lambda _: 30.0)
    assert clips.shapes(batch_duration=90.0) == [Shape(3, 9.0, 50)]
    assert clips.shapes(batch_duration=10.0) == [Shape(1, 9.0, 50)]


def test_a_shorter_maximum_keeps_its_share() -> None:
    clips = Clips.of([3.0, 2.9, 5.9], [1, 2, 3])
    assert clips.share(3.0) == pytest.approx(0.5)
    assert clips.up_to(3.0).shapes(batch_duration=100.0, batch_size=2) == [Shape(2, 3.0, 2)]


class Counted:
    """A table whose labels are known, and which notes the rows that were tokenised."""

    def __init__(self, texts: list[str], durations: np.ndarray) -> None:
        self._texts, self.durations = texts, durations.astype(np.float32)
        self.texts = SimpleNamespace(array=pa.chunked_array([pa.array(texts)]))
        self.asked: list[int] = []

    def __len__(self) -> int:
        return len(self._texts)

    def utterance(self, row: int) -> SimpleNamespace:
        self.asked.append(row)
        return SimpleNamespace(text=self._texts[row])


def test_of_a_large_table_only_labels_that_can_decide_are_counted() -> None:
    rng = np.random.default_rng(1)
    durations = rng.uniform(1.0, 20.0, 60_000)
    words = [int(d * rng.uniform(1.0, 4.0)) + 1 for d in durations]
    # one script has a token a letter, the other a token for four
    texts = [("я" * n if row % 3 else "abcd" * (2 * n)) for row, n in enumerate(words)]
    table = Counted(texts, durations)

    def tokens(utterance: SimpleNamespace) -> int:
        text = utterance.text
        return len(text) if text[0] == "я" else len(text) // 4

    found = worst.label_lengths(table, tokens)  # type: ignore[arg-type]
    every = np.asarray([len(t) if t[0] == "я" else len(t) // 4 for t in texts])
    assert len(table.asked) < 4000
    exact = Clips.of(durations, every).shapes(batch_duration=60.0)
    near = Clips.of(durations, found).shapes(batch_duration=60.0)
    peak = lambda s: s.n_utterances * s.duration * (50 + s.n_labels)  # noqa: E731
    assert max(map(peak, near)) == pytest.approx(max(map(peak, exact)), rel=0.01)


def test_of_a_small_table_every_label_is_counted() -> None:
    table = Counted(["ab", "abc"], np.asarray([1.0, 2.0]))
    assert worst.label_lengths(table, lambda utterance: len(utterance.text or "")).tolist() == [2, 3]  # type: ignore[arg-type]


def test_evaluation_batches_are_those_of_predict_and_of_the_loss() -> None:
    durations, labels = made(np.random.default_rng(5), 300, "speech")
    durations[7] = 200.0
    windows = Shape(8, 30.0, 0)
    rows = np.arange(0, 300, 3)
    shapes = worst.evaluation(durations, labels, batch_duration=120.0, shortest=1.0, windows=windows, loss_rows=rows)
    assert windows in shapes.decoding
    for batch in pack(durations.tolist(), 120.0, shortest=1.0):
        whole = durations[batch][durations[batch] <= 30.0]
        assert not len(whole) or within(shapes.decoding, len(whole), float(whole.max()), 0)
    for chosen in by_duration(durations, batch_duration=120.0, rows=rows):
        assert within(shapes.loss, len(chosen), float(durations[chosen].max()), int(labels[chosen].max()))


def test_the_worst_is_by_the_given_peak() -> None:
    shapes = [Shape(10, 1.0, 5), Shape(1, 30.0, 5)]
    assert worst.worst(shapes, lambda shape: shape.n_utterances) == shapes[0]
    assert worst.worst(shapes, lambda shape: int(shape.duration)) == shapes[1]


def test_a_million_clips_take_a_moment() -> None:
    rng = np.random.default_rng(0)
    durations = np.round(rng.uniform(0.5, 30.0, 300_000), 2)
    shapes = Clips.of(durations, rng.integers(1, 300, len(durations))).shapes(batch_duration=160.0)
    assert 0 < len(shapes) < 400
    assert not math.isinf(shapes[0].duration)
