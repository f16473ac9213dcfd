"""Edges of the checks of recipes: what is just allowed, what is said more softly, and what is passed over."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from voxcli.api import config
from voxcli.doctor.checks.recipe import (
    backend_refuses,
    batch_filling,
    device_precision,
    evaluation_cost,
    learning_rate,
    length_keys,
    metric_direction,
    patience,
    spaceless_metric,
    spoken,
    text_rules,
    worker_processes,
)
from voxcli.doctor.checks.recipe.trained import Trained
from voxcli.doctor.context import Context, Unavailable
from voxcli.doctor.subject import Subject
from voxcli.errors import ModelError
from voxcli.findings import Check, Finding
from voxcli.models.whisper import Whisper
from voxcli.recipe.resolve import resolve_tables
from voxcli.testing import write_speech
from voxcli.testing_models import tiny_ctc, tiny_whisper


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny checkpoints "ctc" and "whisper", and 24 utterances of about a second."""
    made = tmp_path_factory.mktemp("recipes")
    tiny_ctc(made / "ctc")
    tiny_whisper(made / "whisper")
    write_speech(made / "data", splits={"train": 24, "validation": 6})
    return made


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))


def found(check: Check, folder: Path, kind: str = "ctc", *, training: bool = False, **sections: Any) -> list[Finding]:
    """What a check says of a recipe."""
    tables: dict[str, Any] = {
        "data": [{"type": "manifest", "path": str(folder / "data/manifest.csv")}],
        "model": {"type": kind, "checkpoint": str(folder / kind), **sections.pop("model", {})},
        "train": {"max_steps": 100, "batch_duration": 8.0, **sections.pop("train", {})},
        **sections,
    }
    tables["train"] = {key: value for key, value in tables["train"].items() if value is not None}
    return list(check.run(Context.of_recipe(resolve_tables(tables), training=training)))


@pytest.mark.parametrize(
    ("what", "rate", "allowed"),
    [
        (Trained("checkpoint", "seq2seq", 768), 1e-4, True),
        (Trained("checkpoint", "seq2seq", 768), 2e-4, False),
        (Trained("checkpoint", "ctc", 1024), 1e-3, True),
        (Trained("checkpoint", "pretraining", 768), 5e-3, True),
        (Trained("random weights", "pretraining", 768), 1e-2, False),
        (Trained("checkpoint", "classification", 768), 3e-5, True),
        (Trained("checkpoint", "classification", 768), 5e-3, False),
        (Trained("output layer", "classification", 768), 5e-3, True),
        (Trained("adapter", "seq2seq", 768), 1e-3, True),
        (Trained("adapter", "ctc", 768), 1e-5, False),
        (Trained("random weights", "ctc", 256), 1e-3, True),
    ],
)
def test_rates_go_by_what_is_trained(what: Trained, rate: float, allowed: bool) -> None:
    (low, high, usual, diverges), words = learning_rate._rates(what)
    assert (low <= rate <= high) == allowed
    assert low <= usual <= high < diverges
    assert words


def test_a_rate_diverges_for_certain_in_wide_models_only(folder: Path, tmp_path: Path) -> None:
    check = learning_rate.LearningRateOutOfRange()
    [tiny] = found(check, folder, "whisper", train={"learning_rate": 1e-3})
    assert tiny.level == "warning"
    config = json.loads((folder / "whisper/config.json").read_text()) | {"d_model": 512}
    (tmp_path / "config.json").write_text(json.dumps(config))
    [wide] = found(check, folder, "whisper", model={"checkpoint": str(tmp_path)}, train={"learning_rate": 1e-3})
    assert wide.level == "error"
    assert wide.fix is not None
    assert wide.fix.changes == {"train.learning_rate": 1e-5}


