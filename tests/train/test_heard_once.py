"""An evaluation reads each clip once and asks the encoder once, and scores as with two passes."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from voxcli.api import Transcript
from voxcli.data import preparation
from voxcli.evaluate import predict
from voxcli.recipe.resolve import resolve
from voxcli.tasks.wrapped import unwrapped
from voxcli.testing import Project
from voxcli.testing_models import tiny_classifier, tiny_ctc, tiny_whisper
from voxcli.train import validation
from voxcli.train.heard_once import heard_once
from voxcli.train.prepare import prepare
from voxcli.train.run import Run

RECIPE = """
[[data]]
type = "manifest"
path = "data/manifest.csv"

[model]
type = "{type}"
checkpoint = "base"
{more}

[train]
max_steps = 1
per_device_train_batch_size = 2
use_cpu = true

[evaluate]
batch_duration = 6.0
"""
MODELS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "ctc": (functools.partial(tiny_ctc, characters="abcdefghijklmnopqrstuvwxyz '"), 'vocabulary = "checkpoint"'),
    "whisper": (tiny_whisper, 'language = "en"'),
    "classifier": (tiny_classifier, ""),
}


@pytest.fixture(params=list(MODELS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(kind: str, vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with nine validation clips, its model with weights that say something."""
    project = vox_project()
    project.speech("data", splits={"train": 4, "validation": 9, "test": 0})
    if kind == "classifier":
        manifest = project.path / "data/manifest.csv"
        lines = manifest.read_text(encoding="utf-8").splitlines()
        rows = [f"{line},{('yes', 'no')[at % 2]}" for at, line in enumerate(lines[1:])]
        manifest.write_text("\n".join([f"{lines[0]},label", *rows]) + "\n", encoding="utf-8")
    make, more = MODELS[kind]
    make(project.path / "base")
    project.write({"r.toml": RECIPE.format(type=kind, more=more)})
    monkeypatch.chdir(project.path)
    return prepare(resolve("r.toml"), folder=project.path / "run")


class Counts:
    """Readings of each clip, batches that the encoder has heard."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads: Counter[str] = Counter()
        self.heard = 0
        for module in (preparation, predict):
            monkeypatch.setattr(module, "read_utterance", functools.partial(self._read, module.read_utterance))
        inner = unwrapped(run.bundle.model)
        module = inner.get_encoder() if inner.config.is_encoder_decoder else inner.base_model
        layer = next(one for name, one in module.named_modules() if name.endswith("layers.0"))
        layer.register_forward_hook(self._hear)

    def _read(self, read: Any, utterance: Any, *given: Any) -> Any:
        self.reads[utterance.id] += 1
        return read(utterance, *given)

    def _hear(self, *_: Any) -> None:
        self.heard += 1

    def take(self) -> tuple[list[int], int]:
        found = list(self.reads.values()), self.heard
        self.reads.clear()
        self.heard = 0
        return found


def test_each_clip_is_read_once_and_heard_once(run: Run, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counts(run, monkeypatch)
    together = validation.evaluate(run)
    reads, heard = counts.take()
    assert reads == [1] * 9
    monkeypatch.setattr(type(run.task), "shares_batches", False)
    apart = validation.evaluate(run)
    reads, twice = counts.take()
    assert reads == [2] * 9
    if kind == "classifier":  # one that hears padding: its predictions take the clips of each length by themselves
        assert heard <= twice
    else:
        assert 2 * heard <= twice + 1  # the two passes may cut other batches
    assert together == pytest.approx(apart, rel=1e-5)
    assert list(together) == list(apart)


def test_what_lies_beyond_the_sample_of_the_loss_is_only_predicted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "LOSS_UTTERANCES", 5)
    counts = Counts(run, monkeypatch)
    together = validation.evaluate(run)
    assert counts.take()[0] == [1] * 9
    monkeypatch.setattr(type(run.task), "shares_batches", False)
    apart = validation.evaluate(run)
    assert sorted(counts.take()[0]) == [1] * 4 + [2] * 5
    assert together == pytest.approx(apart, rel=1e-5)


@pytest.mark.parametrize("kind", ["ctc"], indirect=True)
def test_a_clip_without_a_loss_is_still_predicted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its text is too long for its frames."""
    features = type(run.task).features

    def refused(task: Any, utterance: Any, audio: Any, bundle: Any) -> Any:
        if utterance.text is not None and utterance.id == chosen:
            utterance = utterance.replace(text="long " * 400)
        return features(task, utterance, audio, bundle)

    chosen = run.splits.validation.ids[4]
    monkeypatch.setattr(type(run.task), "features", refused)
    predicted: list[str] = []
    pair = validation.pair

    def recorded(task: Any, utterance: Any, *more: Any) -> Any:
        predicted.append(utterance.id)
        return pair(task, utterance, *more)

    monkeypatch.setattr(validation, "pair", recorded)
    together = validation.evaluate(run)
    assert sorted(predicted) == sorted(map(str, run.splits.validation.ids))
    monkeypatch.setattr(type(run.task), "shares_batches", False)
    assert together == pytest.approx(validation.evaluate(run), rel=1e-5)


@pytest.mark.parametrize("kind", ["ctc"], indirect=True)
def test_a_task_of_a_plugin_never_predicts_from_references(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not say that it shares its batches gets what it always got."""

    class Other:
        metrics: ClassVar[tuple[str, ...]] = run.task.metrics

        def __getattr__(self, name: str) -> Any:
            if name == "shares_batches":
                raise AttributeError(name)
            return getattr(task, name)

        def predict(self, bundle: Any, batch: Any, decoding: Any) -> list[Transcript]:
            assert "labels" not in batch
            seen.append(len(batch["frames"]))
            return task.predict(bundle, batch, decoding)

    task, seen = run.task, list[int]()
    together = validation.evaluate(run)
    run.task = Other()  # type: ignore[assignment]
    assert validation.evaluate(run) == pytest.approx(together, rel=1e-5)
    assert sum(seen) == 9


class Doubled(torch.nn.Module):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.config = type("Config", (), {"is_encoder_decoder": False})()
        self.calls = 0

    def forward(self, values: torch.Tensor, *, scale: float = 2.0, return_dict: bool | None = None) -> torch.Tensor:
        self.calls += 1
        return values * scale


def test_only_the_same_question_has_the_same_answer() -> None:
    model, ones = Doubled(), torch.ones(3)
    with heard_once(model):
        first = model(ones)
        assert model(values=ones.clone(), return_dict=True) is first
        assert model.calls == 1
        assert model(ones, scale=3.0).tolist() == [3.0] * 3
        assert model(ones.double()).dtype == torch.float64
        assert model(ones[:2]).tolist() == [2.0, 2.0]
        assert model(torch.zeros(2)).tolist() == [0.0, 0.0]
        assert model.calls == 5
    assert "forward" not in vars(model)
    assert model(ones).tolist() == [2.0] * 3
    assert model.calls == 6
    ones += 1
    with pytest.raises(RuntimeError), heard_once(model):
        model(torch.ones(3) * model(ones)[:2])
    assert np.array_equal(model(ones).numpy(), [4.0] * 3)
    assert model.calls == 8
