"""T103: a loss or a gradient that is not a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import ISOLATED, NORM_RISE, SETTLING, ZERO_FROM, ZEROS
from voxcli.findings import About, Level

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record

CAUSES = {
    "ctc-infeasible": "a label needs more frames than its audio has",
    "audio-not-finite": "samples are not numbers",
    "audio-amplitude": "samples are far too loud",
    "silent": "the audio is silent",
    "fp16-overflow": "float16 overflowed",
    "learning-rate": "the weights had gone astray",
    "memory": "it does not fit the memory",
}
OTHER = "the reason is not known"
DATA = {"ctc-infeasible", "audio-not-finite", "audio-amplitude", "silent"}
"""Causes that lie in an utterance."""
LEAVE_OUT = "correct these utterances, or leave them out: their ids, one a line, in a file that [filter] exclude names"


class LossOrGradientNotFinite:
    """A loss or a gradient was not a number.

    Why: one such step that is taken makes every weight NaN. voxcli never takes it; transformers' Trainer does, and its
    log then shows a loss of 0.0 with a grad_norm of nan, because `logging_nan_inf_filter` hides what the loss was.
    Four causes make nearly all cases: a CTC label that needs more frames than its audio has (labels and repeated
    neighbours), float16 whose range ends at 65,504, audio that is silent or holds samples that are no numbers, and a
    learning rate that is too high, which a rising gradient norm shows beforehand.

    Repair: leave out or correct the utterances that are named; `train.mixed_precision = "bf16"` for "fp16"; a lower
    `train.learning_rate` with a longer warm-up. In scripts of one's own: `logging_nan_inf_filter=False`, and
    `ctc_zero_infinity=True` only after the labels were counted.

    Sources: transformers issue 19044, EfficientConformer 17, speechbrain 1803; torch.nn.CTCLoss, zero_infinity;
    TrainingArguments, logging_nan_inf_filter. Measured here: infeasible labels in a Trainer's run give exactly loss 0.0
    and grad_norm nan, and eval_loss nan.
    """

    code: ClassVar[str] = "T103"
    name: ClassVar[str] = "loss-or-gradient-not-finite"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the log's incidents; of a Trainer's log by its figures."""
        record = context.record
        found = [one for one in record.incidents if one.get("incident") in ("loss", "gradient")]
        if found:
            yield from _of_incidents(record, found)
        else:
            yield from _of_figures(record)


def _of_incidents(record: Record, found: list[dict[str, Any]]) -> Iterator[Finding]:
    """The steps that could not be taken: which, why, and what became of them."""
    ended = found[-1]["step"] > record.last_step and record.status in ("error", "crashed")
    main = found[-1] if ended else found[0]  # what ended it, or what came first
    culprits = _culprits(record, found)
    causes = {cause for cause, _ in culprits.values()} | {str(one["cause"]) for one in found if one.get("cause")}
    message = f"step {main['step']}: the {main['incident']} was {main.get('value') or 'not finite'}"
    if main.get("parameter"):
        message += f", first in {main['parameter']}"
    if not culprits or (ended and main.get("cause")):
        message += f": {CAUSES[main['cause']]}" if main.get("cause") in CAUSES else ""
    elif len(culprits) == 1:
        name, (_, reason) = next(iter(culprits.items()))
        message += f", because of {name}: {reason}"
    else:
        kinds = Counter(CAUSES.get(cause, OTHER) for cause, _ in culprits.values())
        message += f", because of {len(culprits)} utterances in all: "
        message += ", ".join(f"{count}: {kind}" for kind, count in kinds.most_common())
    course = "" if causes & DATA else _explained(record, int(main["step"]))
    left = "that step" if not culprits else "it" if len(culprits) == 1 else "them"
    message += course + (". The run ended there" if ended else f". The run went on without {left}")
    own = ended and main.get("cause") and main["cause"] not in DATA  # then no utterance is at fault
    named = () if own else culprits
    error = record.ends[-1].get("error") if ended and record.ends else None
    said = error.get("help") if isinstance(error, dict) else None
    yield Finding(
        "error" if ended else "warning",
        message,
        str(said or _help(record, causes, rising="rose" in course)),
        utterances=tuple(named) or tuple(str(name) for name in main.get("utterances") or ()),
        where=f"step {main['step']}",
    )


