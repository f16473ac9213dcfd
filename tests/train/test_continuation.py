"""What may differ between a run and its continuation."""

from __future__ import annotations

import pytest

from voxcli.errors import TrainingError
from voxcli.recipe.where import Place
from voxcli.train.continuation import check_data, check_recipe

BEFORE = {"seed": 1, "train": {"max_steps": 10, "learning_rate": 1e-4}, "augment": [{"type": "gain"}]}


def test_length_and_pauses_may_change() -> None:
    check_recipe(BEFORE, {**BEFORE, "train": {"max_steps": 20, "learning_rate": 1e-4, "save_steps": 5}})
    check_recipe(BEFORE, {**BEFORE, "evaluate": {"metrics": ["cer"]}})
    check_recipe({**BEFORE, "data": [{"path": "/old"}]}, {**BEFORE, "data": [{"path": "/new"}]})


def test_what_a_step_computes_may_not() -> None:
    with pytest.raises(TrainingError) as caught:
        check_recipe(BEFORE, {"seed": 2, "train": {"max_steps": 10, "learning_rate": 1e-3}, "augment": []})
    assert "seed: 1 -> 2" in caught.value.message
    assert "train.learning_rate: 0.0001 -> 0.001" in caught.value.message
    assert "augment: [{'type': 'gain'}] -> []" in caught.value.message


def test_a_default_that_the_run_did_not_know_is_no_change() -> None:
    now = {**BEFORE, "train": {"max_steps": 10, "learning_rate": 1e-4, "new_key": 0.0}}
    check_recipe(BEFORE, now, places={("train", "learning_rate"): Place("command line")})
    with pytest.raises(TrainingError, match=r"train\.new_key: None -> 0\.0"):
        check_recipe(BEFORE, now, places={("train", "new_key"): Place("command line")})


def test_other_data_are_told() -> None:
    old = {"train": {"utterances": 8, "duration": 10.5, "hash": "a"}}
    check_data(old, old)
    with pytest.raises(TrainingError, match=r"8 utterances and 10.5 s then, 9 and 12.0 s now"):
        check_data(old, {"train": {"utterances": 9, "duration": 12.0, "hash": "b"}})
