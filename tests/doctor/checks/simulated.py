"""Logs of runs that never were: what a figure does over a run, with the noise that real logs have, and with a fault.

Noise as in real logs of voxcli: batches scatter by a factor (AR(1) beside white noise), single steps by far more,
schedules restart, batches of another size take another time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from voxcli.doctor.context import Context
from voxcli.doctor.known import known
from voxcli.doctor.run.record import Record
from voxcli.doctor.run.run_log import Evaluation
from voxcli.doctor.subject import Subject

Rng = np.random.Generator


def healthy(rng: Rng, *, least: int = 2, most: int = 8000) -> Record:
    """A run in which nothing went wrong, of any length, task, schedule and noise."""
    n = int(np.exp(rng.uniform(np.log(least), np.log(most))))
    task = str(rng.choice(["ctc", "whisper", "pretraining"]))
    level = _level(rng, task, n)
    steps = np.arange(1, n + 1)
    rate = _schedule(str(rng.choice(["linear", "cosine", "restarts", "constant"])), n, rng)
    norm = np.exp(rng.normal(0, rng.uniform(0.1, 0.5), n)) * 10 ** rng.uniform(-0.5, 1) * (1 + 20 * np.exp(-steps / 5))
    norm[rng.random(n) < 0.001] *= rng.uniform(3, 14)
    audio, padding = rng.uniform(5, 20, n), rng.uniform(0, 0.3, n)
    speed = rng.uniform(20, 200) * np.exp(0.1 * np.sin(steps / n * rng.uniform(0, 12)) + rng.normal(0, 0.15, n))
    seconds = audio / (1 - padding) / speed
    seconds[rng.random(n) < 0.005] *= rng.uniform(2, 20)
    figures = {
        "loss": level * _noise(rng, n),
        "grad_norm": norm,
        "learning_rate": rate,
        "seconds": seconds,
        "data_seconds": seconds * rng.uniform(0, 0.15, n),
        "audio_seconds": audio,
        "padding": padding,
        "epoch": steps / max(10.0, n / rng.uniform(1, 30)),
        "peak_bytes": np.full(n, 2.0**30),
    }
    if task == "pretraining":
        figures["contrastive_loss"] = figures["loss"].copy()
        figures["codevector_perplexity"] = (50 + 300 * (1 - np.exp(-3 * steps / n))) * np.exp(0.1 * rng.normal(size=n))
    return Record(
        Path("runs/simulated"),
        steps=steps,
        figures=figures,
        marks=np.zeros(n, dtype=np.int8),
        evaluations=_evaluations(rng, task, level),
        sessions=[{"step": 0, "session": {"epoch": 0, "order": "a", "world": 1}}],
        ends=[{"step": n, "end": "finished"}],
        ended=True,
        tables={
            "model": {"type": "ctc" if task == "ctc" else "whisper" if task == "whisper" else "other"},
            "train": {"max_steps": n, "learning_rate": float(rate.max()), "max_grad_norm": 1.0},
            "evaluate": {"metrics": ["wer", "cer"]},
        },
    )


def findings(record: Record) -> list[tuple[str, str, str]]:
    """(code, level, message) of every check of runs."""
    context = Context(Subject(("run",), "runs/simulated", record.path))
    context._opened["record"] = record
    return [
        (check.code, finding.level, finding.message)
        for check, _ in known()
        if check.about == "run"
        for finding in check.run(context)
    ]


def alarms(record: Record) -> list[tuple[str, str, str]]:
    """The same, without notes."""
    return [one for one in findings(record) if one[1] != "note"]


# -------------------------------------------------------------------------------------------------------------- faults


def diverged(record: Record, rng: Rng) -> None:
    """From somewhere on the loss climbs back to where it began, or above, and stays."""
    loss = record.figures["loss"]
    n = len(loss)
    at, ramp = int(n * rng.uniform(0.3, 0.75)), max(1, int(n * rng.uniform(0, 0.05)))
    goal = float(np.median(loss[:5])) * rng.uniform(1.0, 2.0)
    share = np.clip((np.arange(n) - at) / ramp, 0, 1)
    loss[:] = loss * (1 - share) + share * goal * _noise(rng, n)


def spiking(record: Record, rng: Rng) -> None:
    """One step in thirty has a gradient far above the usual."""
    norm = record.figures["grad_norm"]
    chosen = rng.random(len(norm)) < 0.03
    chosen[:150] = False
    norm[chosen] *= rng.uniform(40, 200, chosen.sum())


def silent(record: Record, rng: Rng) -> None:
    """A CTC model that never leaves the plateau of blanks, and whose texts are said to be empty."""
    plateau(record, rng)
    record.evaluations = [
        Evaluation(one.step, {**one.scores, "wer": 1.0, "cer": 1.0}, {"empty": 1.0, "blank": 1.0})
        for one in record.evaluations
    ]


def plateau(record: Record, rng: Rng) -> None:
    """A CTC model that never leaves the plateau of blanks; its texts hold a letter now and then."""
    n = len(record.steps)
    level = rng.uniform(2.7, 3.1)
    begin = level + rng.uniform(0, 5) * np.exp(-np.arange(n) / 15)
    record.figures["loss"] = begin * np.exp(0.05 * rng.normal(size=n))
    record.tables["model"] = {"type": "ctc"}
    record.evaluations = [
        Evaluation(step, {"wer": 1.0 + rng.uniform(0, 0.02), "cer": 0.97, "loss": level}) for step in (n // 2, n)
    ]


def overfitted(record: Record, rng: Rng) -> None:
    """The error rate is best early and rises from there on, the training loss falls."""
    n = len(record.steps)
    record.figures["loss"] = (0.05 + 2 * np.exp(-np.arange(n) / (0.3 * n))) * _noise(rng, n)
    best, low = int(rng.integers(2, 5)), rng.uniform(0.1, 0.4)
    record.evaluations = []
    for index in range(10):
        wer = low * (1 + 0.3 * (best - index)) if index < best else low * (1 + rng.uniform(0.05, 0.12) * (index - best))
        scores = {"wer": wer * rng.uniform(0.99, 1.01), "loss": 1 + abs(index - best) * 0.1}
        record.evaluations.append(Evaluation((index + 1) * n // 10, scores, seconds=30.0))


def slower(record: Record, rng: Rng) -> None:
    """From somewhere on every step takes two and a half to five times as long."""
    n = len(record.steps)
    at = int(n * rng.uniform(0.25, 0.7))
    record.figures["seconds"][at:] *= rng.uniform(2.5, 5)
    record.figures["data_seconds"][at:] *= rng.uniform(1, 2)


def starving(record: Record, rng: Rng) -> None:
    """Half of the time and more is waiting."""
    record.figures["data_seconds"] = record.figures["seconds"] * rng.uniform(0.5, 0.9)


def collapsed(record: Record, rng: Rng) -> None:
    """A pre-training that has one codevector left."""
    n = len(record.steps)
    at = int(n * rng.uniform(0.2, 0.7))
    after = np.arange(n) >= at
    record.figures["contrastive_loss"] = np.where(after, 0.001, rng.uniform(2, 4.6)) * _noise(rng, n)
    record.figures["codevector_perplexity"] = np.where(after, 2.0, 200 * _noise(rng, n))


def multiplied(record: Record, rng: Rng) -> None:
    """A Trainer's run whose loss is a multiple of the validation loss."""
    record.trainer = True
    n, times = len(record.steps), int(rng.choice([2, 4, 8, 16]))
    level = 0.4 + 2 * np.exp(-np.arange(n) / (0.4 * n))
    record.figures["loss"] = times * level * np.exp(0.05 * rng.normal(size=n))
    record.evaluations = [
        Evaluation(step, {"loss": float(level[step - 1]) * rng.uniform(0.97, 1.03)})
        for step in range(n // 8, n + 1, n // 8)
    ]


def idle(record: Record, rng: Rng) -> None:
    """A learning rate of 0."""
    record.figures["learning_rate"][:] = 0.0


FAULTS: dict[str, tuple[Callable[[Record, Rng], None], str]] = {
    "diverged": (diverged, "T104"),
    "spiking": (spiking, "T105"),
    "plateau": (plateau, "T106"),
    "silent": (silent, "T107"),
    "multiplied": (multiplied, "T109"),
    "overfitted": (overfitted, "T110"),
    "collapsed": (collapsed, "T112"),
    "slower": (slower, "T113"),
    "starving": (starving, "T114"),
    "idle": (idle, "T116"),
}


# -------------------------------------------------------------------------------------------------------------- inside


def _level(rng: Rng, task: str, n: int) -> np.ndarray:
    """What the loss would be without noise, shape (n,)."""
    start = {"ctc": rng.uniform(2.9, 8), "whisper": rng.uniform(0.3, 4), "pretraining": 4.6}[task]
    end = {"ctc": rng.uniform(0.05, 1.2), "whisper": start * rng.uniform(0.03, 0.6), "pretraining": rng.uniform(1.8, 3)}
    if task == "whisper" and start < 1 and rng.random() < 0.5:
        end["whisper"] = start * rng.uniform(0.9, 1.0)  # it had converged before
    at, tau = np.arange(n), n * rng.uniform(0.05, 0.4)
    level = end[task] + (start - end[task]) * np.exp(-at / tau)
    if task == "ctc" and rng.random() < 0.5:  # first it learns to be silent
        length = int(rng.integers(50, 450))
        on = 2.9 + (start - 2.9) * np.exp(-at / 15)
        level = np.where(
            at < length, on, end["ctc"] + (2.9 - end["ctc"]) * np.exp(-np.clip(at - length, 0, None) / tau)
        )
    if rng.random() < 0.2:  # a little worse at its end
        level[int(n * 0.9) :] *= rng.uniform(1, 1.1)
    found: np.ndarray[Any, Any] = level
    return found


def _noise(rng: Rng, n: int) -> np.ndarray:
    """Factors around 1, shape (n,): white noise, slow noise, and outliers."""
    rho, size = rng.uniform(0, 0.95), rng.uniform(0.02, 0.45)
    white = rng.normal(size=n) * np.sqrt(1 - rho**2)
    slow = np.zeros(n)
    for index in range(1, n):
        slow[index] = rho * slow[index - 1] + white[index]
    found = np.exp(0.4 * size * slow + size * rng.normal(size=n))
    outliers = rng.random(n) < rng.uniform(0, 0.01)
    found[outliers] *= rng.uniform(1.5, 6, outliers.sum())
    return found


def _schedule(kind: str, n: int, rng: Rng) -> np.ndarray:
    """Learning rates, shape (n,); the first one of a warm-up is 0."""
    at, warm = np.arange(n), int(n * rng.uniform(0, 0.3))
    share = np.clip((at - warm) / max(1, n - warm), 0, 1)
    down = {
        "linear": 1 - share,
        "cosine": 0.5 * (1 + np.cos(np.pi * share)),
        "restarts": 0.5 * (1 + np.cos(np.pi * ((4 * np.minimum(share, 0.999)) % 1))),
        "constant": np.ones(n),
    }[kind]
    found: np.ndarray[Any, Any] = 10 ** rng.uniform(-5.5, -3) * np.where(at < warm, at / max(1, warm), down)
    return found


def _evaluations(rng: Rng, task: str, level: np.ndarray) -> list[Evaluation]:
    n = len(level)
    every = max(1, n // int(rng.integers(1, 12)))
    found = []
    for step in range(every, n + 1, every):
        loss = float(level[step - 1])
        scores = {"loss": loss * rng.uniform(0.95, 1.05) * (1 + rng.uniform(0, 0.05) * step / n) + 0.05}
        if task != "pretraining":
            silent = task == "ctc" and loss > 2.4
            wer = float(rng.choice([1.0, 1.06])) if silent else min(1.1, max(0.03, loss / 3)) * rng.uniform(0.98, 1.02)
            scores |= {"wer": wer, "cer": wer if wer == 1.0 else 0.9 if wer > 1 else 0.4 * wer}
        found.append(Evaluation(step, scores, seconds=1.0))
    return found
