"""Faults of runs, found in what they left on disk: of voxcli and of the transformers Trainer."""

from __future__ import annotations

import json
import math
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
from planted import Fault, Healthy, assert_found, assert_healthy, recipe
from run_folders import IDS, RUN, evaluated, falling, logs, ordered, steps, validation
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
    process = project.popen("train", *arguments, env={**os.environ, "VOX_PREDICT_MEMORY": "0"})
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


CLIMBS = np.concatenate([falling(300), noisy(4.0, 200)])
SPIKES = np.where(np.isin(np.arange(400), (150, 250, 350)), 90.0, 2.0)
REPEATING = {"utterances": 40, "empty": 0.0, "blank": None, "repeating": 0.3, "at_limit": 0.2, "length_ratio": 3.4}
EMPTY = {"utterances": 40, "empty": 1.0, "blank": 1.0, "repeating": 0.0, "at_limit": None, "length_ratio": 0.0}
WHISPER = {"type": "whisper"}
LONGER = [*logs(falling(50)), *logs(falling(50), epoch=np.arange(51, 101) / 20)]
PRETRAINED = {
    "contrastive_loss": np.where(np.arange(400) < 200, 3.0, 0.001),
    "codevector_perplexity": np.where(np.arange(400) < 200, 150.0, 2.0),
}

