"""Weights of data sets: how often each utterance is seen, and that nothing but (seed, epoch) decides."""

from __future__ import annotations

import json

import numpy as np
import pytest

from voxcli.data.batches import DurationBatches
from voxcli.data.mixing import mix_of
from voxcli.testing_models import tiny_ctc

ORIGINS = np.repeat([0, 1, 2], [30, 7, 100])


def seen(mix, epochs):
    rows = [mix.rows(epoch) for epoch in epochs]
    for one in rows:
        assert len(np.unique(one)) == len(one)
    return np.bincount(np.concatenate(rows), minlength=len(ORIGINS))


@pytest.mark.parametrize("seed", [0, 5])
def test_every_utterance_is_seen_as_often_as_its_weight_says(seed):
    mix = mix_of(ORIGINS, (2.0, 4.0, 1.0), seed=seed)
    counts = seen(mix, range(8))
    assert set(counts[ORIGINS == 0]) == {4}
    assert set(counts[ORIGINS == 1]) == {8}
    assert set(counts[ORIGINS == 2]) == {2}


def test_weights_that_do_not_divide_stay_within_one():
    mix = mix_of(ORIGINS, (0.7, 1.0, 0.3), seed=1)
    for epochs in (3, 10, 17):
        counts = seen(mix, range(epochs))
        for number, share in enumerate((0.7, 1.0, 0.3)):
            assert np.abs(counts[number == ORIGINS] - epochs * share).max() <= 1.001


def test_parts_are_others_each_time():
    mix = mix_of(ORIGINS, (1.0, 1.0, 0.5), seed=0)
    parts = [frozenset(mix.rows(epoch)[mix.rows(epoch) >= 37].tolist()) for epoch in range(4)]
    assert [len(part) for part in parts] == [50] * 4
    assert not parts[0] & parts[1]  # halves of one turn
    assert parts[2] not in parts[:2]  # the next turn is cut anew
    assert np.array_equal(mix.rows(2), mix_of(ORIGINS, (1.0, 1.0, 0.5), seed=0).rows(2))
    assert not np.array_equal(mix.rows(2), mix_of(ORIGINS, (1.0, 1.0, 0.5), seed=1).rows(2))


def test_equal_weights_take_everything():
    assert mix_of(ORIGINS, (3.0, 3.0, 3.0), seed=0) is None
    assert mix_of(np.zeros(5, np.int64), (1.0, 7.0), seed=0) is None  # the other one has no training rows


@pytest.mark.parametrize("world", [1, 3])
def test_batches_keep_their_budget(world):
    durations = np.random.default_rng(0).gamma(2.5, 1.5, len(ORIGINS)).clip(0.4, 20)
    mix = mix_of(ORIGINS, (1.0, 2.0, 0.25), seed=4)
    made = DurationBatches(durations, batch_duration=30.0, batch_size=None, seed=4, mix=mix)
    for epoch in range(3):
        batches = made.epoch(epoch, world)
        assert len(batches) % world == 0
        assert sorted(np.concatenate(batches)) == mix.rows(epoch).tolist()
        assert all(len(one) * durations[one].max() <= 30.001 for one in batches if len(one) > 1)


RECIPE = """
    [[data]]
    type = "manifest"
    path = "one/manifest.csv"
    weight = {weight}
    [[data]]
    type = "manifest"
    path = "two/manifest.csv"
    [model]
    type = "ctc"
    checkpoint = "base"
    [train]
    num_train_epochs = 2
    batch_duration = 8.0
    use_cpu = true
"""


@pytest.fixture
def project(vox_project):
    made = vox_project()
    tiny_ctc(made.path / "base")
    made.speech("one", n=8, seed=1)
    made.speech("two", n=12, seed=2)
    return made


def test_a_plan_counts_what_an_epoch_takes(project):
    project.write({"train.toml": RECIPE.format(weight=2.0)})
    mixed = json.loads(project.run("train", "train.toml", "--dry-run", "--no-doctor", "--json").assert_ok().out)["mix"]
    assert [(one["number"], one["weight"]) for one in mixed] == [(0, 2.0), (1, 1.0)]
    assert mixed[0]["an_epoch"] == mixed[0]["utterances"]
    assert mixed[1]["an_epoch"] == mixed[1]["utterances"] / 2
    shown = project.run("train", "train.toml", "--dry-run", "--no-doctor").assert_ok().out
    assert "data.1" in shown
    assert "weight 1: " in shown
    assert "weight" in project.run("recipe", "show", "train.toml").assert_ok().out


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("0", "data.0.weight is 0, expected more than 0"),
        ("-1.0", "expected more than 0"),
        ("nan", "expected more than 0"),
        ('"much"', 'data.0.weight is "much", expected a number'),
        ("true", "data.0.weight is true, expected a number"),
    ],
)
def test_weights_that_are_none(project, weight, message):
    project.write({"train.toml": RECIPE.format(weight=weight)})
    assert message in project.run("recipe", "check", "train.toml").assert_code(2).err
