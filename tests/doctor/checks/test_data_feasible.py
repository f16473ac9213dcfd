"""What CTC cannot learn, against the task's own word for every utterance."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from voxcli.doctor.context import Context
from voxcli.doctor.data.feasible import misfits, shortest
from voxcli.doctor.subject import subject
from voxcli.recipe.render import toml
from voxcli.tasks.bounds import most_frames_needed
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

ALPHABET = "ab oé"  # é is not in the vocabulary: an unknown class, of which neighbours are equal


def context_of(project: Project, architecture: str, monkeypatch: pytest.MonkeyPatch, **sections: object) -> Context:
    """200 random texts, said in durations about as long as their labels need."""
    rng = np.random.default_rng(0)
    tiny_ctc(project.path / "model", architecture=architecture)
    stride = 0.02 if architecture != "parakeet_ctc" else 0.04
    rows = ["path,duration,text"]
    for number in range(200):
        length = int(rng.integers(2, 40))
        text = "".join(rng.choice(list(ALPHABET), length)).strip() or "a"
        duration = max(0.3, length * stride * float(rng.uniform(0.7, 1.8)))
        rows.append(f"{number}.wav,{duration:.3f},{text}")
        (project.path / f"{number}.wav").write_bytes(b"RIFF")
    (project.path / "m.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    recipe = {
        "name": "r",
        "data": [{"type": "manifest", "path": "m.csv"}],
        "model": {"type": "ctc", "checkpoint": "model"},
        "train": {"max_steps": 1, "batch_duration": 8.0},
        **sections,
    }
    project.write({"r.toml": toml(recipe)})
    monkeypatch.chdir(project.path)
    return Context(subject("r.toml"))


@pytest.mark.parametrize("architecture", ["wav2vec2", "parakeet_ctc", "wav2vec2-bert"])
def test_the_same_as_the_task_says(
    architecture: str, vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(vox_project(), architecture, monkeypatch)
    table = context.data.used("train")
    refused = [
        row
        for row, utterance in enumerate(table)
        if context.recipe.task.problem(utterance, context.limits, context.bundle) is not None
    ]
    found = misfits(context)
    assert found.rows.tolist() == refused
    assert 10 < len(refused) < 190
    assert (found.recorded == found.shortest).all()


def test_augmented_as_the_audio_becomes(vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    speed = [{"type": "speed", "factors": [0.9, 1.0, 1.3]}, {"type": "gain"}]
    context = context_of(vox_project(), "wav2vec2", monkeypatch, augment=speed)
    table, family = context.data.used("train"), context.recipe.model
    played = type(context.recipe.augment[0])(factors=(1.3,))
    rng = np.random.default_rng(0)
    found = misfits(context)
    tokenizer = context.bundle.processor.tokenizer
    needed = {}
    for row, utterance in enumerate(table):
        labels = tokenizer(utterance.text, add_special_tokens=False).input_ids
        needed[row] = len(labels) + sum(a == b for a, b in itertools.pairwise(labels))
        audio = played(np.zeros(round(utterance.duration * 16000), np.float32), 16000, rng)
        if abs(len(audio) - round(utterance.duration / 1.3 * 16000)) <= 1:
            assert (family.frames(len(audio)) < needed[row]) == (row in found.rows)
    assert (found.needed == [needed[row] for row in found.rows]).all()
    assert 0 < int((found.needed <= found.recorded).sum()) < len(found.rows)
    np.testing.assert_allclose(shortest(context), table.durations / 1.3, rtol=1e-6)


def test_the_bound_is_never_below_what_is_needed(
    vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(vox_project(), "wav2vec2", monkeypatch)
    points, tokenizer = context.data.characters("train"), context.bundle.processor.tokenizer
    bound = most_frames_needed(context.data.used("train").texts.array, tokenizer, points=points)
    for row, text in enumerate(context.data.used("train").texts):
        labels = tokenizer(text, add_special_tokens=False).input_ids
        assert bound[row] >= len(labels) + sum(a == b for a, b in itertools.pairwise(labels))


def test_an_augmentation_without_shortest_shortens_nothing(
    vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(vox_project(), "wav2vec2", monkeypatch, augment=[{"type": "gain"}])
    np.testing.assert_allclose(shortest(context), context.data.used("train").durations)
