"""trainer_state.json of the transformers Trainer -> a record (transformers.TrainerState, main_classes/callback).

The log is `log_history`: one object every `logging_steps` steps (loss, grad_norm, learning_rate: means and newest
values), one an evaluation (eval_*), one at the end (train_runtime …). NaN stands in it as it is. The newest state of
the folder or its checkpoints is taken. training_args.bin is a pickle and is left alone: what it holds is partly in the
model card.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np

from voxcli.doctor.run import saved
from voxcli.doctor.run.entries import Entry, step_of
from voxcli.doctor.run.record import Record, first_config, json_table
from voxcli.doctor.run.run_log import Damage, Evaluation, RunLog, numbers
from voxcli.doctor.subject import TRAINER_STATE
from voxcli.errors import DataError

TIMES = ("runtime", "samples_per_second", "steps_per_second", "model_preparation_time", "compilation_time")
RATES = ("wer", "cer", "wer_ortho", "cer_ortho")
PERCENT = 5.0
"""A usual error rate above this is one in percent: 500 % for a whole run means nothing else. The examples of the
transformers documentation multiply by 100."""
CARD = re.compile(r"^- (\w+): (.+)$", re.MULTILINE)
"""A line of "Training hyperparameters" of a model card (transformers.modelcard)."""
CARD_KEYS = {
    "learning_rate": "learning_rate",
    "train_batch_size": "per_device_train_batch_size",
    "gradient_accumulation_steps": "gradient_accumulation_steps",
    "num_devices": "num_devices",
    "training_steps": "max_steps",
    "lr_scheduler_warmup_steps": "warmup_steps",
}


def read(folder: Path) -> Record:
    """The folder of a run, or one of its checkpoints. Raises `DataError` where no state can be read."""
    damage: list[Damage] = []
    state, path = _newest(folder, damage)
    if not state:
        reason = str(damage[0]) if damage else f"there is no {TRAINER_STATE}"
        raise DataError(f"the log of {folder} cannot be read: {reason}", help="look at another of its checkpoints")
    history = state.pop("log_history", None)
    if not isinstance(history, list):
        damage.append(Damage(path, 0, "it has no log_history"))
        history = []
    log = RunLog()
    for index, entry in enumerate(history, 1):
        problem = _add(log, entry, state) if isinstance(entry, dict) else "no object"
        if problem is not None:
            damage.append(Damage(path, 0, f"log_history[{index - 1}]: {problem}"))
    steps, figures, marks = log.columns.arrays()
    whole = path.parent if path.parent.name.startswith("checkpoint-") else folder
    record = Record(
        folder,
        trainer=True,
        steps=steps,
        figures=figures,
        marks=marks,
        jumps=log.columns.jumps,
        evaluations=_shares(log.evaluations),
        state=state,
        checkpoints=saved.of_trainer(folder),
        damage=damage,
        log_path=path,
        modified=path.stat().st_mtime,
    )
    record.config = first_config([folder, whole])
    record.tables = {"train": _card(folder)}
    results = {}
    for name in ("all_results.json", "eval_results.json"):
        results.update(numbers(json_table(folder / name, damage)))
    record.results = _shares([Evaluation(0, _scores(results))])[0].scores
    return record


def of_checkpoint(record: Record) -> bool:
    """Whether a record was read from one checkpoint alone, under whatever name: what came after it is not known."""
    return record.path.name.startswith("checkpoint-") or not record.checkpoints


def could_be_over(record: Record) -> bool:
    """Whether the steps that a Trainer's log lacks are fewer than it takes between two checkpoints: not every version
    writes one at the end.
    """
    whole = [one.step for one in record.checkpoints if one.step > 0]
    apart = [later - one for one, later in itertools.pairwise(whole)]
    every = max([step_of(record.state.get("save_steps")) or 0, *apart[-1:]])
    return record.total_steps is None or record.total_steps - record.last_step < max(every, 1)


def _newest(folder: Path, damage: list[Damage]) -> tuple[dict[str, Any], Path]:
    """The state that has seen most steps."""
    best: dict[str, Any] = {}
    at = folder / TRAINER_STATE
    for path in [folder / TRAINER_STATE, *sorted(folder.glob(f"checkpoint-*/{TRAINER_STATE}"), key=_number)]:
        state = json_table(path, damage)
        if state and (not best or _steps(state) > _steps(best)):
            best, at = state, path
    return best, at


def _number(path: Path) -> int:
    found = re.search(r"(\d+)$", path.parent.name)
    return int(found[1]) if found else -1


def _steps(state: dict[str, Any]) -> int:
    return step_of(state.get("global_step")) or 0


def _add(log: RunLog, entry: Entry, state: dict[str, Any]) -> str | None:
    if "train_runtime" in entry:
        state["train_runtime"] = entry["train_runtime"]
        return None
    scores = _scores(numbers(entry))
    if scores:
        seconds = numbers(entry).get("eval_runtime", 0.0)
        step = step_of(entry.get("step"))
        if step is None:
            return "an evaluation without a step"
        log.evaluations.append(Evaluation(step, scores, seconds=seconds))
        return None
    if any(str(key).startswith("eval_") for key in entry):
        return None
    return log.add(entry)


def _scores(table: dict[str, float]) -> dict[str, float]:
    """eval_wer -> wer, without the times."""
    return {
        key.removeprefix("eval_"): value
        for key, value in table.items()
        if key.startswith("eval_") and not key.endswith(TIMES) and key != "eval_samples"
    }


def _shares(evaluations: list[Evaluation]) -> list[Evaluation]:
    """Error rates as shares: many scripts log them in percent."""
    found = []
    percent = {}
    for name in RATES:
        values = np.array([one.scores[name] for one in evaluations if name in one.scores])
        values = values[np.isfinite(values)]
        losses = np.array([one.scores["loss"] for one in evaluations if "loss" in one.scores])
        losses = losses[np.isfinite(losses)]
        low = bool(len(losses)) and bool(np.median(losses) < 1.0)
        middle = float(np.median(values)) if len(values) else 0.0
        percent[name] = middle > PERCENT or (middle > 1.5 and low)
    for one in evaluations:
        scores = {name: value / 100 if percent.get(name) else value for name, value in one.scores.items()}
        found.append(Evaluation(one.step, scores, one.texts, one.best, one.seconds))
    return found


def _card(folder: Path) -> dict[str, Any]:
    """What the model card says of the training, under the names of [train]."""
    found: dict[str, Any] = {}
    for path in (folder / "README.md", folder.parent / "README.md"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        except OSError:
            continue
        if "generated_from_trainer" not in text and "Training hyperparameters" not in text:
            continue
        for key, value in CARD.findall(text):
            if key in CARD_KEYS:
                try:
                    figure = float(value)
                except ValueError:
                    continue
                found[CARD_KEYS[key]] = int(figure) if figure.is_integer() and key != "learning_rate" else figure
            elif key == "mixed_precision_training":
                found["mixed_precision"] = "fp16"
        break
    return found
