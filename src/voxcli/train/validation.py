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

from voxcli.api import Bundle, Decoding, Prediction, Task, Transcript, Utterance
from voxcli.evaluate.predict import predict
from voxcli.tasks.metrics import metric_of
from voxcli.train import device, measured, processes, texts
from voxcli.train import validation_passes as passes
from voxcli.train.blanks import Blanks
from voxcli.train.randomness import undisturbed

if TYPE_CHECKING:
    from voxcli.train.run import Run

Pair = tuple[Any, Any]
"""A reference and what was predicted for it: texts, or the labels that hold and a classification."""

LOSS_UTTERANCES = 128  # of the sample, for the loss: a second pass over all of it would say little more


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
            blanks = Blanks()
            found, losses = _heard(run, rows, blanks)
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


def _heard(run: Run, rows: np.ndarray, blanks: Blanks) -> tuple[dict[str, Pair], NDArray[np.float64]]:
    """This process's share: {id: (reference, prediction)}, and what `validation_passes.loss` adds up.

    What has to be known of both is read once, where the task allows it.
    """
    if not _predicts(run):
        return {}, passes.loss(run, rows, blanks)
    first, rest = rows[:LOSS_UTTERANCES], rows[LOSS_UTTERANCES:]
    together = passes.shared(run, first)
    decoding = dataclasses.replace(run.recipe.decoding(), stop_repeats=True)
    both = passes.both(run, first[together], blanks, decoding)
    found = {
        utterance.id: pair(run.task, utterance, prediction, run.bundle) for utterance, prediction in both.predictions
    }
    alone = np.concatenate([first[~together], rest])[run.rank :: run.world]
    found |= _predictions(run, np.concatenate([both.left, alone]), decoding)
    return found, both.losses + passes.loss(run, first[~together], blanks)


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


def _predictions(run: Run, rows: np.ndarray, decoding: Decoding) -> dict[str, Pair]:
    """{id: (reference, prediction)} of this process's rows."""
    if not len(rows):
        return {}
    skipped: list[tuple[str, str]] = []
    found = {}
    with device.autocast(run.device, run.recipe.train.mixed_precision):
        for utterance, prediction in predict(
            run.bundle,
            run.task,
            run.splits.validation,
            rows,
            decoding=decoding,
            batch_duration=run.recipe.evaluate.batch_duration,
            num_workers=run.recipe.train.dataloader_num_workers,
            skipped=skipped,
            progress=run.progress,
            told=run.shortage.evaluated,
            ceiling=run.shortage.evaluation,
        ):
            passes.leave_if_asked(run)
            found[utterance.id] = pair(run.task, utterance, prediction, run.bundle)
    run.set_aside(skipped, split="validation", silent=True)
    return found
