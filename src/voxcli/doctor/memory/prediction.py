"""A recipe's context -> what its run needs of the device's memory, or why that cannot be told, as one finding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxcli.doctor.checks.thresholds import ROOMY_DEVICE, SMALL_BATCH, SMALL_MODEL
from voxcli.errors import RecipeError, VoxError
from voxcli.findings import Finding, Level

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.memory.cards import Device
    from voxcli.memory.predict import Phase, Prediction

_TRY = "a few real steps show what it needs: `vox train … train.max_steps=3`"


class Unpredicted(Exception):
    """The memory of a run cannot be predicted; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def device_of(context: Context) -> Device:
    """What the run would use: the one that was asked for, this machine's processor where the recipe says so, else its
    GPU where it has one.
    """
    from voxcli.memory import machine

    return context.device or (machine.ram() if context.recipe.train.use_cpu else machine.device())


def predicted(context: Context) -> Prediction:
    """The prediction; other ways of training are searched for only where the recipe does not fit with room to spare.

    Raises `Unpredicted`, and `Unavailable` where model or data cannot be read.
    """
    from voxcli.memory.predict import predict

    splits = context.data.splits
    device = device_of(context)
    try:
        return predict(context.recipe, device, splits=splits, search="where needed", progress=context.progress)
    except RecipeError as error:  # a precision that this device does not have: the recipe may be meant for another one
        help = f"{error.help}; `--gpu NAME` asks for another device" if error.help else "`--gpu NAME`: another device"
        raise Unpredicted(Finding("note", f"memory was not predicted: {error.message}", help)) from error
    except VoxError as error:
        raise _unpredicted(error.message, error.help or _TRY) from error
    except Exception as error:  # a plugin's model, followed without weights: anything may come out of it
        raise _unpredicted(f"{type(error).__name__}: {error}", _TRY) from error


def _unpredicted(why: str, help: str) -> Unpredicted:
    return Unpredicted(Finding("warning", f"the memory of a step cannot be predicted: {why}", help))


def prediction_where_it_matters(context: Context) -> Prediction | None:
    """The prediction, or None for a model and batches so small that they fit anything: that saves the tracing."""
    small = 0 < context.limits.n_parameters <= SMALL_MODEL and _largest_batch(context) <= SMALL_BATCH
    return None if small and device_of(context).usable >= ROOMY_DEVICE else context.prediction


def _largest_batch(context: Context) -> float:
    """s of padded audio, never too little."""
    from voxcli.data.batches import lengthened, padding_of

    train = context.recipe.train
    durations = context.data.splits.train.durations
    longest = float(lengthened([float(durations.max())], context.recipe.augment)[0]) if len(durations) else 0.0
    padded = padding_of(context.recipe.model, context.limits)
    longest = padded(longest) if padded is not None else longest
    whole = longest * min(len(durations), train.per_device_train_batch_size or len(durations))
    evaluated = context.recipe.evaluate.batch_duration / 2  # without gradients
    return max(longest, evaluated, min(whole, train.batch_duration or whole))


def lacking(prediction: Prediction, phase: Phase) -> Level | None:
    """How bad it is that a phase does not fit; None where it does, or where the estimate is too rough to say.

    A GPU's total is good to 6 to 10 %. What Python and malloc take beside a processor's tensors varies by far more:
    there the tensors alone decide, against all memory of the machine and against what is free of it.
    """
    device = prediction.device
    if device.kind == "cuda":
        return "error" if phase.total > device.usable else None
    if phase.peak.total > device.total:
        return "error"
    return "warning" if phase.peak.total + phase.beside.get("process", 0) > device.usable else None


def repair(prediction: Prediction) -> tuple[dict[str, Any], str]:
    """What changes the recipe least and fits, and the same in words; nothing where nothing that was tried fits."""
    from voxcli.memory.candidates import ROOM, recommended
    from voxcli.memory.cards import gib
    from voxcli.memory.report import change_text, described

    chosen = prediction.recommended
    if chosen is None:
        return {}, "nothing that was tried fits: a larger device, a smaller model, or shorter clips"
    if not chosen.changes:  # it fits narrowly: what fits with room
        roomy = [one for one in prediction.candidates or () if one.changes and one.margin >= ROOM]
        if not roomy:
            return {}, "`vox plan` shows other ways of training"
        chosen = recommended(roomy)
    assert chosen is not None
    keys = ", ".join(change_text(key, value) for key, value in chosen.changes.items())
    cost = "" if chosen.data_kept == 1 else f"; {described(chosen).rpartition(', ')[2]}"
    return dict(chosen.changes), f"{keys} ({gib(chosen.total)}{cost}); `vox plan` shows other ways"


def step_words(phase: Phase) -> str:
    """A phase within a sentence."""
    return {"first step": "the first step", "later steps": "a later step"}.get(phase.name, "an evaluation")