def _culprits(record: Record, found: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Id -> (cause, reason): as the run found them, else by a look at the utterances of those steps."""
    told = {
        str(one["id"]): (str(one.get("cause")), str(one.get("reason")))
        for entry in found
        for one in entry.get("culprits") or ()
        if isinstance(one, dict) and one.get("id")
    }
    if told or any(entry.get("cause") for entry in found):
        return told
    from voxcli.doctor.run.suspects import suspects

    ids = list(dict.fromkeys(str(name) for entry in found for name in entry.get("utterances") or ()))
    return {name: (cause, reason) for name, cause, reason in suspects(record, ids)}


def _help(record: Record, causes: set[str], *, rising: bool) -> str:
    slower = f"{record.lower_rate()} with a longer warm-up"
    wider = 'train.mixed_precision="bf16", or "no" where the device has none'
    if causes & DATA:
        return LEAVE_OUT
    if "fp16-overflow" in causes:
        return wider
    if "learning-rate" in causes or rising:
        return slower
    if record.train.get("mixed_precision") == "fp16":
        return f"{wider}; {slower}"
    return f"listen to the utterances that are named and read their transcripts; then {slower}"


def _explained(record: Record, step: int) -> str:
    """What the course of the run before a step says about the cause."""
    import numpy as np

    norms = record.column("grad_norm")[record.steps < step]
    norms = norms[np.isfinite(norms)]
    late = early = 0.0
    if len(norms) >= SETTLING:
        late, early = float(np.median(norms[-5:])), float(np.median(norms[-len(norms) // 2 : -5]))
    elif len(norms) >= 2:
        late, early = float(norms[-1]) / NORM_RISE**3, float(norms[0])
    if early > 0 and late > NORM_RISE * early:
        late = late if len(norms) >= SETTLING else float(norms[-1])
        return f"; before, the gradient's norm rose from {early:.3g} to {late:.3g}, which points to the learning rate"
    if record.train.get("mixed_precision") == "fp16":
        return "; the run was in float16, whose range ends at 65,504"
    return ""


def _of_figures(record: Record) -> Iterator[Finding]:
    """Figures that are no numbers: steps that were taken all the same."""
    from voxcli.doctor.run.run_log import LOSS, NORM

    loss, norm = record.column("loss"), record.column("grad_norm")
    bad_loss, bad_norm = record.marks & LOSS > 0, record.marks & NORM > 0
    hidden = (bad_norm & (loss == 0.0)) | _zeros(record)
    bad = bad_loss | bad_norm | hidden
    if not bad.any():
        return
    at = int(bad.argmax())
    step = int(record.steps[at])
    for_good = bool(bad[-1]) and bool(bad[at:].mean() > 0.5)
    half = record.train.get("mixed_precision") == "fp16"
    if not (bad_loss | hidden).any() and not for_good:
        settled = bad[SETTLING:]
        level: Level = "note" if not len(settled) or settled.mean() <= ISOLATED else "warning"
        message = f"the gradient overflowed in {int(bad.sum())} of {len(bad)} logged steps, the first at step {step}"
        help = "in float16 this is how the scale of the loss finds its size: nothing has to be done"
        if level == "warning":
            help = "bf16=True instead of fp16=True, or a lower learning rate"
        yield Finding(level, message, help, where=f"step {step}")
        return
    if hidden[at]:
        norms = " and grad_norm nan" if bad_norm[at] else ""
        message = f"from step {step} on the log shows loss 0.0{norms}: the loss was not a number"
        why = "logging_nan_inf_filter replaces it in the log"
    else:
        message = f"step {step}: {'loss' if bad_loss[at] else 'gradient'} is {(loss if bad_loss[at] else norm)[at]}"
        why = f"{int(bad.sum())} of {len(bad)} logged steps"
    message += f" ({why})"
    course = _explained(record, step)
    message += course + (", and so it stayed: the weights are spoilt" if for_good else "")
    cure = ["a lower learning rate"] if "rose" in course else []
    cure += ["bf16=True instead of fp16=True"] if half else []
    if record.task in ("ctc", None) and "rose" not in course:
        cure.append("leave out every utterance whose labels and repeated neighbours are more than its output frames")
    whole = [one.step for one in record.checkpoints if one.problem is None and one.step < step]
    after = f"; checkpoint-{max(whole)} is from before" if whole else ""
    cure = cure or ["look for silent or broken audio in the batches of that step, then lower the learning rate"]
    yield Finding("error" if for_good else "warning", message, "; ".join(cure) + after, where=f"step {step}")


def _zeros(record: Record) -> Any:
    """Steps at the end of a Trainer's log whose loss is exactly 0 at once: older ones log no gradient norm. A loss that
    is learned by heart comes down to 0, it does not fall there. Shape (steps,), bool.
    """
    import numpy as np

    loss = record.column("loss")
    found = np.zeros(len(loss), dtype=bool)
    above = np.flatnonzero(~(loss == 0.0))
    begin = int(above[-1]) + 1 if len(above) else 0
    if record.trainer and len(loss) - begin >= ZEROS and (not begin or loss[begin - 1] > ZERO_FROM):
        found[begin:] = True
    return found
