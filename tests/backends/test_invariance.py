"""One step means the same however it is cut: into micro-batches, or over processes. Both backends, unequal lengths."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import together
from safetensors.torch import load_file

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc, tiny_whisper

BACKENDS = ("accelerate", "transformers")
MODELS = ("ctc", "whisper")
TEXTS = ("one", "two three four five six", "seven eight", "nine ten one two")  # from 0.3 to 1.9 s

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "{model}"
    checkpoint = "{model}"
    {keys}

    [backend]
    type = "{backend}"

    [train]
    max_steps = 1
    learning_rate = 1.0
    optim = "sgd"
    lr_scheduler_type = "constant"
    warmup_steps = 0.0
    use_cpu = true
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models without dropout."""
    folder = tmp_path_factory.mktemp("models")
    still = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}
    tiny_ctc(folder / "ctc", **still, final_dropout=0.0)
    tiny_whisper(folder / "whisper", dropout=0.0)
    return folder


class Steps:
    """Runs of one step, and the weights after it."""

    def __init__(self, project: Project, backend: str, model: str) -> None:
        self.project = project
        keys = 'language = "en"' if model == "whisper" else ""
        project.write({"r.toml": RECIPE.format(model=model, backend=backend, keys=keys)})

    def arguments(self, name: str, *, batch: int, accumulation: int, clip: float = 0.0) -> tuple[str, ...]:
        """Of the command that takes a step with `accumulation` batches of `batch` utterances a process."""
        return (
            "train",
            "r.toml",
            f'name="{name}"',
            f"train.per_device_train_batch_size={batch}",
            f"train.gradient_accumulation_steps={accumulation}",
            f"train.max_grad_norm={clip}",
        )

    def of(self, name: str, **settings: Any) -> Step:
        """The step, taken in this process."""
        self.project.run(*self.arguments(name, **settings)).assert_ok()
        return Step(self.project.path / "runs" / name)


class Step:
    """What one step left."""

    def __init__(self, run: Path) -> None:
        self.weights = load_file(run / "checkpoints" / "step-000001" / "model.safetensors")
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        self.log: dict[str, Any] = next(line for line in lines if "loss" in line)
        self.validation: dict[str, float] = next(line["validation"] for line in lines if "validation" in line)

    def change_from(self, base: Path) -> dict[str, torch.Tensor]:
        """What the step added to the weights."""
        before = load_file(base / "model.safetensors")
        return {name: self.weights[name] - before[name] for name in before if name in self.weights}


@pytest.fixture
def steps(vox_project: Callable[..., Project], models: Path) -> Callable[[str, str], Steps]:
    """A factory: `steps("accelerate", "ctc")`."""

    def factory(backend: str, model: str) -> Steps:
        project = vox_project()
        project.speech("data", texts=TEXTS, splits={"train": 4, "validation": 3})
        shutil.copytree(models / model, project.path / model)
        return Steps(project, backend, model)

    return factory


def assert_same(one: Step, other: Step) -> None:
    """Weights after the step, loss and gradient norm are equal to float tolerance."""
    assert other.log["loss"] == pytest.approx(one.log["loss"], rel=1e-5)
    assert other.log["grad_norm"] == pytest.approx(one.log["grad_norm"], rel=1e-4)
    assert other.log["audio_seconds"] == pytest.approx(one.log["audio_seconds"])
    assert other.validation == pytest.approx(one.validation, rel=1e-3)
    assert set(one.weights) == set(other.weights)
    for name, weight in one.weights.items():
        torch.testing.assert_close(other.weights[name], weight, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_four_batches_of_one_are_one_batch_of_four(
    steps: Callable[[str, str], Steps], backend: str, model: str
) -> None:
    made = steps(backend, model)
    whole = made.of("whole", batch=4, accumulation=1)
    parts = made.of("parts", batch=1, accumulation=4)
    assert_same(whole, parts)
    changes = whole.change_from(made.project.path / model)
    assert max(float(change.abs().max()) for change in changes.values()) > 1e-3, "the step changed something"


@pytest.mark.parametrize("model", MODELS)
def test_both_backends_take_the_same_step(steps: Callable[[str, str], Steps], model: str) -> None:
    taken = [steps(backend, model).of("r", batch=2, accumulation=2, clip=0.5) for backend in BACKENDS]
    assert taken[0].log["grad_norm"] > 0.5, "it was clipped"
    assert_same(*taken)


def test_two_processes_are_one(steps: Callable[[str, str], Steps]) -> None:
    made = steps("accelerate", "ctc")
    alone = made.of("alone", batch=1, accumulation=4)
    given = [[*made.arguments(one, batch=1, accumulation=2), f'backend.type="{one}"'] for one in BACKENDS]
    out, err = together(made.project, given)
    assert out.count("exit code 0") == 4, err
    assert out.count("model       runs/accelerate/best") == 1, "one process reports"
    for backend in BACKENDS:
        assert_same(alone, Step(made.project.path / "runs" / backend))
