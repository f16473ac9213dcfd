"""A resolved recipe and a device in, what its run will need of that device's memory out, before anything is spent.

Nothing is downloaded but config.json, no weights are read, and of the audio the durations alone.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Literal

from voxcli.api import Limits, Utterance
from voxcli.data.batches import lengthened, padding_of
from voxcli.data.corpus import Splits
from voxcli.errors import RecipeError, VoxError
from voxcli.memory import step
from voxcli.memory.batch import label_length
from voxcli.memory.calibration import constants as constants_of
from voxcli.memory.candidates import ROOM, Candidate, recommended
from voxcli.memory.cards import Device
from voxcli.memory.evaluation import trace_evaluation
from voxcli.memory.fixed import Constants, fixed, needed
from voxcli.memory.frontier import Frontier
from voxcli.memory.search import Evaluation, Found
from voxcli.memory.search import search as find_what_fits
from voxcli.memory.setup import RESTING, Peak, Setup, Shape, StepPeaks
from voxcli.memory.workload import Workload, source, workload
from voxcli.memory.worst import EvaluationShapes
from voxcli.models.checkpoint import config_only
from voxcli.models.stand_in import lacks_tokenizer
from voxcli.progress import NULL, Progress
from voxcli.recipe.resolve import Recipe
from voxcli.recipe.where import shown
from voxcli.train.reading import usable

_AGREES = 0.01  # relative: below it a trace and its extrapolation say the same
_FOLLOWED = 3  # batches, where there is no frontier


@dataclass(frozen=True)
class Phase:
    """One part of a run and the most that it needs."""

    name: str
    """ "first step", "later steps" or "evaluation"."""
    shape: Shape
    """The worst batch."""
    peak: Peak
    beside: Mapping[str, int]
    """Bytes beside tensors: `fixed.fixed`."""

    @property
    def total(self) -> int:
        """Bytes that the device has to have."""
        return self.peak.total + sum(self.beside.values())


@dataclass(frozen=True)
class Prediction:
    """What a recipe needs, whether a device has it, and what else could be done."""

    model: str
    """Type and checkpoint or architecture."""
    parameters: int
    trained_parameters: int
    device: Device
    constants: Constants
    data: str
    padded_to: float
    """s that the model makes of the worst batch's clips."""
    batch_rule: str
    """The keys that decide the size of a batch, in words."""
    phases: list[Phase]
    setup: Setup = field(repr=False)
    candidates: list[Candidate] | None = None
    """What fits, the quickest first; None where nothing was searched."""
    helps_most: Candidate | None = None
    """The single change that saves most."""
    recommended: Candidate | None = None
    """What `--apply` writes."""
    notes: list[str] = field(default_factory=list)
    """What was assumed, and what stands out."""

    @property
    def worst(self) -> Phase:
        """The phase that needs most."""
        return max(self.phases, key=lambda phase: phase.total)

    @property
    def total(self) -> int:
        """Bytes that the run needs."""
        return self.worst.total

    @property
    def margin(self) -> float:
        """What is left, as a share of what there is; negative where it does not fit."""
        return 1.0 - self.total / self.device.usable if self.device.usable else -1.0

    @property
    def fits(self) -> bool:
        """Whether the device has it."""
        return self.total <= self.device.usable

    @property
    def narrow(self) -> bool:
        """Whether it fits by less than the estimate may be off by."""
        return self.fits and self.margin < ROOM


