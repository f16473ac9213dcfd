"""T106: a loss that stays where it is when nothing has been learned."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import (
    CHANCE_ACCURACY,
    CHANCE_WER,
    CTC_CHANCE,
    FLAT,
    MOST_LETTERS,
    NEAR_CHANCE,
    PLATEAU_ENTRIES,
    PLATEAU_GAIN,
    PLATEAU_STEPS,
    PLATEAU_STEPS_CTC,
    PLATEAU_STEPS_RUNNING,
)
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record


class PlateauAtChance:
    """The loss stays at the level of chance: nothing was learned.

    Why: a classifier that guesses stands at ln(classes), a decoder that guesses at ln(tokens), a CTC model that has
    only learned to be silent at about 2.9 a letter. Every new CTC head passes through that plateau and leaves it after
    some hundred steps; what stays there has a rate that is far too low or too high, too few steps, texts that belong to
    other audio, or layers that are not trained at all.

    Repair: first over-fit eight clips, `train.max_steps=200` on a manifest of them: a loss that does not fall there has
    a fault in data or recipe, not in its length. Then another `train.learning_rate` (3e-4 for a CTC head, 1e-5 for a
    whole Whisper, 1e-3 for LoRA), a warm-up, more steps.

    Sources: transformers issue 12956, wav2vec2-sprint 3, fairseq 2685 and 3425; docs/results.md for the length of the
    plateau; Shannon 1951 for the entropy of letters.
    """

    code: ClassVar[str] = "T106"
    name: ClassVar[str] = "plateau-at-chance"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """A level that is flat, at chance, and for long enough."""
        import numpy as np

        from voxcli.doctor.checks.run.only_blanks import says_nothing
        from voxcli.doctor.run.course import course

        record = context.record
        loss = record.column("loss")
        least = PLATEAU_STEPS
        if record.task not in ("classification", "seq2seq"):
            least = PLATEAU_STEPS_CTC if record.over else PLATEAU_STEPS_RUNNING
        finite = loss[np.isfinite(loss)]
        if len(finite) < PLATEAU_ENTRIES or record.last_step < least:
            return
        rate = record.column("learning_rate")
        if np.isfinite(rate).any() and not (rate[np.isfinite(rate)] > 0).any():
            return  # T116
        if record.task == "ctc" and says_nothing(record):
            return  # T107
        seen = course(loss, windows=20)
        late = seen.medians[-max(3, len(seen) // 4) :]
        level = float(np.median(late))
        if level <= 0 or float(late.max() - late.min()) > max(FLAT * 2 * level, 2 * seen.noise / 3):
            return
        chance = _chance(record, level, float(np.median(finite[:3])))
        if chance is None or _learned(record):
            return
        begin = float(np.median(finite[: max(3, len(finite) // 50)]))
        yield Finding(
            "error" if record.over and record.last_step >= PLATEAU_STEPS_RUNNING else "warning",
            f"the loss stands at {level:.3g} after {record.last_step} steps, it began at {begin:.3g}: {chance}",
            f"over-fit eight clips first ({record.key('max_steps')}=200): if that fails too, look at the data and at "
            "what is trained; else another learning rate, a warm-up of a tenth, more steps",
            where=f"step {record.last_step}",
        )


def _chance(record: Record, level: float, begin: float) -> str | None:
    """Why a level is that of chance, or None."""
    n = record.n_outputs
    if record.task == "classification":
        if n and abs(level - math.log(n)) <= NEAR_CHANCE * math.log(n):
            return f"chance for {n} classes is {math.log(n):.3g}"
        return None
    if n and record.task != "ctc" and abs(level - math.log(n)) <= NEAR_CHANCE * math.log(n):
        return f"chance for {n} tokens is {math.log(n):.3g}"
    bad = _wer(record)
    letters = record.task == "ctc" or (record.task is None and bad is not None)
    if letters and CTC_CHANCE[0] <= level <= CTC_CHANCE[1] and _could_be_letters(record, bad):
        return "that is the plateau of a model that has only learned to be silent"
    if level >= (1 - PLATEAU_GAIN) * begin and bad is not None and bad >= CHANCE_WER:
        return f"it has not come down, and the validation WER is {bad:.0%}"
    return None


def _could_be_letters(record: Record, wer: float | None) -> bool:
    """Whether that level is chance: no score says otherwise, nor does a vocabulary whose chance lies higher."""
    _, losses = record.score("loss")
    if len(losses) and losses[-1] < CTC_CHANCE[0]:
        return False
    return (record.n_outputs or 0) <= MOST_LETTERS if wer is None else wer >= CHANCE_WER


def _wer(record: Record) -> float | None:
    """The word error rate at the end."""
    _, values = record.score("wer")
    return float(values[-1]) if len(values) else None


def _learned(record: Record) -> bool:
    """Whether an evaluation says otherwise."""
    steps, accuracy = record.score("accuracy")
    if len(steps) and record.n_outputs:
        return bool(accuracy[-1] > CHANCE_ACCURACY / record.n_outputs)
    steps, wer = record.score("wer")
    return bool(len(steps) and wer[-1] < CHANCE_WER)