def test_rates_of_other_optimizers_are_passed_over(folder: Path) -> None:
    check = learning_rate.LearningRateOutOfRange()
    assert not found(check, folder, train={"learning_rate": 1.0, "optim": "sgd"})
    assert not found(check, folder, train={"learning_rate": 1e-3, "freeze_layers": 2} | {"freeze_layers": None})
    assert not found(check, folder, model={"freeze_layers": 2}, train={"learning_rate": 5e-3})  # the output layer


def test_half_precision_without_a_gpu_is_a_note_unless_the_recipe_says_processor(folder: Path) -> None:
    check = device_precision.PrecisionOfTheDevice()
    fp16 = {"mixed_precision": "fp16"}
    assert [one.level for one in found(check, folder, train=fp16 | {"use_cpu": True})] == ["error"]
    assert all(one.level == "note" for one in found(check, folder, train=fp16))
    assert not found(check, folder, train=fp16, training=True)
    assert not found(check, folder, train={"mixed_precision": "bf16", "use_cpu": True})


def test_the_direction_that_is_right_is_not_said(folder: Path) -> None:
    check = metric_direction.MetricDirection()
    plateau = {"lr_scheduler_type": "reduce_lr_on_plateau"}
    assert not found(check, folder, train=plateau)
    assert not found(check, folder, train=plateau | {"lr_scheduler_kwargs": {"mode": "min"}})
    [said] = found(check, folder, train=plateau | {"lr_scheduler_kwargs": {"mode": "max"}})
    assert said.level == "error"
    assert "wer" in said.message


def test_two_lengths_of_two_files_are_how_presets_are_used(folder: Path, tmp_path: Path) -> None:
    check = length_keys.LengthSetTwice()
    data = f'[[data]]\ntype = "manifest"\npath = "{folder}/data/manifest.csv"\n'
    model = f'[model]\ncheckpoint = "{folder}/ctc"\n'
    inherited = f'extends = "ctc-full"\n{data}{model}[train]\nmax_steps = 10\n'
    (tmp_path / "r.toml").write_text(inherited)
    context = Context(Subject(("recipe",), "r.toml", tmp_path / "r.toml"))
    assert not list(check.run(context))
    (tmp_path / "r.toml").write_text(inherited + "num_train_epochs = 3\n")
    both = Context(Subject(("recipe",), "r.toml", tmp_path / "r.toml"))
    assert len(list(check.run(both))) == 1
    (tmp_path / "lock.json").write_text("{}")  # the recipe of a run names every key
    assert not list(check.run(both))


def test_a_patience_that_can_be_reached(folder: Path) -> None:
    check = patience.PatienceOutlastsRun()
    assert not found(check, folder, train={"eval_steps": 20, "early_stopping_patience": 4})
    assert found(check, folder, train={"eval_steps": 20, "early_stopping_patience": 5})
    assert not found(check, folder, train={"early_stopping_patience": 9})
    assert found(check, folder, train={"early_stopping_patience": 10})


def test_one_or_two_evaluations_are_not_frequent(folder: Path) -> None:
    check = evaluation_cost.EvaluationCostsMoreThanTraining()
    assert not found(check, folder, "whisper", train={"max_steps": 2, "eval_steps": 1}, model={"language": "en"})
    [said] = found(
        check,
        folder,
        "whisper",
        train={"max_steps": 50, "eval_steps": 1},
        evaluate={"num_beams": 5},
        model={"language": "en"},
    )
    assert said.fix is not None
    assert said.fix.changes["train.eval_steps"] > 5
    assert not found(check, folder, train={"eval_steps": 1}, evaluate={"max_utterances": 2})


def test_a_step_of_a_little_more_than_an_epoch_is_a_note(folder: Path) -> None:
    check = batch_filling.BatchNeverFull()
    assert not found(check, folder, train={"gradient_accumulation_steps": 2})
    few = {"batch_duration": None, "per_device_train_batch_size": 4}
    assert [one.level for one in found(check, folder, train=few | {"gradient_accumulation_steps": 7})] == ["note"]
    assert [one.level for one in found(check, folder, train=few | {"gradient_accumulation_steps": 12})] == ["warning"]


