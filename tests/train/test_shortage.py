"""What a run keeps of batches that did not fit, and when it gives up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from voxcli.data.loading import Batch
from voxcli.engines.ceiling import Size
from voxcli.errors import TrainingError
from voxcli.recipe.schema import Train
from voxcli.train import shortage as module
from voxcli.train.shortage import Shortage
from voxcli.train.state import State
from voxcli.train.steps import Step


def a_run(state: State | None = None) -> Any:
    said: list[str] = []
    log: list[dict[str, Any]] = []
    aside: list[tuple[str, str]] = []
    return SimpleNamespace(
        state=state or State(),
        device=torch.device("cpu"),
        recipe=SimpleNamespace(train=Train(batch_duration=60.0, max_steps=99), adapter=None, quantization=None),
        splits=SimpleNamespace(train=SimpleNamespace(durations=np.full(4, 10.0, np.float32))),
        table=lambda epoch: SimpleNamespace(durations=np.full(4, 10.0, np.float32)),
        progress=SimpleNamespace(say=said.append),
        rank=0,
        world=1,
        total_steps=99,
        log=log.append,
        set_aside=lambda skipped, **more: aside.extend(skipped),
        culprits=SimpleNamespace(left_out=lambda step: set()),
        said=said,
        entries=log,
        aside=aside,
    )


def a_step() -> Step:
    tensors = {"labels": torch.zeros(4, 7, dtype=torch.int64)}
    return Step(0, 0, 1, 1, [Batch(list("abcd"), tensors, 40.0, 40.0, rows=[0, 1, 2, 3])])


def test_a_ceiling_outlives_the_run_on_a_device_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run()
    first = Shortage(run)
    step = a_step()
    parts = first.cut(step, first.parts(step), 0, where="backward pass", said="no")
    assert [part.ids for part in parts] == [["a", "b"], ["c", "d"]]
    first.remember()
    state = State(**{key: getattr(run.state, key) for key in ("ceiling", "too_large", "memory")})
    assert Shortage(a_run(state)).ceiling.failed == [Size(4, 10.0, 7)]
    assert [part.ids for part in Shortage(a_run(state)).parts(step)] == [["a", "b"], ["c", "d"]]
    monkeypatch.setattr(module, "memory_of", lambda device: "a larger card")
    assert Shortage(a_run(state)).ceiling.failed == []


def test_state_is_written_and_read(tmp_path: Any) -> None:
    state = State(step=3, ceiling=[[4, 10.0, 7]], too_large=["x"], memory="cpu")
    state.write(tmp_path / "state.json")
    assert State.read(tmp_path / "state.json") == state


def lose_all(shortage: Shortage, step: Step) -> None:
    parts = shortage.parts(step)
    while parts:
        parts = shortage.cut(step, parts, 0, where="forward pass", said="no")
    shortage.settled(step, parts)


def test_it_gives_up_where_nothing_ever_fitted() -> None:
    run = a_run()
    shortage = Shortage(run)
    lose_all(shortage, a_step())
    assert [name for name, _ in run.aside] == list("abcd")
    assert "Nothing of it fits, and the weights stay as they were" in run.said[0]
    assert shortage.parts(a_step()) == [], "what does not fit alone is not tried again"
    assert shortage.kept(a_step(), []) == (0.0, 0.0)
    lose_all(shortage, a_step())
    with pytest.raises(TrainingError, match="not even one utterance fits, 3 steps in a row"):
        lose_all(shortage, a_step())


def test_it_is_patient_once_something_fitted() -> None:
    run = a_run()
    shortage = Shortage(run)
    shortage.settled(a_step(), shortage.parts(a_step()))
    for _ in range(module.MOST_EMPTY - 1):
        lose_all(shortage, a_step())
    with pytest.raises(TrainingError, match="20 steps in a row"):
        lose_all(shortage, a_step())


def test_it_gives_up_where_every_utterance_was_set_aside_for_another_reason() -> None:
    run = a_run()
    run.culprits.left_out = lambda step: set("abcd")
    shortage = Shortage(run)
    for _ in range(module.MOST_EMPTY):
        shortage.settled(a_step(), shortage.parts(a_step()))
    with pytest.raises(TrainingError, match="21 steps in a row had no utterance left, all of them are set aside: a, b"):
        shortage.settled(a_step(), shortage.parts(a_step()))


def test_what_is_said_and_written_of_a_batch() -> None:
    run = a_run()
    shortage = Shortage(run)
    step = a_step()
    parts = shortage.cut(step, shortage.parts(step), 0, where="backward pass", said="CUDA out of memory")
    shortage.settled(step, parts)
    shortage.settled(step, parts)
    (said,) = run.said
    assert "in the backward pass of 4 utterances, 40 s of padded audio, the longest 10.0 s" in said
    assert "train.batch_duration=30 train.gradient_accumulation_steps=2" in said
    (entry,) = run.entries
    assert entry["utterances"] == list("abcd")
    assert entry["durations"] == [10.0] * 4
    assert (entry["padding"], entry["padded_seconds"], entry["goes_on"]) == (0.0, 40.0, "in halves")
    assert (entry["where"], entry["said"]) == ("backward", "CUDA out of memory")
