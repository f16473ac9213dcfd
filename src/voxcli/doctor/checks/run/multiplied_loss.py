"""T109: a training loss that was multiplied by accumulation steps or devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import (
    MULTIPLIED_EVALUATIONS,
    MULTIPLIED_LEAST,
    MULTIPLIED_TOLERANCE,
    MULTIPLIED_USUAL,
)
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Floats, Record


NEVER = 1
"""What a loss is multiplied by on one device without accumulation."""


class LossMultiplied:
    """The training loss is a multiple of the validation loss: by the accumulation steps, or by the devices.

    Why: transformers' Trainer leaves out the division by `gradient_accumulation_steps`, and multiplies by the number of
    processes, for every model whose forward takes `**kwargs`; all audio models do, and none of them makes up for it.
    The gradient is as many times too large: clipping at 1.0 then takes nearly all of it, and the learning rate means
    something else than it says.

    Repair: `model.accepts_loss_kwargs = False` on the base model before the Trainer is made; or `vox train`, whose both
    backends take the exact mean. Then train again.

    Sources: transformers issues 47688, 46068 and 37766. Measured here: Wav2Vec2ForCTC with 4 accumulation steps logs
    78.1 with an eval_loss of 19.5, Whisper 18.4 for 4.6; with the attribute the losses are equal.
    """

    code: ClassVar[str] = "T109"
    name: ClassVar[str] = "loss-multiplied"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """The ratio of both losses, where it is a whole number that does not change."""
        import numpy as np

        record = context.record
        ratios = _ratios(record)
        known = _known(record)
        if known == (NEVER,):
            return
        if len(ratios) < (1 if known else MULTIPLIED_EVALUATIONS):
            yield from _of_classes(record)
            return
        early = ratios[: max(MULTIPLIED_EVALUATIONS, len(ratios) // 2)]
        ratio = float(np.median(early))
        if ratio < MULTIPLIED_LEAST:
            return
        times = min(known or MULTIPLIED_USUAL, key=lambda one: abs(ratio / one - 1))
        spread = float(np.max(np.abs(early / ratio - 1)))
        # data that are harder to train on than to validate make a ratio below 2 just as well
        allowed = MULTIPLIED_TOLERANCE if known or times > 2 else MULTIPLIED_TOLERANCE / 3
        if abs(ratio / times - 1) > allowed or spread > MULTIPLIED_TOLERANCE:
            return
        at = record.evaluations[0].step
        why = (
            "the accumulation steps and devices that the run had"
            if known
            else "as many accumulation steps or devices make it so"
        )
        yield Finding(
            "warning",
            f"the training loss is {ratio:.2f} times the validation loss at {len(early)} evaluations, as if "
            f"multiplied by {times}: {why}",
            HELP,
            where=f"step {at}",
        )


HELP = (
    "model.accepts_loss_kwargs = False before the Trainer is made, then train again: the gradient was too large as well"
)


def _of_classes(record: Record) -> Iterator[Finding]:
    """A new classifier begins at ln(classes); without evaluations that is what the first losses are compared with."""
    import math

    import numpy as np

    loss = record.column("loss")[:3]
    if not record.trainer or record.task != "classification" or not record.n_outputs or not np.isfinite(loss).any():
        return
    chance = math.log(record.n_outputs)
    ratio = float(np.nanmedian(loss)) / chance if chance else 0.0
    times = min(MULTIPLIED_USUAL, key=lambda one: abs(ratio / one - 1))
    if ratio >= MULTIPLIED_LEAST and abs(ratio / times - 1) <= MULTIPLIED_TOLERANCE:
        yield Finding(
            "warning",
            f"the training loss begins at {ratio * chance:.3g}, {ratio:.2f} times ln({record.n_outputs} classes): "
            f"it was multiplied by {times}, as many accumulation steps or devices",
            HELP,
            where=f"step {record.steps[0]}",
        )


def _ratios(record: Record) -> Floats:
    """Training loss over validation loss at each evaluation, shape (evaluations,)."""
    import numpy as np

    steps, values = record.score("loss")
    loss = record.column("loss")
    found = []
    before = 0
    for step, value in zip(steps, values, strict=True):
        # what was logged since the evaluation before, at most its last quarter, and a little after
        begin = max(before, int(step - max(1, (step - before) // 4)))
        near = loss[(record.steps > begin) & (record.steps <= step)]
        near = near[np.isfinite(near)]
        before = int(step)
        if len(near) and value > 0 and np.isfinite(value):
            found.append(float(np.median(near)) / float(value))
    return np.array(found)


def _known(record: Record) -> tuple[int, ...]:
    """By what the loss may have been multiplied, where the model card or the recipe says it; empty where neither does.

    A run of voxcli takes the exact mean, so only what its recipe says is looked for.
    """
    train = record.train
    steps = train.get("gradient_accumulation_steps", 1)
    devices = train.get("num_devices", 1)
    if record.sessions:
        devices = record.sessions[-1]["session"].get("world", 1)
    if not isinstance(steps, int) or not isinstance(devices, int):
        return ()
    found = tuple(sorted({one for one in (steps, devices, steps * devices) if one > 1}))
    if not found and (not record.trainer or "per_device_train_batch_size" in train):
        return (NEVER,)  # one device and no accumulation
    return found
