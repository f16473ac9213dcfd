"""Clips through the list of augmentations: order, draws, text and segments that follow, what is checked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from voxcli.api import Augmentation, Bundle, Limits, Segment, Utterance, Word, config
from voxcli.augment.audiomentations import Audiomentations
from voxcli.augment.gain import Gain
from voxcli.augment.mix import Mix
from voxcli.augment.speed import Speed
from voxcli.augment.time_stretch import TimeStretch
from voxcli.data.corpus import load_splits
from voxcli.data.loading import Loader
from voxcli.data.others import OthersOf
from voxcli.data.preparation import Step, steps
from voxcli.data.table import Table
from voxcli.errors import DataError

RATE = 8000
LIMITS = Limits(sampling_rate=RATE, min_duration=0.1, max_duration=2.0, stride=80, max_label_length=20, n_parameters=0)


@dataclass(frozen=True)
class Given:
    """A data set of utterances that are given."""

    train: tuple[Utterance, ...]

    def utterances(self, split: str) -> Any:
        yield from self.train if split == "train" else ()


class Letters:
    """A task whose label is its text, with the limits of such a task."""

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        return {"audio": torch.from_numpy(audio), "text": utterance.text}

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        padded = torch.nn.utils.rnn.pad_sequence([item["audio"] for item in items], batch_first=True)
        return {"audio": padded, "texts": [item["text"] for item in items]}

    def problem(self, utterance: Utterance, limits: Limits, bundle: Bundle | None) -> str | None:
        if len(utterance.text or "") > (limits.max_label_length or 99):
            return f"its label has {len(utterance.text or '')} letters"
        return "too long" if (utterance.duration or 0) > limits.max_duration else None


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Ten utterances of half a second and more, each of a speaker of its own."""
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    rows = []
    for n in range(10):
        path = tmp_path / f"{n}.wav"
        soundfile.write(path, 0.1 * random.standard_normal(RATE // 2 + 100 * n), RATE, subtype="FLOAT")
        rows.append(Utterance(f"u{n}", path, text=f"text {n}", speaker=f"s{n}"))
    return load_splits([Given(tuple(rows))]).train


def batch(table: Table, *augment: Augmentation, workers: int = 0, limits: Limits = LIMITS, epoch: int = 0) -> Any:
    loader = Loader(
        table,
        [np.arange(len(table))],
        task=Letters(),  # type: ignore[arg-type]
        bundle=Bundle(None, None, None),  # type: ignore[arg-type]
        augment=augment,
        sampling_rate=RATE,
        seed=1,
        epoch=epoch,
        num_workers=workers,
        limits=limits,
    )
    return next(iter(loader))


def through(utterance: Utterance, audio: np.ndarray, *augment: Any, **settings: Any) -> list[Step]:
    return list(steps(utterance, audio, augment, sampling_rate=RATE, seed=0, epoch=0, **settings))


JOIN = Mix(p=1.0, mode="join", gap=(0.1, 0.1))


def test_a_joined_label_reaches_the_batch_and_follows_seed_and_epoch(table: Table) -> None:
    made, again, other = batch(table, JOIN), batch(table, JOIN), batch(table, JOIN, epoch=1)
    texts = made.tensors["texts"]
    joined = [text for text in texts if len(text) > 6]
    assert len(joined) > 5
    for text, name in zip(texts, made.ids, strict=True):
        assert text.startswith(f"text {name[1:]}")
    assert again.tensors["texts"] == texts
    assert torch.equal(again.tensors["audio"], made.tensors["audio"])
    assert other.tensors["texts"] != texts


def test_workers_mix_the_same(table: Table) -> None:
    augment = (Mix(p=0.8), JOIN, Audiomentations(transform="AddGaussianSNR", p=0.7), TimeStretch())
    alone, worker = batch(table, *augment), batch(table, *augment, workers=1)
    assert torch.equal(alone.tensors["audio"], worker.tensors["audio"])
    assert alone.tensors["texts"] == worker.tensors["texts"]
    assert alone.skipped == worker.skipped


def test_label_and_length_are_checked_again(table: Table) -> None:
    short = LIMITS.__class__(**{**LIMITS.__dict__, "max_label_length": 8})
    made = batch(table, JOIN, limits=short)
    assert made.skipped
    assert {reason for _, reason in made.skipped} == {"its label has 13 letters (after augmentation)"}
    assert all(len(text) <= 8 for text in made.tensors["texts"])
    slow = batch(table, Speed(factors=(0.25,)))
    assert {reason for _, reason in slow.skipped} == {"too long (after augmentation)"}
    assert len(slow.ids) < 10


def test_in_the_recipes_order_and_by_their_share(table: Table) -> None:
    utterance, audio = table.utterance(0), np.ones(800, dtype=np.float32) / 4
    louder, faster = Gain(p=1.0, gain_db=(6.0, 6.0)), Speed(factors=(2.0,))
    one, two = through(utterance, audio, louder, faster)
    assert np.array_equal(one.before, audio)
    assert np.array_equal(two.before, one.after)
    assert [one.applied, two.applied, len(two.after)] == [True, True, 400]
    never = Gain(p=0.0)
    [kept] = through(utterance, audio, never)
    assert not kept.applied
    assert kept.after is audio
    [forced] = through(utterance, audio, never, always=True)
    assert forced.applied
    shares = [through(utterance.replace(id=f"{n}"), audio, Gain(p=0.3))[0].applied for n in range(300)]
    assert 0.2 < np.mean(shares) < 0.4


def test_segments_follow_the_speed_and_go_where_their_times_are_unknown(table: Table) -> None:
    segment = Segment("text 0", 0.1, 0.4, words=(Word("text", 0.1, 0.2),))
    utterance = table.utterance(0).replace(segments=(segment,))
    audio = np.random.default_rng(0).standard_normal(RATE // 2).astype(np.float32)
    for augmentation in (Speed(factors=(0.5,)), TimeStretch(p=1.0, factors=(0.5, 0.5))):
        [slow] = through(utterance, audio, augmentation)
        [moved] = slow.utterance.segments
        assert (moved.start, moved.end) == (pytest.approx(0.2), pytest.approx(0.8))
        assert moved.words[0].end == pytest.approx(0.4)
    [louder] = through(utterance, audio, Gain(p=1.0))
    assert louder.utterance.segments == (segment,)
    [trimmed] = through(utterance, audio, Half())
    assert trimmed.utterance.segments == ()


@config
class Half:
    """A plugin's augmentation that takes away the end."""

    p: float = 1.0
    shape: bool = False

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        return np.stack([audio, audio]) if self.shape else audio[: len(audio) // 2]

    def longest(self, duration: float) -> float:
        return duration


def test_what_has_another_shape_is_refused(table: Table) -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 10\), expected \(M,\)"):
        through(table.utterance(0), np.zeros(10, dtype=np.float32), Half(shape=True))


def test_mixing_needs_a_split_that_can_be_read_in_any_order(table: Table) -> None:
    with pytest.raises(DataError, match="Mix mixes utterances"):
        through(table.utterance(0), np.ones(10, dtype=np.float32), JOIN)
    others = OthersOf(table, RATE)
    assert len(others) == 10
    assert len(others.audio(3)) == RATE // 2 + 300
    assert others.utterance(3).duration == pytest.approx(len(others.audio(3)) / RATE)


def test_what_was_read_is_kept_and_cannot_be_changed(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.data import others as module

    read: list[str] = []
    real = module.read_utterance
    monkeypatch.setattr(module, "read_utterance", lambda one, rate: read.append(one.id) or real(one, rate))
    monkeypatch.setattr(module, "_HEARD", module.WeakKeyDictionary())
    first = OthersOf(table, RATE).audio(3)
    assert np.array_equal(OthersOf(table, RATE).audio(3), first)  # the loader of another epoch
    assert len(read) == 1
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1.0
    assert len(OthersOf(table, RATE // 2).audio(3)) < len(first)
    monkeypatch.setattr(module, "KEPT", 2 * len(first))
    for row in range(len(table)):
        OthersOf(table, RATE).audio(row)
    before = len(read)
    OthersOf(table, RATE).audio(0)
    assert len(read) == before + 1  # given up for later ones