def test_every_scheduler_of_transformers_is_tried_with_what_it_gets(folder: Path) -> None:
    check = backend_refuses.BackendRefuses()
    for name, keys in (
        ("inverse_sqrt", {}),
        ("cosine_with_restarts", {"num_cycles": 3}),
        ("warmup_stable_decay", {"num_decay_steps": 20}),
        ("reduce_lr_on_plateau", {"patience": 2}),
        ("constant", {}),
    ):
        assert not found(check, folder, train={"lr_scheduler_type": name, "lr_scheduler_kwargs": keys}), name
    [said] = found(check, folder, train={"lr_scheduler_type": "cosine_with_min_lr"})
    assert said.fix is not None
    assert said.fix.changes["train.lr_scheduler_type"] == "linear"


@pytest.mark.parametrize(
    ("language", "said"), [("zh", True), ("th", True), ("ko", False), ("en", False), ("Japanese", True)]
)
def test_languages_without_spaces(folder: Path, language: str, said: bool) -> None:
    check = spaceless_metric.WordsWithoutSpaces()
    assert bool(found(check, folder, "whisper", model={"language": language})) == said
    assert not found(check, folder, "whisper", model={"language": language, "generation_task": "translate"})


def test_more_workers_than_processors_are_a_note(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    check = worker_processes.MoreWorkersThanProcessors()
    assert not found(check, folder, train={"dataloader_num_workers": 2})
    assert [one.level for one in found(check, folder, train={"dataloader_num_workers": 3})] == ["note"]


def test_languages_are_compared_by_their_codes() -> None:
    assert [spoken.code(name) for name in ("zh-CN", "cmn", "Hindi", "pt_BR", "tr")] == ["zh", "zh", "hi", "pt", "tr"]


@pytest.mark.parametrize(
    ("remove", "meant"),
    [("[0-9]", "0123456789"), ("[^a-z]", None), (r"[\w]", None), ("0-9,.", "0123456789,.")],
)
def test_a_pattern_is_told_from_a_list_of_characters(folder: Path, remove: str, meant: str | None) -> None:
    [said] = found(text_rules.TextRuleWithoutEffect(), folder, text={"remove": remove})
    assert said.fix is not None
    assert said.fix.changes["text.remove"] == meant


@pytest.mark.parametrize("remove", [",.?!", "[]()", "-–—", r"\/", "a", "0123456789"])
def test_characters_that_are_meant(folder: Path, remove: str) -> None:
    assert not found(text_rules.TextRuleWithoutEffect(), folder, text={"remove": remove})


def test_turkish_capitals_are_lowered_by_turkish_rules(folder: Path) -> None:
    rules = {"lowercase": True, "language": "tr", "replace": {"İ": "i"}}
    [said] = found(text_rules.TextRuleWithoutEffect(), folder, text=rules)
    assert said.fix is not None
    assert said.fix.changes == {"text.replace": {"i": "i"}}


def test_a_plugins_checkpoint_need_not_be_one_of_transformers(folder: Path) -> None:
    recipe = resolve_tables(
        {
            "data": [{"type": "manifest", "path": str(folder / "data/manifest.csv")}],
            "model": {"type": "ctc", "checkpoint": "model.nemo"},
            "train": {"max_steps": 100, "batch_duration": 8.0},
        }
    )

    @config
    class Foreign(type(recipe.model)):  # type: ignore[misc]
        """A family of a plugin."""

    context = Context.of_recipe(dataclasses.replace(recipe, model=Foreign(checkpoint="model.nemo")), training=True)
    assert context.config == {}
    assert not context.findings
    with pytest.raises(Unavailable):
        _ = Context.of_recipe(recipe).config


def test_a_checkpoint_without_a_table_of_languages_knows_those_of_whisper(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((folder / "whisper/config.json").read_text())
    Whisper(checkpoint=str(tmp_path), language="tr").check_language()
    with pytest.raises(ModelError, match="is no language"):
        Whisper(checkpoint=str(tmp_path), language="klingon").check_language()
