"""T107: a CTC model whose texts are all empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import (
    ALL_BLANK,
    ALL_EMPTY,
    CHANCE_WER,
    EMPTY_EVALUATIONS,
    PLATEAU_STEPS_CTC,
    PLATEAU_STEPS_RUNNING,
)
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record


class OnlyBlanks:
    """The model writes nothing: every text of the validation split is empty.

    Why: the blank is the first thing that a CTC model learns, because most frames are blank. Some hundred steps later
    letters appear. A model that stays silent had too few steps, a learning rate that is too high or too low, texts that
    belong to other audio, or a vocabulary that is too large for the data; one that fell silent was thrown out of what
    it had learned by too high a rate.

    Repair: over-fit eight clips first (`train.max_steps=200`); if they stay empty, compare audio and texts, and see
    that the head is trained. Else more steps, a longer warm-up, another `train.learning_rate`.

    Sources: transformers issue 12956, wav2vec2-sprint 3, fairseq 2685 and 3425; docs/train.md, "When it stops".
    """

    code: ClassVar[str] = "T107"
    name: ClassVar[str] = "only-blanks"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the newest evaluations."""
        record = context.record
        if record.task not in ("ctc", None) or not says_nothing(record):
            return
        silent = _silent(record)
        steps = [one.step for one in record.evaluations]
        fell = min(record.score("wer")[1], default=1.0) < CHANCE_WER
        if record.last_step < (PLATEAU_STEPS_CTC if record.over else PLATEAU_STEPS_RUNNING) and not fell:
            return
        spoke = max((index for index, one in enumerate(silent) if not one), default=-1)
        since = steps[spoke + 1]
        loss = record.column("loss")
        at = f", at a loss of {loss[-1]:.3g}" if len(loss) and loss[-1] == loss[-1] else ""
        if fell:
            message = (
                f"from step {since} on every validation text is empty{at}; before, the model had learned something"
            )
            help = f"{record.lower_rate()} with a longer warm-up; the best checkpoint is from before"
        else:
            message = (
                f"every validation text is empty, up to step {record.last_step}{at}: the model has only learned blanks"
            )
            help = (
                f"over-fit eight clips first ({record.key('max_steps')}=200); then more steps, a longer warm-up, "
                "another learning rate; compare texts and audio"
            )
        certain = fell or record.last_step >= PLATEAU_STEPS_RUNNING
        yield Finding(
            "error" if certain else "warning", message, help, where=f"step {since if fell else record.last_step}"
        )


def says_nothing(record: Record) -> bool:
    """Whether the newest evaluations saw empty texts alone."""
    silent = _silent(record)
    needed = 1 if record.evaluations and record.evaluations[-1].texts else EMPTY_EVALUATIONS
    return len(silent) >= needed and all(silent[-needed:])


def _silent(record: Record) -> list[bool]:
    """For each evaluation, whether its texts were empty."""
    found = []
    for one in record.evaluations:
        if one.texts:
            empty = one.texts.get("empty", 0.0) >= ALL_EMPTY
            found.append(empty or (one.texts.get("blank", 0.0) >= ALL_BLANK and one.scores.get("wer", 1.0) >= 1.0))
        else:
            rates = [one.scores[name] for name in ("wer", "cer") if name in one.scores]
            found.append(bool(rates) and all(rate == 1.0 for rate in rates))
    return found
