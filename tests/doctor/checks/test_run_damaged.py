"""Logs in which anything stands where a figure should: every check says something or nothing, and none fails."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from run_folders import IDS, evaluated, falling, logs, session, steps, validation
from simulated import findings

from voxcli.doctor.run.record import of_run, of_trainer

RUBBISH: list[Any] = [None, "", "nan", "text", -1, 0, 1e308, float("nan"), float("inf"), True, [], {}, ["x"], {"a": 1}]
CULPRIT = {"id": IDS[0], "reason": "silent", "cause": "silent"}
ENTRIES: list[dict[str, Any]] = [
    session(0),
    {"step": 0, "memory": {"device": "RAM", "usable": 8e9, "shape": {}, "predicted": {"needed": 9e9}}},
    *steps(falling(120)),
    {"step": 30, "incident": "memory", "where": "forward", "utterances": list(IDS[:3]), "durations": [1.0, 2.0, 9.0]}
    | {"padding": 0.4, "n_utterances": 3, "padded_seconds": 27.0, "goes_on": "in halves", "said": "CUDA out of memory"},
    {
        "step": 31,
        "incident": "memory",
        "where": "evaluation",
        "n_utterances": 3,
        "padded_seconds": 27.0,
        "goes_on": "no",
    },
    {"step": 32, "incident": "memory", "where": "optimizer", "goes_on": "with the rest"},
    {"step": 40, "incident": "loss", "epoch": 0, "utterances": list(IDS[:3]), "value": "nan", "culprits": [CULPRIT]},
    {"step": 41, "incident": "gradient", "utterances": list(IDS[:3]), "value": "inf", "cause": "learning-rate"},
    {"step": 50, "incident": "spike", "grad_norm": 90.0, "median": 2.0, "utterances": [IDS[0]]},
    {"step": 51, "incident": "spike", "grad_norm": 90.0, "median": 2.0, "utterances": [IDS[0]]},
    *(validation(at * 20, 1.0, texts={"empty": 1.0, "blank": 1.0, "repeating": 0.0}) for at in range(1, 6)),
    session(60, order="other"),
    {"step": 120, "memory": {"measured": {"process": 5e9}, "predicted": {"needed": 1e9}}},
    {"step": 120, "end": "error", "error": {"type": "E", "message": "CUDA out of memory", "utterances": [IDS[0]]}},
]
TABLES = {
    "model": {"type": "ctc", "checkpoint": "/nowhere"},
    "train": {"max_steps": 120, "learning_rate": 1e-4, "batch_duration": 8.0, "dataloader_num_workers": 0},
    "evaluate": {"metrics": ["wer"], "max_utterances": 500},
}


def table(value: dict[str, Any], draw: random.Random, share: float) -> dict[str, Any]:
    """The same that is still a table."""
    return {key: spoilt(inner, draw, share) for key, inner in value.items()}


def spoilt(value: Any, draw: random.Random, share: float) -> Any:
    """A tree in which some values, at any depth, are something else."""
    if draw.random() < share:
        return draw.choice(RUBBISH)
    if isinstance(value, dict):
        return {key: spoilt(inner, draw, share) for key, inner in value.items()}
    return [spoilt(inner, draw, share) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(60))
def test_no_check_fails_on_a_spoilt_run(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    share = draw.choice([0.0, 0.003, 0.03, 0.2])
    lines = [json.dumps(spoilt(entry, draw, share)) for entry in ENTRIES]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "lock.json").write_text(json.dumps(spoilt({"data": {"train": {"utterances": 24}}}, draw, share)))
    (tmp_path / "culprits.jsonl").write_text(json.dumps(table({**CULPRIT, "split": "train"}, draw, share)) + "\n")
    said = {"checkpoint": "c/step-000120", "data": tmp_path.name, "split": "validation", "utterances": 900}
    rate = {"rate": 0.2, "interval": [0.1, 0.3]}
    scores = {**table(said, draw, share), **table({"decoding": {"num_beams": 5}, "raw": {"wer": rate}}, draw, share)}
    (tmp_path / "evaluation/one").mkdir(parents=True)
    (tmp_path / "evaluation/one/scores.json").write_text(json.dumps(scores))
    record = of_run(tmp_path)
    record.tables = table(TABLES, draw, share)
    findings(record)


@pytest.mark.parametrize("seed", range(60))
def test_no_check_fails_on_a_spoilt_state_of_the_trainer(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    share = draw.choice([0.003, 0.03, 0.2])
    history = [*logs(falling(60)), *(evaluated(at * 100, wer=0.5, loss=1.0) for at in range(1, 7))]
    state = {
        "max_steps": 600,
        "best_metric": 0.5,
        "best_model_checkpoint": "out/checkpoint-200",
        "best_global_step": 200,
    }
    state |= {"stateful_callbacks": {"TrainerControl": {}}, "epoch": 6.0, "train_batch_size": 8}
    whole = {**table(state, draw, share), "global_step": 600, "log_history": spoilt(history, draw, share)}
    (tmp_path / "trainer_state.json").write_text(json.dumps(whole))
    (tmp_path / "config.json").write_text(
        json.dumps(spoilt({"architectures": ["ForCTC"], "vocab_size": 9}, draw, share))
    )
    (tmp_path / "all_results.json").write_text(json.dumps(spoilt({"eval_wer": 0.9}, draw, share)))
    findings(of_trainer(tmp_path))
