"""Entries of a log -> the same, with what has the wrong type left out: checks may trust the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

MOST_STEPS = 2**53

Entry = dict[str, Any]


def step_of(value: object) -> int | None:
    """A number of steps, or None where it is none."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MOST_STEPS:
        return None
    return value


def tidy(entry: Entry) -> Entry:
    """An entry of another kind than a step's; keys that are not known are left out."""
    return _table(entry, ENTRY)


def culprit(entry: Entry) -> Entry:
    """A line of culprits.jsonl."""
    return _table(entry, CULPRIT)


def train(table: object) -> Entry:
    """`[train]` with the figures that are figures."""
    if not isinstance(table, dict):
        return {}
    return {
        key: value
        for key, value in table.items()
        if (number(value) is not None if key in FIGURES else isinstance(value, str | bool | int | float))
    }


def number(value: object) -> float | int | None:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _said(value: object) -> str | None:
    """What a loss was, "nan" or a number."""
    return str(value) if isinstance(value, str | float) else None


def _texts(value: object) -> list[str] | None:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else None


def _numbers(value: object) -> list[float] | None:
    if not isinstance(value, list) or any(number(one) is None for one in value):
        return None
    return [float(one) for one in value]


def _goes_on(value: object) -> str | bool | None:
    return value if isinstance(value, str | bool) else None


def _figures(value: object) -> dict[str, float | int] | None:
    if not isinstance(value, dict):
        return None
    return {str(key): found for key, one in value.items() if (found := number(one)) is not None}


def _culprits(value: object) -> list[Entry] | None:
    if not isinstance(value, list):
        return None
    return [found for one in value if isinstance(one, dict) and "id" in (found := _table(one, CULPRIT))]


def _worst(value: object) -> list[str] | None:
    """Ids, the worst loss first."""
    if not isinstance(value, list):
        return None
    return [one["id"] for one in value if isinstance(one, dict) and isinstance(one.get("id"), str)]


def _table(value: Entry, known: dict[str, Callable[[Any], Any]]) -> Entry:
    return {key: found for key, read in known.items() if key in value and (found := read(value[key])) is not None}


def _of(known: dict[str, Callable[[Any], Any]]) -> Callable[[Any], Entry | None]:
    return lambda value: _table(value, known) if isinstance(value, dict) else None


CULPRIT: dict[str, Callable[[Any], Any]] = {
    "id": _text,
    "split": _text,
    "reason": _text,
    "cause": _text,
    "batch": _texts,
    "step": step_of,
    "epoch": step_of,
}
SESSION: dict[str, Callable[[Any], Any]] = {
    "resumed": lambda value: value if isinstance(value, bool) else None,
    "world": step_of,
    "device": _text,
    "pid": step_of,
    "host": _text,
    "time": _text,
    "epoch": step_of,
    "order": _text,
}
MEMORY: dict[str, Callable[[Any], Any]] = {
    "device": _text,
    "usable": number,
    "predicted": _figures,
    "measured": _figures,
}
ERROR: dict[str, Callable[[Any], Any]] = {"type": _text, "message": _text, "help": _text, "utterances": _texts}
ENTRY: dict[str, Callable[[Any], Any]] = {
    "step": step_of,
    "session": _of(SESSION),
    "memory": _of(MEMORY),
    "end": _text,
    "error": _of(ERROR),
    "incident": _text,
    "epoch": step_of,
    "utterances": _texts,
    "durations": _numbers,
    "padding": number,
    "n_utterances": step_of,
    "padded_seconds": number,
    "where": _text,
    "goes_on": _goes_on,
    "said": _text,
    "value": _said,
    "parameter": _text,
    "culprits": _culprits,
    "cause": _text,
    "grad_norm": number,
    "median": number,
    "worst": _worst,
}
FIGURES = (
    "learning_rate",
    "max_steps",
    "num_train_epochs",
    "warmup_steps",
    "early_stopping_patience",
    "dataloader_num_workers",
    "gradient_accumulation_steps",
    "num_devices",
    "max_grad_norm",
    "batch_duration",
    "per_device_train_batch_size",
)
"""Keys of [train] that checks compute with."""
