"""How good the model is during a run: the loss and the task's metrics on a fixed sample of the validation split.

The sample is drawn once from the run's seed, so that all evaluations of a run, resumed or not, compare like with like.
Text is produced by `voxcli.evaluate.predict`, as `vox evaluate` does it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from voxcli.api import Bundle, Prediction, Task, Transcript, Utterance
from voxcli.data.batches import by_duration, padding_of
from voxcli.data.loading import Batch, Loader
from voxcli.engines.batching import shortest_input
from voxcli.engines.ceiling import Ceiling
from voxcli.engines.halving import Halving
from voxcli.evaluate.predict import predict
from voxcli.tasks.metrics import metric_of
from voxcli.train import device, measured, processes, texts
from voxcli.train.blanks import Blanks
from voxcli.train.randomness import undisturbed
from voxcli.train.splitting import Part, Splitter

if TYPE_CHECKING:
    from voxcli.train.run import Run

Pair = tuple[Any, Any]
"""A reference and what was predicted for it: texts, or the labels that hold and a classification."""

LOSS_UTTERANCES = 128  # of the sample, for the loss: a second pass over all of it would say little more


class Interrupted(Exception):
    """The evaluation was left because the run was asked to stop."""


def sample(size: int, *, most: int | None, seed: int) -> np.ndarray:
    """Row numbers of at most `most` of `size` utterances, int64, in random order. The same seed draws the same ones."""
    order = np.random.default_rng(seed).permutation(size)
    return order if most is None else order[:most]


def evaluate(run: Run) -> dict[str, float]:
    """The metrics of `[evaluate]` in its order, then `loss`, on the run's sample.

    Every process takes its share; all of them return the same numbers. Raises `Interrupted` where the run was asked to
    stop meanwhile.
    """
    rows = sample(len(run.splits.validation), most=run.state.sample, seed=run.recipe.seed)
    model = run.bundle.model
    training = model.training
    model.eval()
    try:
        with undisturbed():
            found = _predictions(run, rows[run.rank :: run.world]) if _predicts(run) else {}
            blanks = Blanks()
            losses = _loss(run, rows if not _predicts(run) else rows[:LOSS_UTTERANCES], blanks)
    finally:
        model.train(training)
    pairs: dict[str, Pair] = {}
    sums, frames = np.zeros_like(losses), np.zeros(2)
    for theirs, summed, counted in processes.gather((found, losses, (blanks.blank, blanks.frames))):
        pairs.update(theirs)
        sums, frames = sums + summed, frames + counted
    run.last_texts = _looks(run, list(pairs.values()), blank=float(frames[0] / frames[1]) if frames[1] else None)
    if not pairs and (_predicts(run) or not sums[1]):
        return {}  # neither readable nor small enough: an error rate of nothing would be the best of all
    references = [pairs[name][0] for name in sorted(pairs)]  # in one order, however many processes there are
    predictions = [pairs[name][1] for name in sorted(pairs)]
    scores = measured.averages(run.task, torch.from_numpy(sums[2:]).view(-1, 2))
    computed = {name: metric_of(run.task, name).compute for name in run.metrics}
    scores |= {name: score(predictions, references) for name, score in computed.items() if score is not None}
    ordered = {name: scores[name] for name in (*run.metrics, *sorted(scores)) if name in scores}
    return {**ordered, "loss": float(sums[0] / max(sums[1], 1.0))}


def _predicts(run: Run) -> bool:
    """Whether any metric compares predictions: those that are figures of the loss need none."""
    return any(metric_of(run.task, name).compute is not None for name in run.metrics)


def pair(task: Task, utterance: Utterance, prediction: Prediction, bundle: Bundle) -> Pair:
    """What a metric compares: the texts; the labels that hold (`Task.reference`) with a classification."""
    if isinstance(prediction, Transcript):
        return utterance.text or "", prediction.text
    return task.reference(utterance, bundle), prediction  # type: ignore[attr-defined]


def _looks(run: Run, pairs: list[Pair], *, blank: float | None) -> dict[str, Any]:
    """What the texts look like; lengths in tokens where the decoder has a limit. Empty where it is no text."""
    if not pairs or not isinstance(pairs[0][1], str):
        return {}
    limit = run.limits.max_label_length
    tokens = None
    if limit is not None and (tokenizer := getattr(run.bundle.processor, "tokenizer", None)) is not None:
        limit = min(limit, run.recipe.evaluate.max_new_tokens or limit)
        tokens = [len(tokenizer(hypothesis, add_special_tokens=False).input_ids) for _, hypothesis in pairs]
    return texts.summary(pairs, tokens=tokens, limit=limit, blank=blank)


def _predictions(run: Run, rows: np.ndarray) -> dict[str, Pair]:
    """{id: (reference, prediction)} of this process's rows."""
    skipped: list[tuple[str, str]] = []
    found = {}
    with device.autocast(run.device, run.recipe.train.mixed_precision):
        for utterance, prediction in predict(
            run.bundle,
            run.task,
            run.splits.validation,
            rows,
            decoding=dataclasses.replace(run.recipe.decoding(), stop_repeats=True),
            batch_duration=run.recipe.evaluate.batch_duration,
            num_workers=run.recipe.train.dataloader_num_workers,
            skipped=skipped,
            progress=run.progress,
            told=run.shortage.evaluated,
            ceiling=run.shortage.evaluation,
        ):
            _leave_if_asked(run)
            found[utterance.id] = pair(run.task, utterance, prediction, run.bundle)
    run.set_aside(skipped, split="validation", silent=True)
    return found