def predict(
    recipe: Recipe,
    device: Device,
    *,
    duration: float | None = None,
    labels: int | None = None,
    search: bool | Literal["where needed"] = True,
    splits: Splits | None = None,
    progress: Progress = NULL,
) -> Prediction:
    """What a recipe's run needs on a device.

    `duration` (s) and `labels` (tokens), the longest clip's, are taken instead of the data; `splits` are those of the
    recipe where they have been read. `search`: whether to look for what else fits; "where needed" where the recipe
    itself does not fit with room to spare. Raises `DataError` where the data cannot be read, `ModelError` where the
    model's config cannot be had or its step cannot be followed, `RecipeError` for a precision that the device does not
    have.
    """
    notes = _suits(recipe, device)
    with config_only(), warnings.catch_warnings():
        # frozen convolutions, which re-entrant checkpointing has nothing to do for
        warnings.filterwarnings("ignore", message="None of the inputs have requires_grad")
        limits = recipe.model.limits()
        progress.say("reading the data" if duration is None else "the data are not read")
        found = source(recipe, limits, by_hand=duration is not None, splits=splits, progress=progress)
        setup = Setup.of(recipe, found.corpus, device=device.setup, capability=device.capability)
        progress.say("building the model without its weights")
        bundle = step.bundle_of(setup)
        if found.splits is not None and not _missing(recipe):  # a tokenizer that stands in counts too many
            found = replace(found, splits=usable(found.splits, recipe, limits, bundle, progress=progress))

        def count(utterance: Utterance) -> int:
            return label_length(recipe.task, bundle, utterance)

        work = workload(recipe, limits, bundle, found, count, duration=duration, labels=labels)
        notes += _missing(recipe)
        progress.say("following the training step")
        constants = constants_of(device)

        def phase(name: str, shape: Shape, peak: Peak) -> Phase:
            return Phase(name, shape, peak, fixed(device, setup, peak.total, constants=constants))

        shape, peaks = _training(setup, work.train, notes)
        phases = [phase("first step", shape, peaks.first), phase("later steps", shape, peaks.steady)]
        if work.evaluation is not None:
            progress.say("following an evaluation")
            phases.append(phase("evaluation", *_evaluation(setup, recipe, work.evaluation, limits)))
        enough = max(one.total for one in phases) <= (1.0 - ROOM) * device.usable
        better = None
        if search is True or (search and not enough):
            better = _searched(setup, recipe, device, constants, work, phases, limits, progress)
    trained = sum(one.numel() for one in bundle.model.parameters() if one.requires_grad)
    made = Prediction(
        model=_model(recipe),
        parameters=limits.n_parameters or sum(one.numel() for one in bundle.model.parameters()),
        trained_parameters=trained,
        device=device,
        constants=constants,
        data=found.text,
        padded_to=(padding_of(recipe.model, limits) or float)(shape.duration),
        batch_rule=_batch_rule(recipe),
        phases=phases,
        notes=[*notes, *work.notes, *(better.notes if better is not None else ()), *_honest(device, constants)],
        setup=setup,
    )
    return made if better is None else _with_rows(made, better)


def _with_rows(made: Prediction, better: Found) -> Prediction:
    """With what the search found; the row of the recipe itself says what its own trace says."""
    rows = [
        one if one.changes else replace(one, total=made.total, margin=made.margin)
        for one in better.candidates
        if one.changes or made.fits
    ]
    own = next((one for one in rows if not one.changes), None)
    enough = made.fits and not made.narrow
    chosen = own if enough else recommended(rows)
    return replace(made, candidates=rows, helps_most=better.helps_most, recommended=chosen)


def _searched(
    setup: Setup,
    recipe: Recipe,
    device: Device,
    constants: Constants,
    work: Workload,
    phases: Sequence[Phase],
    limits: Limits,
    progress: Progress,
) -> Found:
    """What else fits the device."""
    evaluation = next((phase for phase in phases if phase.name == "evaluation"), None)
    known = None
    if evaluation is not None:
        padded = padding_of(recipe.model, limits) or float
        resting = sum(evaluation.peak.parts.get(part, 0) for part in RESTING)
        known = Evaluation(
            batch_duration=recipe.evaluate.batch_duration,
            activations=evaluation.peak.total - resting,
            smallest=math.ceil(10 * padded(evaluation.shape.duration)) / 10,
            trace=lambda other: trace_evaluation(other, evaluation.shape, recipe.decoding()),
        )
    return find_what_fits(
        setup,
        work.clips,
        usable=device.usable,
        needed=lambda other, peak: needed(device, other, peak, constants=constants),
        half=device.half,
        evaluation=known,
        stretch=float(lengthened([1.0], recipe.augment)[0]),
        max_labels=limits.max_label_length,
        progress=progress,
    )


