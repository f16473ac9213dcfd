"""How good the model is during a run: the loss and the task's metrics on a fixed sample of the validation split.

The sample is drawn once from the run's seed, so that all evaluations of a run, resumed or not, compare like with like.
Text is produced by `voxcli.evaluate.predict`, as `vox evaluate` does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from voxcli.data.batches import by_duration
from voxcli.data.loading import Loader
from voxcli.evaluate.predict import predict
from voxcli.tasks.metrics import METRICS
from voxcli.train import device, processes
from voxcli.train.randomness import undisturbed

if TYPE_CHECKING:
    from voxcli.train.run import Run

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
    rows = sample(len(run.splits.validation), most=run.recipe.evaluate.max_utterances, seed=run.recipe.seed)
    model = run.bundle.model
    training = model.training
    model.eval()
    try:
        with undisturbed():
            texts = _texts(run, rows[run.rank :: run.world])
            total, count = _loss(run, rows[:LOSS_UTTERANCES])
    finally:
        model.train(training)
    pairs: dict[str, tuple[str, str]] = {}
    sums = np.zeros(2)
    for theirs, *figures in processes.gather((texts, total, count)):
        pairs.update(theirs)
        sums += figures
    references = [pairs[name][0] for name in sorted(pairs)]  # in one order, however many processes there are
    hypotheses = [pairs[name][1] for name in sorted(pairs)]
    scores = {name: METRICS[name].compute(hypotheses, references) for name in run.metrics}
    return {**scores, "loss": float(sums[0] / max(sums[1], 1.0))}


def _texts(run: Run, rows: np.ndarray) -> dict[str, tuple[str, str]]:
    """{id: (reference, hypothesis)} of this process's rows."""
    skipped: list[tuple[str, str]] = []
    found = {}
    with device.autocast(run.device, run.recipe.train.mixed_precision):
        for utterance, transcript in predict(
            run.bundle,
            run.task,
            run.splits.validation,
            rows,
            decoding=run.recipe.decoding(),
            batch_duration=run.recipe.evaluate.batch_duration,
            num_workers=run.recipe.train.dataloader_num_workers,
            skipped=skipped,
            progress=run.progress,
        ):
            _leave_if_asked(run)
            found[utterance.id] = (utterance.text or "", transcript.text)
    run.set_aside(skipped, split="validation", silent=True)
    return found


def _loss(run: Run, rows: np.ndarray) -> tuple[float, float]:
    """(sum, count) of the losses of this process's share of the batches."""
    table = run.splits.validation
    batches = by_duration(table.durations, batch_duration=run.recipe.evaluate.batch_duration, rows=rows)
    loader = Loader(
        table,
        batches[run.rank :: run.world],
        task=run.task,
        bundle=run.bundle.replace(model=None),
        augment=(),
        sampling_rate=run.limits.sampling_rate,
        seed=run.recipe.seed,
        epoch=0,
        num_workers=0,
        limits=run.limits,
        refill=False,
    )
    total = count = 0.0
    with torch.inference_mode():
        for batch in loader:
            _leave_if_asked(run)
            run.set_aside(batch.skipped, split="validation", silent=True)
            if not batch.ids:
                continue
            with device.autocast(run.device, run.recipe.train.mixed_precision):
                loss, weight = run.task.loss(run.bundle, device.move(batch.tensors, run.device))
            total, count = total + float(loss), count + float(weight)
    return total, count


def _leave_if_asked(run: Run) -> None:
    """One process alone may leave; several would wait for each other, and stop after the evaluation."""
    if run.interruption.requested and run.world == 1:
        raise Interrupted
