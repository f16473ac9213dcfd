"""Two utterances in one clip: ratios, texts, lengths, who is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxcli.api import Segment, Utterance
from voxcli.augment.mix import Mix
from voxcli.errors import DataError

RATE = 16000
TIME = np.arange(RATE) / RATE


class Split:
    """Utterances that are tones of 300 Hz, 600 Hz …, told apart by ear; two of one speaker each."""

    def __init__(self, *durations: float, **changes: object) -> None:
        self.rows = [
            Utterance(f"u{n}", Path(), duration=d, text=f"text {n}", speaker=f"s{n // 2}").replace(**changes)
            for n, d in enumerate(durations)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def utterance(self, row: int) -> Utterance:
        return self.rows[row]

    def audio(self, row: int) -> np.ndarray:
        time = np.arange(int((self.rows[row].duration or 0) * RATE)) / RATE
        return (0.1 * np.sin(2 * np.pi * 300 * (row + 1) * time)).astype(np.float32)


def mixed(mix: Mix, split: Split, row: int = 0, seed: int = 0) -> tuple[np.ndarray, Utterance]:
    return mix.blend(split.utterance(row), split.audio(row), RATE, np.random.default_rng(seed), split)


def tones(audio: np.ndarray) -> set[int]:
    power = np.abs(np.fft.rfft(audio, RATE)) ** 2
    return {n for n in range(8) if power[300 * (n + 1)] > 1e-4 * power.max()}


@pytest.mark.parametrize("snr", [0.0, 15.0])
def test_another_speaker_is_below_the_clip_at_the_ratio(snr: float) -> None:
    split = Split(1.0, 1.0, 0.5, 2.0, 1.0, 1.0)
    for seed in range(6):
        heard, utterance = mixed(Mix(snr_db=(snr, snr)), split, seed=seed)
        assert utterance is split.utterance(0)
        clean = split.audio(0).astype(np.float64)
        rest = heard - clean
        assert 10 * np.log10((clean @ clean) / (rest @ rest)) == pytest.approx(snr, abs=0.05)
        others = tones(heard) - {0}
        assert len(others) == 1
        assert not others & {1}  # the same speaker


def test_babble_is_several_others() -> None:
    heard, _ = mixed(Mix(voices=(4, 4), snr_db=(0.0, 0.0)), Split(*[1.0] * 8), seed=1)
    assert len(tones(heard) - {0}) >= 3


def test_joined_texts_follow_each_other() -> None:
    split = Split(1.0, 0.8, 0.9)
    heard, utterance = mixed(Mix(mode="join", gap=(0.25, 0.25)), split)
    row = next(n for n in (1, 2) if split.utterance(n).text in utterance.text)
    assert utterance.text == f"text 0 text {row}"
    assert len(heard) == RATE + RATE // 4 + len(split.audio(row))
    assert utterance.duration == pytest.approx(len(heard) / RATE)
    assert np.array_equal(heard[:RATE], split.audio(0))
    assert not heard[RATE : RATE + RATE // 4].any()
    assert np.array_equal(heard[RATE + RATE // 4 :], split.audio(row))
    assert Mix(mode="join", separator="").blend(
        split.utterance(0), split.audio(0), RATE, np.random.default_rng(0), split
    )[1].text in ("text 0text 1", "text 0text 2")


def test_joined_segments_keep_their_times() -> None:
    split = Split(1.0, 0.8)
    split.rows[0] = split.rows[0].replace(segments=(Segment("text 0", 0.1, 0.9),))
    _, utterance = mixed(Mix(mode="join", gap=(0.5, 0.5)), split)
    assert [(one.text, one.start, one.end) for one in utterance.segments] == [
        ("text 0", 0.1, 0.9),
        ("text 1", 1.5, pytest.approx(2.3)),
    ]


@pytest.mark.parametrize(
    ("mix", "split"),
    [
        (Mix(mode="join"), Split(1.0, 1.5)),  # batches leave room for twice the clip
        (Mix(mode="join", max_duration=1.5), Split(1.0, 0.9)),
        (Mix(mode="join"), Split(1.0)),
        (Mix(), Split(1.0)),
        (Mix(), Split(1.0, 1.0)),  # of one speaker
    ],
)
def test_without_another_that_fits_the_clip_stays(mix: Mix, split: Split) -> None:
    heard, utterance = mixed(mix, split)
    assert np.array_equal(heard, split.audio(0))
    assert utterance is split.utterance(0)


@pytest.mark.parametrize("changes", [{"language": "tr"}, {"label": "yes"}, {"text": None}])
def test_only_what_is_of_a_kind_is_joined(changes: dict[str, str | None]) -> None:
    split = Split(1.0, 0.9)
    split.rows[1] = split.rows[1].replace(**changes)
    assert mixed(Mix(mode="join"), split)[1] is split.utterance(0)


def test_without_texts_audio_alone_is_joined() -> None:
    heard, utterance = mixed(Mix(mode="join"), Split(1.0, 0.9, text=None))
    assert len(heard) > 1.9 * RATE
    assert utterance.text is None


def test_one_that_cannot_be_read_is_passed_over() -> None:
    class Broken(Split):
        def audio(self, row: int) -> np.ndarray:
            if row:
                raise DataError("gone")
            return super().audio(row)

    for mode in ("join", "background"):
        heard, _ = mixed(Mix(mode=mode), Broken(1.0, 0.9, 0.9))  # type: ignore[arg-type]
        assert np.array_equal(heard, Split(1.0).audio(0))


def test_longest() -> None:
    assert Mix().longest(5.0) == 5.0
    join = Mix(mode="join", gap=(0.1, 0.5), max_duration=12.0)
    assert [join.longest(duration) for duration in (4.0, 6.0, 20.0)] == [8.5, 12.0, 20.0]
    for seed in range(10):
        heard, _ = mixed(join, Split(1.0, 1.0, 1.0), seed=seed)
        assert len(heard) / RATE <= join.longest(1.0) + 1 / RATE
