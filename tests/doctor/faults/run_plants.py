"""How each fault of a run is planted: real runs that are broken, and logs as runs write them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import run_folders as runs
from forked import popen
from planted import recipe
from run_folders import IDS, RUN, evaluated, falling, logs, steps
from trainer_folders import trained

from voxcli.testing import Project


def of(entries: runs.Entries, **settings: Any) -> Callable[[Project], list[str]]:
    """A run with these entries in its log."""
    return partial(runs.run, entries=list(entries), **settings)


def by_trainer(history: runs.Entries, **settings: Any) -> Callable[[Project], list[str]]:
    """A Trainer's folder with this log."""
    return partial(runs.trainer, history=list(history), **settings)


def noisy(level: Any, n: int, size: float = 0.05) -> np.ndarray:
    found: np.ndarray = np.asarray(level) * np.exp(size * np.random.default_rng(2).normal(size=n))
    return found


# ----------------------------------------------------------------------------------------------- memory, ends, crashes


def long_clip(project: Project) -> list[str]:
    """A real run in which every batch with a clip of more than 2 s does not fit, and a clip of 6 s among the others."""
    import torch

    from voxcli.tasks.ctc import CTCTask

    recipe(project, train={"max_steps": 6, "batch_duration": 8.0, "eval_steps": 6})
    _longer(project.path / "data" / IDS[3], 6.0)
    _set_row(project.path / "data/manifest.csv", IDS[3], duration="6.000")
    whole = CTCTask.loss

    def loss(self: Any, bundle: Any, batch: Any) -> Any:
        if bundle.model.training and int(batch["n_samples"].max()) > 2 * 16000:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return whole(self, bundle, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOX_PREDICT_MEMORY", "0")
        patch.setattr(CTCTask, "loss", loss)
        project.run("train", "r.toml", "--no-doctor").assert_ok()
    return [RUN]


def killed(project: Project) -> list[str]:
    """A real run, ended by SIGKILL after some steps."""
    arguments = recipe(project, train={"max_steps": 5000, "save_steps": 20})
    process = popen(project, "train", *arguments, env={"VOX_PREDICT_MEMORY": "0"})
    log = project.path / RUN / "log.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (log.is_file() and log.read_text().count('"loss"') > 25):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return [RUN]


def without_memory(project: Project) -> list[str]:
    """A run whose process had taken nearly all of the memory when it ended without a word."""
    memory = {"device": "this machine's RAM", "usable": 8 * 2**30, "predicted": {"needed": 5 * 2**30}}
    entries = steps(falling(50), peak_bytes=np.linspace(2, 7.8, 50) * 2**30)
    runs.run(project, [{"step": 0, "memory": memory}, *entries], end=None, train={"max_steps": 500})
    shutil.rmtree(project.path / RUN / "checkpoints/step-000050")
    (project.path / RUN / "best").unlink()
    return [RUN]


def memory_error(step: int) -> dict[str, Any]:
    said = "step 8: out of memory on cuda:0 in the forward pass of one utterance of 25.1 s: not even one utterance fits"
    error = {"type": "TrainingError", "message": said, "help": "train a LoRA adapter", "utterances": [IDS[2]]}
    return {"step": step, "end": "error", "error": error}


def disk_full(step: int) -> dict[str, Any]:
    said = f"the checkpoint runs/planted/checkpoints/step-{step:06d} could not be written: the disk is full"
    return {"step": step, "end": "error", "error": {"type": "TrainingError", "message": said, "help": "make room"}}


# ------------------------------------------------------------------------------------------------------ not finite


def culprit(cause: str, reason: str, **more: Any) -> dict[str, Any]:
    found = {"step": 7, "incident": "loss", "epoch": 0, "utterances": list(IDS[:6]), "value": "nan", "parameter": None}
    return {**found, "culprits": [{"id": IDS[4], "reason": reason, "cause": cause}], "goes_on": True, **more}


def infeasible(project: Project) -> list[str]:
    """A log that names the step's utterances and nothing else; one label needs more frames than its audio has."""
    entry = {"step": 13, "incident": "loss", "epoch": 4, "utterances": list(IDS[:6])}
    runs.run(project, [*steps(falling(12, 11.5, 11.0)), entry], end="error", train={"max_steps": 100})
    _set_row(project.path / "data/manifest.csv", IDS[2], text="seven " * 40)
    return [RUN]


def loud(project: Project) -> list[str]:
    """The same, where the samples of one clip reach 1e30."""
    import soundfile

    entry = {"step": 13, "incident": "gradient", "epoch": 4, "utterances": list(IDS[:6])}
    runs.run(project, [*steps(falling(12, 11.5, 11.0)), entry], end="error", train={"max_steps": 100})
    path = project.path / "data" / IDS[1]
    audio, rate = soundfile.read(path, dtype="float32")
    audio[100] = 1e30
    soundfile.write(path, audio, rate, subtype="FLOAT")
    return [RUN]


RISING = np.concatenate([np.full(60, 2.0), 2.0 * np.exp(np.linspace(0, 5, 20))])
NAN_AT_81 = {"step": 81, "incident": "loss", "epoch": 0, "utterances": list(IDS[:4]), "value": "nan", "goes_on": False}


# -------------------------------------------------------------------------------------------------------- checkpoints


def dangling(project: Project) -> list[str]:
    runs.real(project)
    shutil.rmtree((project.path / RUN / "best").resolve())
    return [RUN]


def cut_short(project: Project) -> list[str]:
    runs.real(project)
    path = project.path / RUN / "checkpoints/step-000012/model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    return [RUN]


def half_written(project: Project) -> list[str]:
    runs.real(project)
    newest = project.path / RUN / "checkpoints/step-000012"
    shutil.copytree(newest, newest.with_name(".step-000016.partial"))
    return [RUN]


def without_log(project: Project) -> list[str]:
    runs.real(project)
    (project.path / RUN / "log.jsonl").write_text("")
    return [RUN]


def no_weights(project: Project) -> list[str]:
    trained(project, "healthy")
    next((project.path / "trained").glob("checkpoint-*/model.safetensors")).unlink()
    return ["trained"]


def scores(project: Project, *, wer: float, beams: int = 1) -> list[str]:
    """`vox evaluate` on the validation split of a run whose log says 100 %."""
    runs.real(project)
    rate = {"rate": wer, "interval": [wer - 0.1, wer + 0.1], "length": 20}
    decoding = {"num_beams": beams, "max_new_tokens": None, "no_repeat_ngram_size": 0, "language": None}
    said = {"checkpoint": str(project.path / RUN / "checkpoints/step-000012"), "data": "planted", "split": "validation"}
    table = {**said, "utterances": 6, "decoding": decoding, "raw": {"wer": rate}}
    project.write({f"{RUN}/evaluation/validation-step-000012/scores.json": json.dumps(table)})
    return [RUN]


def final_wer(project: Project) -> list[str]:
    history = [*logs(falling(100)), *(evaluated(step, wer=0.3 + 10 / step, loss=0.4) for step in range(100, 1001, 100))]
    runs.trainer(project, sorted(history, key=lambda one: one["step"]))
    project.write({"trained/all_results.json": json.dumps({"eval_wer": 0.55, "eval_loss": 0.4, "train_loss": 0.6})})
    return ["trained"]


def stopped(project: Project) -> list[str]:
    """A Trainer's run that was to take 100 steps and has left two checkpoints, days ago."""
    trained(project, "healthy")
    folder = project.path / "trained"
    (folder / "trainer_state.json").unlink()
    for path in folder.glob("checkpoint-*/trainer_state.json"):
        path.write_text(path.read_text().replace('"max_steps": 12', '"max_steps": 100'))
        os.utime(path, (1.7e9, 1.7e9))
    return ["trained"]


def many_set_aside(project: Project) -> list[str]:
    runs.real(project)
    lines = [
        {"id": name, "split": "train", "reason": f"data/{name} cannot be read", "step": 1, "epoch": 0}
        for name in IDS[:5]
    ]
    runs.write(project.path / RUN / "culprits.jsonl", lines)
    return [RUN]


def damaged_log(project: Project) -> list[str]:
    runs.real(project)
    path = project.path / RUN / "log.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], lines[3][:40], "Traceback (most recent call last):", *lines[4:]]) + "\n")
    return [RUN]


# ------------------------------------------------------------------------------------------------------------- healthy


def resumed(project: Project) -> list[str]:
    """A real run that was made longer, in a second session."""
    runs.real(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOX_PREDICT_MEMORY", "0")
        project.run("train", "r.toml", "train.max_steps=16", "--resume", "--no-doctor").assert_ok()
    return [RUN]


def evaluated_again(project: Project) -> list[str]:
    """A real run and `vox evaluate` on its validation split."""
    runs.real(project)
    project.run("evaluate", RUN, "--split", "validation").assert_ok()
    return [RUN]


def running(project: Project) -> list[str]:
    """A run whose process lives: this one."""
    runs.run(project, steps(falling(50)), end=None, train={"max_steps": 5000})
    path = project.path / RUN / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    begun = {**json.loads(lines[0])["session"], "pid": os.getpid(), "time": "2100-01-01T00:00:00+00:00"}
    path.write_text(json.dumps({"step": 0, "session": begun}) + "\n" + "".join(lines[1:]) + '{"step": 51, "lo')
    return [RUN]


def _longer(path: Path, seconds: float) -> None:
    import soundfile

    audio, rate = soundfile.read(path, dtype="float32")
    soundfile.write(path, np.resize(audio, int(seconds * rate)), rate)


def _set_row(manifest: Path, name: str, **values: str) -> None:
    import csv

    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["path"] == name:
            row.update(values)
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