def _loss(run: Run, rows: np.ndarray, blanks: Blanks) -> NDArray[np.float64]:
    """Sum and count of the losses of this process's share of the batches, then sum and weight of each figure, float64
    (2 + 2 figures,); `blanks` counts along."""
    table = run.splits.validation
    lengths = np.maximum(table.durations, shortest_input(run.bundle, run.limits))  # what the model makes of them
    batches = by_duration(lengths, batch_duration=run.recipe.evaluate.batch_duration, rows=rows)
    loader = _loader(run, batches[run.rank :: run.world])
    scorer = _Scorer(run, blanks)
    sums = np.zeros(2 + 2 * len(measured.names(run.task)))
    with torch.inference_mode():
        for batch in loader:
            _leave_if_asked(run)
            run.set_aside(batch.skipped, split="validation", silent=True)
            if not batch.ids:
                continue
            sums += scorer(batch)
    return sums


class _Scorer:
    """Batches -> sums of their losses and figures, in halves where the memory does not suffice."""

    def __init__(self, run: Run, blanks: Blanks) -> None:
        self._run = run
        self._blanks = blanks
        self._splitter = Splitter()
        self._batch: Batch | None = None
        self._nothing = np.zeros(2 + 2 * len(measured.names(run.task)))
        self._halving = Halving(self._part, told=run.shortage.evaluated, ceiling=Ceiling())

    def __call__(self, batch: Batch) -> NDArray[np.float64]:
        """What does not fit alone is set aside."""
        self._batch = batch
        duration = batch.padded_duration / len(batch.ids)
        found = self._halving(range(len(batch.ids)), [duration] * len(batch.ids))
        lost = [name for name, one in zip(batch.ids, found, strict=True) if one is None]
        reason = f"does not fit the memory, even alone ({duration:.1f} s)"
        self._run.set_aside([(name, reason) for name in lost], split="validation")
        return sum((one for one in found if one is not None), self._nothing)

    def _part(self, positions: list[int]) -> list[NDArray[np.float64]]:
        """The part's loss stands with its first utterance."""
        run, batch = self._run, self._batch
        assert batch is not None
        tensors = self._splitter.tensors(Part(batch, tuple(positions)), self._again)
        if not tensors:
            return [self._nothing] * len(positions)
        precision = device.autocast(run.device, run.recipe.train.mixed_precision)
        with precision, self._blanks.counted(run.bundle.model, tensors.get("frames")):
            made = measured.measured_loss(run.task, run.bundle, device.move(tensors, run.device))
        values = torch.cat([made[0].reshape(1), made[1].reshape(1), made[2].flatten()]).double().cpu().numpy()
        return [values, *[self._nothing] * (len(positions) - 1)]

    def _again(self, rows: list[int]) -> Batch:
        return next(iter(_loader(self._run, [np.asarray(rows, dtype=np.int64)])))


def _loader(run: Run, batches: list[np.ndarray]) -> Loader:
    return Loader(
        run.splits.validation,
        batches,
        task=run.task,
        bundle=run.bundle.replace(model=None),
        augment=(),
        sampling_rate=run.limits.sampling_rate,
        seed=run.recipe.seed,
        epoch=0,
        num_workers=0,
        limits=run.limits,
        padded=padding_of(run.bundle.family, run.limits),
        refill=False,
    )


def _leave_if_asked(run: Run) -> None:
    """One process alone may leave; several would wait for each other, and stop after the evaluation."""
    if run.interruption.requested and run.world == 1:
        raise Interrupted
