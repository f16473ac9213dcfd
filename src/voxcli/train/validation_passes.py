"""Batches of the validation split -> their losses; where the task allows it, losses and predictions of one batch.

Text that is decoded by itself comes from `voxcli.evaluate.predict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from voxcli.api import Decoding, Prediction, Utterance
from voxcli.data.batches import by_duration, padding_of
from voxcli.data.loading import Batch, Loader
from voxcli.engines.batching import LONGEST, MAX_CLIPS, inference, shortest_input, transcripts
from voxcli.engines.ceiling import Ceiling
from voxcli.engines.halving import Halving
from voxcli.evaluate.predict import ahead
from voxcli.train import device, measured
from voxcli.train.blanks import Blanks
from voxcli.train.heard_once import heard_once
from voxcli.train.splitting import Part, Splitter

if TYPE_CHECKING:
    from voxcli.train.run import Run

Mask = NDArray[np.bool_]


class Interrupted(Exception):
    """The evaluation was left because the run was asked to stop."""


@dataclass(frozen=True)
class Both:
    """What one pass has made of this process's share of some rows."""

    predictions: list[tuple[Utterance, Prediction]]
    losses: NDArray[np.float64]
    """As `loss` returns them."""
    left: NDArray[np.int64]
    """Rows that have no loss: they are to be predicted by themselves."""


def shared(run: Run, rows: np.ndarray) -> Mask:
    """Which rows can be read for loss and prediction at once, shape (rows,): clips that are decoded in one piece, of a
    task whose predictions do not depend on what else is in a batch.
    """
    allowed = getattr(run.task, "shares_batches", False) and not hasattr(run.task, "drawn_features")
    fitting = run.splits.validation.durations[rows] <= min(run.limits.max_duration, LONGEST)
    return fitting & bool(allowed)


def both(run: Run, rows: np.ndarray, blanks: Blanks, decoding: Decoding) -> Both:
    """Predictions and losses of this process's share of the batches: each is read once and the encoder asked once.

    The prediction comes first: it may choose among the weights of several languages.
    """
    table = run.splits.validation
    batches = _batches(run, rows, most=MAX_CLIPS)
    scorer, decoder = _Scorer(run, blanks), _Decoder(run, decoding)
    sums, found, left = scorer.nothing, [], [np.zeros(0, np.int64)]
    workers = run.recipe.train.dataloader_num_workers
    seconds = float(table.durations[np.concatenate([left[0], *batches])].sum())
    doing = "classifying" if getattr(run.task, "learns", "text") == "label" else "transcribing"
    with run.progress.task(doing, total=seconds, unit="s of audio") as bar:
        for members, batch in zip(batches, ahead(lambda one: _read(run, one), batches, workers), strict=True):
            leave_if_asked(run)
            run.set_aside(batch.skipped, split="validation", silent=True)
            left.append(np.setdiff1d(members, np.asarray(batch.rows, np.int64)))
            if not batch.ids:
                continue
            with inference(run.bundle, run.recipe.evaluate.batch_duration), heard_once(run.bundle.model):
                found += decoder(batch)
                sums = sums + scorer(batch)
            bar.advance(float(table.durations[batch.rows].sum()))
    return Both(found, sums, np.concatenate(left))


class _Decoder:
    """Batches -> what the task predicts, in halves where the memory does not suffice."""

    def __init__(self, run: Run, decoding: Decoding) -> None:
        self._run, self._decoding = run, decoding
        self._splitter = Splitter()
        self._batch: Batch | None = None
        shortage = run.shortage
        self._halving = Halving(self._part, told=shortage.evaluated, ceiling=shortage.evaluation)

    def __call__(self, batch: Batch) -> list[tuple[Utterance, Prediction]]:
        """What does not fit alone is set aside."""
        self._batch = batch
        run, durations = self._run, self._durations(batch)
        shortest = shortest_input(run.bundle, run.limits)
        found = self._halving(range(len(batch.ids)), [max(one, shortest) for one in durations])
        utterances = [run.splits.validation.utterance(row) for row in batch.rows]
        for utterance, duration, one in zip(utterances, durations, found, strict=True):
            if one is None:
                reason = f"does not fit the memory, even alone ({duration:.1f} s)"
                run.set_aside([(utterance.id, reason)], split="validation", silent=True)
                run.progress.say(f"left out {utterance.id}: {reason}")
        return [(utterance, one) for utterance, one in zip(utterances, found, strict=True) if one is not None]

    def _durations(self, batch: Batch) -> list[float]:
        durations: list[float] = self._run.splits.validation.durations[batch.rows].tolist()
        return durations

    def _part(self, positions: list[int]) -> Sequence[Prediction]:
        run, batch = self._run, self._batch
        assert batch is not None
        part = Part(batch, tuple(positions))
        tensors = self._splitter.tensors(part, lambda rows: _read(run, np.asarray(rows, np.int64)))
        durations = self._durations(batch)
        with device.autocast(run.device, run.recipe.train.mixed_precision):
            return transcripts(run.bundle, run.task, tensors, [durations[at] for at in positions], self._decoding)