def _training(setup: Setup, shapes: Sequence[Shape], notes: list[str]) -> tuple[Shape, StepPeaks]:
    """The batch that needs most, and the peaks of a step with it, traced whole."""
    try:
        frontier = Frontier.fit(setup)
    except VoxError:  # a model that takes some sizes only: the likeliest are followed one by one
        likely = sorted(shapes, key=lambda shape: shape.n_utterances * shape.duration)[-_FOLLOWED:]
        followed = [(shape, step.trace_step(setup, shape).peaks) for shape in likely]
        return max(followed, key=lambda pair: pair[1].worst.total)
    shape = shapes[int(frontier.totals(shapes).argmax())]
    peaks = step.trace_step(setup, shape).peaks
    off = frontier.peak(shape).worst.total / max(peaks.worst.total, 1) - 1.0
    if abs(off) > _AGREES:
        notes.append(
            f"the rows of what fits may be off as much as for the recipe itself, {off:+.0%}: what a processor's "
            "convolutions take for themselves does not grow evenly"
        )
    return shape, peaks


def _evaluation(setup: Setup, recipe: Recipe, shapes: EvaluationShapes, limits: Limits) -> tuple[Shape, Peak]:
    """The evaluation batch that needs most: of those that are decoded, or of those whose loss is computed."""
    padded = padding_of(recipe.model, limits) or float

    def size(shape: Shape) -> float:
        return shape.n_utterances * padded(shape.duration)

    chosen = {max(some, key=size) for some in (shapes.decoding, shapes.loss) if some}
    largest = [one for one in chosen if not any(one != other and _within(one, other) for other in chosen)]
    traced = [(shape, trace_evaluation(setup, shape, recipe.decoding())) for shape in sorted(largest)]
    return max(traced, key=lambda pair: pair[1].total)


def _within(one: Shape, other: Shape) -> bool:
    """Whether a batch exceeds another one in nothing."""
    return all(mine <= theirs for mine, theirs in zip(astuple(one), astuple(other), strict=True))


def _suits(recipe: Recipe, device: Device) -> list[str]:
    """What stands out about a recipe on a device. Raises `RecipeError` where it cannot run there."""
    precision = recipe.train.mixed_precision
    if precision == "fp16" and not device.fp16:
        raise RecipeError(
            f'train.mixed_precision = "fp16" needs a GPU, and {device.name} is none',
            help="add train.mixed_precision=no to the command, or bf16 where the processor has it",
        )
    if precision == "bf16" and not device.bf16:
        return [f'{device.name} has no bf16 of its own and imitates it slowly: train.mixed_precision = "fp16"']
    return []


def _missing(recipe: Recipe) -> list[str]:
    """What a plan made from config.json assumes in place of the checkpoint's other files."""
    checkpoint = recipe.tables["model"].get("checkpoint")
    if not isinstance(checkpoint, str) or not lacks_tokenizer(checkpoint) or recipe.task_name != "seq2seq":
        return []
    name = shown(Path(checkpoint)) if Path(checkpoint).is_absolute() else checkpoint
    return [f"the tokenizer of {name} is not here: a token for about two bytes of text is assumed"]


def _honest(device: Device, constants: Constants) -> list[str]:
    """How far the figures can be trusted."""
    if device.kind == "cuda":
        return [
            f"tensors are counted exactly, what stands below them is estimated ({constants.source}): the total is good "
            "to 6 to 10 %"
        ]
    return ["tensors are counted exactly; what Python and malloc add to them is estimated, and varies"]


def _model(recipe: Recipe) -> str:
    table = recipe.tables["model"]
    name = str(table.get("checkpoint") or table.get("architecture") or "")
    return f"{recipe.model_type} {shown(Path(name)) if Path(name).is_absolute() else name}".strip()


def _batch_rule(recipe: Recipe) -> str:
    train = recipe.train
    size = (
        f"batch_duration {train.batch_duration:g} s"
        if train.batch_duration is not None
        else f"per_device_train_batch_size {train.per_device_train_batch_size}"
    )
    many = train.gradient_accumulation_steps
    return size + (f", {many} batches an optimizer step" if many > 1 else "")
