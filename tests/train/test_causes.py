"""What is found in a clip, and the words for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from voxcli.train import causes
from voxcli.train.replay import Outcome, first_not_finite


def samples(value: float, count: int = 1) -> np.ndarray:
    audio = np.zeros(1000, np.float32)
    audio[:count] = value
    return audio


@pytest.mark.parametrize(
    ("audio", "cause", "text"),
    [
        (samples(np.nan, 3), "audio-not-finite", "3 of 1000 samples are not numbers"),
        (samples(-32_768.0), "audio-amplitude", "its samples reach 3.28e+04, and audio lies within -1 and 1"),
        (samples(0.0), "silent", "its audio is silent, the loudest of 1000 samples is 0"),
        (samples(1e-6), "silent", "its audio is silent, the loudest of 1000 samples is 1e-06"),
    ],
)
def test_samples(audio: np.ndarray, cause: str, text: str) -> None:
    assert causes.of_samples(audio) == causes.Reason(cause, text)  # type: ignore[arg-type]


@pytest.mark.parametrize("peak", [0.5, 1.3, 0.001])
def test_ordinary_samples_are_no_reason(peak: float) -> None:
    assert causes.of_samples(samples(peak)) is None


@pytest.mark.parametrize(("labels", "frames", "text"), [
    ([5, 5, 6], 4, None),
    ([5, 5, 6], 3, "its label of 3 tokens needs 4 frames, its audio has 3"),
    ([], 0, None),
])  # fmt: skip
def test_a_label_and_its_frames(labels: list[int], frames: int, text: str | None) -> None:
    tensors = {"labels": torch.tensor(labels, dtype=torch.int64), "frames": torch.tensor([frames])}
    assert causes.misfit(tensors) == text
    assert causes.misfit({"labels": torch.zeros(1, 3)}) is None, "labels of a decoder"


def table(*durations: float) -> Any:
    return SimpleNamespace(durations=np.array(durations, np.float32))


def test_a_clip_beside_the_others() -> None:
    data = table(5, 5, 4, 6, float("nan"), 600)
    assert causes.against_median(600.0, data) == "600.0 s in a set whose median is 5.0 s"
    assert causes.against_median(12.0, data) is None
    assert causes.against_median(12.0, table()) is None


class Clip:
    """An utterance whose audio is what it was given."""

    id, text, offset, duration = "clip", "one", 0.0, None

    def __init__(self, audio: np.ndarray) -> None:
        self.audio = lambda: (audio, 16_000)

    def replace(self, **_: Any) -> Clip:
        return self


def reason(audio: np.ndarray, tensors: dict[str, Any], outcome: Outcome, problem: str | None = None) -> causes.Reason:
    data = SimpleNamespace(utterance=lambda row: Clip(audio), durations=np.ones(3))
    run: Any = SimpleNamespace(
        splits=SimpleNamespace(train=data),
        table=lambda epoch: data,
        bundle=SimpleNamespace(replace=lambda **_: None),
        recipe=SimpleNamespace(augment=(), seed=0),
        limits=SimpleNamespace(sampling_rate=16_000),
        task=SimpleNamespace(problem=lambda *_: problem),
    )
    return causes.reason(run, 0, 0, tensors, outcome)


NAN = Outcome(float("nan"), float("nan"), "head.weight")
SOUND = np.full(16_000, 0.1, np.float32)


def test_the_surest_reason_comes_first() -> None:
    short = {"labels": torch.arange(9), "frames": torch.tensor([4]), "label_lengths": torch.tensor([9])}
    assert reason(SOUND, short, NAN).cause == "ctc-infeasible"
    assert reason(0 * SOUND, short, NAN).cause == "ctc-infeasible"
    assert reason(1e30 * SOUND, {}, NAN).cause == "audio-amplitude"
    assert reason(0 * SOUND, {}, NAN).cause == "silent"
    assert reason(0 * SOUND, {}, NAN, problem="its label is long") == causes.Reason("unknown", "its label is long")


def test_what_has_no_reason_says_what_was_seen() -> None:
    assert reason(SOUND, {"label_lengths": torch.tensor([0])}, NAN).text == "its label is empty"
    holes = {"input_features": torch.tensor([[float("inf")]])}
    assert "its input_features hold values that are not numbers" in reason(SOUND, holes, NAN).text
    assert reason(np.tile(SOUND, 9), {}, NAN).text == "9.0 s in a set whose median is 1.0 s"
    assert reason(SOUND, {}, NAN) == causes.Reason("unknown", "its loss alone is nan")
    assert reason(SOUND, {}, Outcome(2.0, float("inf"))).text == "its gradient alone is inf"


def test_audio_that_cannot_be_read_any_more() -> None:
    assert "no audio" in reason(SOUND[:0], {}, NAN).text


def test_the_first_that_is_not_finite() -> None:
    tensors = [("ids", torch.tensor([1])), ("a", torch.ones(2)), ("b", torch.tensor([1.0, float("nan")]))]
    assert first_not_finite(tensors) == "b"
    assert first_not_finite(tensors[:2]) is None