def loss(run: Run, rows: np.ndarray, blanks: Blanks) -> NDArray[np.float64]:
    """Sum and count of the losses of this process's share of the batches, then sum and weight of each figure, float64
    (2 + 2 figures,); `blanks` counts along."""
    loader = _loader(run, _batches(run, rows))
    scorer = _Scorer(run, blanks)
    sums = np.zeros(2 + 2 * len(measured.names(run.task)))
    with torch.inference_mode():
        for batch in loader:
            leave_if_asked(run)
            run.set_aside(batch.skipped, split="validation", silent=True)
            if not batch.ids:
                continue
            sums += scorer(batch)
    return sums


def _batches(run: Run, rows: np.ndarray, *, most: int | None = None) -> list[np.ndarray]:
    """This process's batches of some rows, of `most` clips each, the longest clips first."""
    if not len(rows):
        return []
    table = run.splits.validation
    lengths = np.maximum(table.durations, shortest_input(run.bundle, run.limits))  # what the model makes of them
    made = by_duration(lengths, batch_duration=run.recipe.evaluate.batch_duration, batch_size=most, rows=rows)
    return made[run.rank :: run.world]


class _Scorer:
    """Batches -> sums of their losses and figures, in halves where the memory does not suffice."""

    def __init__(self, run: Run, blanks: Blanks) -> None:
        self._run = run
        self._blanks = blanks
        self._splitter = Splitter()
        self._batch: Batch | None = None
        self.nothing = np.zeros(2 + 2 * len(measured.names(run.task)))
        self._halving = Halving(self._part, told=run.shortage.evaluated, ceiling=Ceiling())

    def __call__(self, batch: Batch) -> NDArray[np.float64]:
        """What does not fit alone is set aside."""
        self._batch = batch
        duration = batch.padded_duration / len(batch.ids)
        found = self._halving(range(len(batch.ids)), [duration] * len(batch.ids))
        lost = [name for name, one in zip(batch.ids, found, strict=True) if one is None]
        reason = f"does not fit the memory, even alone ({duration:.1f} s)"
        self._run.set_aside([(name, reason) for name in lost], split="validation")
        return sum((one for one in found if one is not None), self.nothing)

    def _part(self, positions: list[int]) -> list[NDArray[np.float64]]:
        """The part's loss stands with its first utterance."""
        run, batch = self._run, self._batch
        assert batch is not None
        tensors = self._splitter.tensors(Part(batch, tuple(positions)), self._again)
        if not tensors:
            return [self.nothing] * len(positions)
        precision = device.autocast(run.device, run.recipe.train.mixed_precision)
        with precision, self._blanks.counted(run.bundle.model, tensors.get("frames")):
            made = measured.measured_loss(run.task, run.bundle, device.move(tensors, run.device))
        values = torch.cat([made[0].reshape(1), made[1].reshape(1), made[2].flatten()]).double().cpu().numpy()
        return [values, *[self.nothing] * (len(positions) - 1)]

    def _again(self, rows: list[int]) -> Batch:
        return _read(self._run, np.asarray(rows, np.int64))


def _read(run: Run, rows: np.ndarray) -> Batch:
    return next(iter(_loader(run, [rows])))


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


def leave_if_asked(run: Run) -> None:
    """One process alone may leave; several would wait for each other, and stop after the evaluation."""
    if run.interruption.requested and run.world == 1:
        raise Interrupted
