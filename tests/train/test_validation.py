"""The validation loss keeps to the memory that `evaluate.batch_duration` allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from voxcli.api import Decoding
from voxcli.memory.worst import evaluation
from voxcli.testing import Project
from voxcli.testing_models import tiny_whisper
from voxcli.train import validation_passes


def test_a_clip_that_is_padded_to_a_window_counts_as_the_window(
    vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = vox_project()
    project.speech("data", splits={"train": 4, "validation": 9, "test": 0})
    checkpoint = tiny_whisper(project.path / "base")
    project.write(
        {
            "r.toml": f"""
            [[data]]
            type = "manifest"
            path = "data/manifest.csv"

            [model]
            type = "whisper"
            checkpoint = "{checkpoint.name}"
            language = "en"

            [train]
            max_steps = 1
            per_device_train_batch_size = 2

            [evaluate]
            batch_duration = 6.5
            max_new_tokens = 4
            """
        }
    )
    sizes: list[int] = []
    loss = validation_passes.Loader

    def recorded(table: Any, batches: Any, **settings: Any) -> Any:
        sizes.extend(len(batch) for batch in batches)
        return loss(table, batches, **settings)

    decodings: list[Decoding] = []
    transcripts = validation_passes.transcripts

    def asked(*given: Any) -> Any:
        decodings.append(given[-1])
        return transcripts(*given)

    monkeypatch.setattr(validation_passes, "Loader", recorded)
    monkeypatch.setattr(validation_passes, "transcripts", asked)
    project.run("train", "r.toml").assert_ok()
    window = 3.0  # s, of the tiny model
    assert sum(sizes) == 9
    assert max(sizes) == int(6.5 / window)
    assert {(one.stop_repeats, one.max_new_tokens) for one in decodings} == {(True, 4)}  # texts in circles end early


def test_a_plan_counts_the_same_batches() -> None:
    durations, labels = np.full(60, 2.0), np.full(60, 7)
    shapes = evaluation(durations, labels, batch_duration=120.0, shortest=30.0)
    assert [(shape.n_utterances, shape.n_labels) for shape in shapes.loss] == [(4, 7)]
    assert [shape.n_utterances for shape in shapes.decoding] == [4]
