"""Steps whose gradient stands out: when it counts, what is written, and who has the worst loss."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from voxcli.data.loading import Batch
from voxcli.doctor.checks.thresholds import SPIKE_FIRST, SPIKE_WINDOW
from voxcli.recipe.resolve import resolve
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc
from voxcli.train.prepare import gather
from voxcli.train.spikes import SPARING, WORST, Spikes
from voxcli.train.splitting import Part
from voxcli.train.state import State
from voxcli.train.steps import Step


def a_run() -> Any:
    log: list[dict[str, Any]] = []
    said: list[str] = []
    return SimpleNamespace(
        state=State(),
        log=log.append,
        entries=log,
        progress=SimpleNamespace(say=said.append),
        said=said,
        bundle=SimpleNamespace(model=torch.nn.Dropout()),
    )


PARTS = [Part.whole(Batch(list("abcdefgh"), {}, 8.0, 8.0))]
STEP = Step(0, 0, 1, 1, [PARTS[0].batch])


def loss_of(part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    """Clip c has the worst: 30 for 2 tokens."""
    assert not torch.is_grad_enabled()
    return torch.tensor(30.0 if part.ids == ["c"] else 20.0), torch.tensor(2 if part.ids == ["c"] else 10)


def test_a_spike_is_far_above_the_median_of_the_steps_before() -> None:
    run = a_run()
    spikes = Spikes(run)
    for _ in range(SPIKE_FIRST - 1):
        spikes.seen(STEP, 1.0, PARTS, loss_of)
    spikes.seen(STEP, 100.0, PARTS, loss_of)
    assert not run.entries, "too early to say"
    assert not spikes.rose() or run.state.norms[-1] == 100.0
    spikes.seen(STEP, 9.9, PARTS, loss_of)
    assert not run.entries
    run.state.step = 41
    spikes.seen(STEP, 10.1, PARTS, loss_of)
    (entry,) = run.entries
    assert (entry["step"], entry["incident"], entry["grad_norm"], entry["median"]) == (42, "spike", 10.1, 1.0)
    assert entry["utterances"] == list("abcdefgh")
    assert entry["worst"][0] == {"id": "c", "loss": 15.0}
    assert len(entry["worst"]) == WORST
    assert run.said[0].startswith("step 42: the gradient's norm is 10.1, 10 times the median")
    assert "the worst loss is that of c" in run.said[0]


def test_losses_are_not_computed_at_every_spike_and_it_is_said_once() -> None:
    run = a_run()
    run.state.norms = [1.0] * SPIKE_WINDOW
    spikes = Spikes(run)
    for step in (10, 11, 9 + SPARING, 10 + SPARING):
        run.state.step = step
        spikes.seen(STEP, 50.0, PARTS, loss_of)
    assert ["worst" in entry for entry in run.entries] == [True, False, False, True]
    assert len(run.said) == 1
    assert len(run.state.norms) == SPIKE_WINDOW


def test_a_spike_without_memory_or_a_backend_that_cannot_look_is_written_all_the_same() -> None:
    def no_memory(part: Part) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    for loss in (no_memory, None):
        run = a_run()
        run.state.norms = [1.0] * SPIKE_FIRST
        before = torch.get_rng_state()
        Spikes(run).seen(STEP, 50.0, PARTS, loss)
        assert "worst" not in run.entries[0]
        assert torch.equal(torch.get_rng_state(), before)
        assert run.bundle.model.training


RECIPE = """
    name = "good"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "base"

    [train]
    max_steps = 150
    per_device_train_batch_size = 8
    learning_rate = 1e-2
    eval_steps = 150
    use_cpu = true
"""


def test_swapped_texts_have_the_worst_losses(vox_project: Callable[..., Project]) -> None:
    """A model that knows the words meets two clips, each with the other one's text."""
    project = vox_project({"r.toml": RECIPE})
    project.speech("data", texts=("one", "two", "six", "ten"), splits={"train": 64, "validation": 4})
    tiny_ctc(project.path / "base", architecture="parakeet_ctc", hidden_size=32)
    project.run("train", "r.toml").assert_ok()
    more = ('name="swapped"', 'model.checkpoint="runs/good/best"', "train.max_steps=30", "train.eval_steps=30")
    more += ("train.per_device_train_batch_size=2", "train.learning_rate=1e-5")
    with contextlib.chdir(project.path):
        made = gather(resolve("r.toml", more))
    ids = list(made.splits.train.ids)
    late = [ids[row] for batch in made.batching.epoch(0)[24:] for row in batch]
    path = project.path / "data/manifest.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    first, second = _two_that_differ([row for row in rows if row[0] in late])
    first[2], second[2] = second[2], first[2]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    project.run("train", "r.toml", *more).assert_ok()
    spikes = [entry for entry in _log(project.path / "runs/swapped/log.jsonl") if entry.get("incident") == "spike"]
    assert spikes
    assert spikes[0]["worst"][0]["id"] in (first[0], second[0])
    assert {first[0], second[0]} & set(spikes[0]["utterances"])
    assert spikes[0]["worst"][0]["loss"] > 10 * spikes[0]["worst"][-1]["loss"] or len(spikes[0]["worst"]) == 2


def _two_that_differ(rows: list[list[str]]) -> tuple[list[str], list[str]]:
    """Two rows with different texts of one length."""
    return next((one, other) for one in rows for other in rows if one[2] != other[2])


def _log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