FAULTS = [
    Fault("one-long-clip-does-not-fit", long_clip, "T101", utterances=(IDS[3],)),
    Fault(
        "memory-ends-in-evaluation",
        of(
            [
                *steps(falling(40)),
                {"step": 40, "incident": "memory", "where": "evaluation", "n_utterances": 8, "padded_seconds": 96.0}
                | {"goes_on": "in halves", "said": "CUDA out of memory"},
            ]
        ),
        "T101",
    ),
    Fault("not-even-one-utterance-fits", of([*steps(falling(7)), memory_error(7)], end=None), "T101", (IDS[2],)),
    Fault("ended-by-the-system", without_memory, "T101"),
    Fault("killed", killed, "T102"),
    Fault("log-stops", of(steps(falling(40)), sessions=False, saved=20, train={"max_steps": 400}), "T102"),
    Fault("ctc-infeasible", of(ordered(*steps(falling(40)), culprit("ctc-infeasible", "60 of 40"))), "T103", (IDS[4],)),
    Fault("infeasible-by-the-data", infeasible, "T103", utterances=(IDS[2],)),
    Fault("amplitude-by-the-data", loud, "T103", utterances=(IDS[1],)),
    Fault("norm-rose-before", of([*steps(falling(80), grad_norm=RISING), NAN_AT_81], end="error"), "T103", IDS[:4]),
    Fault("half-precision", of([NAN_AT_81], end="error", train={"mixed_precision": "fp16"}), "T103", IDS[:4]),
    Fault("infeasible-labels-of-a-trainer", partial(trained, kind="infeasible"), "T103"),
    Fault("loss-climbs", of(steps(CLIMBS)), "T104"),
    Fault("loss-of-a-trainer-climbs", by_trainer(logs(np.concatenate([falling(60), noisy(3.5, 40)]))), "T104"),
    Fault(
        "one-clip-in-all-spikes",
        of(
            ordered(
                *steps(falling(400), grad_norm=SPIKES),
                *(
                    {
                        "step": step,
                        "incident": "spike",
                        "grad_norm": 90.0,
                        "median": 2.0,
                        "utterances": [IDS[9], IDS[at]],
                    }
                    for at, step in enumerate((151, 251, 351))
                ),
            )
        ),
        "T105",
        (IDS[9],),
    ),
    Fault("plateau-of-a-ctc-head", of([*steps(noisy(2.9, 900)), validation(900, 1.02)]), "T106"),
    Fault(
        "classifier-guesses",
        by_trainer(
            [*logs(noisy(math.log(10), 60, 0.01)), evaluated(600, loss=2.31, accuracy=0.11)],
            architecture="Wav2Vec2ForSequenceClassification",
            config={"id2label": {str(index): str(index) for index in range(10)}},
        ),
        "T106",
    ),
    Fault("only-blanks", of([*steps(noisy(2.9, 900)), validation(900, 1.0, texts=EMPTY)]), "T107"),
    Fault(
        "only-blanks-of-a-trainer",
        by_trainer(ordered(*logs(noisy(2.9, 100)), *(evaluated(step, loss=2.9, wer=1.0) for step in (400, 700, 1000)))),
        "T107",
    ),
    Fault(
        "falls-silent",
        of(ordered(*steps(CLIMBS), validation(200, 0.5, 0.8), validation(400, 1.0, 4.0), validation(500, 1.0, 4.0))),
        "T107",
    ),
    Fault(
        "decoder-repeats-itself",
        of([*steps(falling(300)), validation(300, 2.6, texts=REPEATING)], model=WHISPER),
        "T108",
    ),
    Fault(
        "decoder-of-a-trainer-does-not-end",
        by_trainer(
            ordered(*logs(falling(60)), *(evaluated(step, loss=0.5, wer=240.0) for step in (200, 400, 600))),
            architecture="WhisperForConditionalGeneration",
        ),
        "T108",
    ),
    Fault("accumulation-of-a-trainer", partial(trained, kind="accumulated"), "T109"),
    Fault(
        "multiplied-by-eight",
        by_trainer(
            ordered(
                *logs(8 * falling(100, noise=0.03)),
                *(evaluated(step, loss=float(falling(100, noise=0)[step // 10 - 1])) for step in range(100, 1001, 100)),
            )
        ),
        "T109",
    ),
    Fault(
        "learned-by-heart",
        of(
            ordered(
                *steps(falling(1000)),
                *(validation(at * 100, 0.3 + 0.03 * abs(at - 3), 1 + 0.1 * at, best=at <= 3) for at in range(1, 11)),
            )
        ),
        "T110",
    ),
    Fault(
        "validation-loss-of-a-trainer-rises",
        by_trainer(
            ordered(*logs(falling(100)), *(evaluated(at * 100, loss=0.8 + 0.15 * abs(at - 3)) for at in range(1, 11)))
        ),
        "T110",
    ),
    Fault("other-beams", partial(scores, wer=0.7, beams=5), "T111"),
    Fault("other-score-of-the-same-clips", partial(scores, wer=0.8), "T111"),
    Fault("final-wer-of-a-trainer", final_wer, "T111"),
    Fault("pre-training-collapsed", of(steps(falling(400), **PRETRAINED)), "T112"),
    Fault("became-slower", of(steps(falling(400), seconds=np.where(np.arange(400) < 150, 0.5, 1.5))), "T113"),
    Fault("waits-for-data", of(steps(falling(400), data_seconds=np.full(400, 0.3))), "T114"),
    Fault(
        "other-order-after-a-resume",
        of(ordered(*steps(falling(60)), {"step": 30, "end": "interrupted"}, runs.session(30, order="ffff"))),
        "T115",
    ),
    Fault(
        "other-batch-size-of-a-trainer",
        by_trainer([*LONGER[:50], *({**e, "step": e["step"] + 500} for e in LONGER[50:])]),
        "T115",
    ),
    Fault("rate-of-zero", of(steps(noisy(3.0, 60), learning_rate=np.zeros(60))), "T116"),
    Fault("warm-up-of-a-trainer-never-ends", by_trainer(logs(falling(60), learning_rate=np.arange(60) * 1e-7)), "T116"),
    Fault(
        "patience-during-the-plateau",
        of(
            ordered(*steps(noisy(2.9, 90)), *(validation(step, 1.0, best=step == 30) for step in (30, 60, 90))),
            end="stopped early",
            train={"max_steps": 2000, "early_stopping_patience": 2},
        ),
        "T117",
    ),
    Fault("many-set-aside", many_set_aside, "T120", utterances=IDS[:5]),
    Fault("validation-infinite", of(ordered(*steps(falling(60)), validation(60, 0.9, math.inf))), "T121"),
    Fault("best-is-gone", dangling, "T122"),
    Fault("weights-cut-short", cut_short, "T122"),
    Fault("checkpoint-of-a-trainer-without-weights", no_weights, "T122"),
    Fault("disk-full", of([*steps(falling(20)), disk_full(20)], end=None), "T123"),
    Fault(
        "best-of-a-trainer-is-the-worst",
        by_trainer(
            ordered(
                *logs(falling(60)), *(evaluated(s, wer=w, loss=w) for s, w in ((200, 0.9), (400, 0.5), (600, 0.3)))
            ),
            best_metric=0.9,
            best_model_checkpoint="trained/checkpoint-200",
            best_global_step=200,
        ),
        "T124",
    ),
    Fault(
        "evaluations-take-longer",
        of(ordered(*steps(falling(200)), *({**validation(at * 20, 0.5), "seconds": 120.0} for at in range(1, 11)))),
        "T125",
    ),
    Fault("damaged-log", damaged_log, "T100"),
]


# ------------------------------------------------------------------------------------------------------------- healthy


def resumed(project: Project) -> list[str]:
    """A real run that was made longer, in a second session."""
    runs.real(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOX_PREDICT_MEMORY", "0")
        project.run("train", "r.toml", "train.max_steps=16", "--resume", "--no-doctor").assert_ok()
    return [RUN]


def running(project: Project) -> list[str]:
    """A run whose process lives: this one."""
    runs.run(project, steps(falling(50)), end=None, train={"max_steps": 5000})
    path = project.path / RUN / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    begun = {**json.loads(lines[0])["session"], "pid": os.getpid(), "time": "2100-01-01T00:00:00+00:00"}
    path.write_text(json.dumps({"step": 0, "session": begun}) + "\n" + "".join(lines[1:]) + '{"step": 51, "lo')
    return [RUN]


HEALTHY = [
    Healthy("a-real-run", runs.real),
    Healthy("a-real-run-resumed", resumed),
    Healthy("a-run-that-goes-on", running),
    Healthy("a-real-run-of-a-trainer", partial(trained, kind="healthy")),
    Healthy("two-steps", of(steps([3.0, 9.0]))),
    Healthy(
        "a-long-run",
        of(
            ordered(
                *steps(falling(3000, noise=0.4)),
                *(validation(at * 300, 1.05 if at == 1 else 0.6 / at**0.5, 1 + 0.01 * at) for at in range(1, 11)),
            )
        ),
    ),
    Healthy("still-silent-after-300-steps", of([*steps(noisy(2.9, 300)), validation(300, 1.0, texts=EMPTY)])),
    Healthy("had-converged-before", of([*steps(noisy(0.2, 2000, 0.3)), validation(2000, 0.1, 0.3)])),
    Healthy(
        "stopped-early",
        of(
            ordered(*steps(falling(800)), *(validation(at * 100, 0.3 + 0.02 * abs(at - 4)) for at in range(1, 9))),
            end="stopped early",
            train={"max_steps": 2000},
        ),
    ),
    Healthy("interrupted", of(steps(falling(300)), end="interrupted", train={"max_steps": 2000})),
    Healthy(
        "a-long-run-of-a-trainer",
        by_trainer(
            ordered(
                *logs(falling(200, noise=0.2)),
                *(evaluated(at * 200, loss=0.35 + 1 / at, wer=20 + 60 / at) for at in range(1, 11)),
                {"step": 2000, "train_loss": 0.7, "train_runtime": 3600.0, "epoch": 20.0},
            ),
            architecture="WhisperForConditionalGeneration",
            best_metric=26.0,
            best_model_checkpoint="trained/checkpoint-2000",
            best_global_step=2000,
        ),
    ),
    Healthy("float16-settles", by_trainer(logs(falling(50), grad_norm=[math.nan, math.inf, *[2.0] * 48]))),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    assert_found(fault, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())


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
