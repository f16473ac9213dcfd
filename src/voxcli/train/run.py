"""One training run: what a backend works on, and everything around the loop that all backends share.

A recipe comes in through `prepare`; a `Run` comes out: data, model, folder and the place where it stands. The backend
takes batches from it, steps, and tells it after each step; the run logs, evaluates, saves and says when to stop.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxcli.api import Bundle, Limits, Task
from voxcli.data.batches import DurationBatches, padding_of
from voxcli.data.corpus import Splits
from voxcli.data.loading import Batch, Loader
from voxcli.data.remembered import Remembered
from voxcli.data.table import Table
from voxcli.data.windows import is_live
from voxcli.memory.watch import Watch
from voxcli.models.settings import write_settings
from voxcli.plugins.manager import manager
from voxcli.progress import NULL, Progress
from voxcli.recipe.resolve import Recipe
from voxcli.train import averaging, checkpoint, handover, processes, randomness, schedule, sessions, validation
from voxcli.train.culprits import Culprits
from voxcli.train.ema import Average, average_of
from voxcli.train.folder import RunFolder
from voxcli.train.interrupt import Interruption
from voxcli.train.loading import save_pretrained
from voxcli.train.sharding import Sharding, check_model
from voxcli.train.shortage import Shortage
from voxcli.train.spikes import Spikes
from voxcli.train.state import State
from voxcli.train.steplog import StepLog
from voxcli.train.steps import Step
from voxcli.train.streaming import Stream, stream_of
from voxcli.train.validation_passes import Interrupted


@dataclass(frozen=True)
class Moving:
    """What changes at every step beside the weights, and is kept in a checkpoint for an exact resume."""

    optimizer: torch.optim.Optimizer
    scheduler: Any
    scaler: Any = None
    """A torch.amp.GradScaler in float16, else None."""

    def capture(self) -> dict[str, Any]:
        """Their state, as a tree that `voxcli.train.packing` writes."""
        parts = {"optimizer": self.optimizer, "scheduler": self.scheduler, "scaler": self.scaler}
        return {name: part.state_dict() for name, part in parts.items() if part is not None}

    def restore(self, tree: dict[str, Any]) -> None:
        """Put back what `capture` returned."""
        for name in ("optimizer", "scheduler", "scaler"):
            if getattr(self, name) is not None and name in tree:
                getattr(self, name).load_state_dict(tree[name])
        schedule.set_rates(self.scheduler)


@dataclass
class Run:
    """A prepared run. A backend reads it, calls `begin` once and `after_step` after every optimizer step."""

    recipe: Recipe
    folder: Path
    files: RunFolder
    bundle: Bundle
    task: Task
    limits: Limits
    splits: Splits
    device: torch.device
    length: schedule.Length
    batching: DurationBatches
    metrics: tuple[str, ...]
    """Names of what is measured; the first picks the best checkpoint."""
    higher_is_better: bool
    progress: Progress = NULL
    rank: int = 0
    world: int = 1
    state: State = field(default_factory=State)
    resumed_from: Path | None = None
    begun_from: Path | None = None
    """The checkpoint of the stage before; None where there is none, and where the run is resumed."""
    interruption: Interruption = field(default_factory=lambda: Interruption(lambda text: None))
    last_scores: dict[str, float] = field(default_factory=dict)
    """The newest evaluation's metrics."""
    last_texts: dict[str, Any] = field(default_factory=dict)
    """What its texts look like, see `voxcli.train.texts`."""
    watch: Watch = field(init=False, repr=False)
    """Predicts and measures the memory of this run."""
    shortage: Shortage = field(init=False, repr=False)
    """What did not fit the memory, and what becomes of it."""
    culprits: Culprits = field(init=False, repr=False)
    """Utterances whose loss or gradient is not finite."""
    spikes: Spikes = field(init=False, repr=False)
    """Steps whose gradient is far above the others'."""
    step_log: StepLog = field(init=False, repr=False)
    """What is said of each step."""
    sharding: Sharding | None = field(default=None, init=False, repr=False)
    """The model in parts, each process having one; None where every process has the whole model."""
    average: Average | None = field(default=None, init=False, repr=False)
    """The average of the weights, by which the run is evaluated and saved; None where none is asked for."""
    stream: Stream | None = field(default=None, init=False, repr=False)
    """The windows of streamed data, each of which is an epoch; None where the training split is listed."""
    _remembered: Remembered | None = field(default=None, init=False, repr=False)
    """What the epochs before have read; None where no epoch comes back to it."""
    _set_aside: set[str] = field(default_factory=set, repr=False)
    _batches: tuple[int, list[np.ndarray]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self)
        self.shortage = Shortage(self)
        self.culprits = Culprits(self)
        self.spikes = Spikes(self)
        self.step_log = StepLog(self)
        if is_live(self.recipe.data):
            self.stream = stream_of(self)
        elif self.total_steps > self.length.steps_per_epoch:
            seconds = float(self.splits.train.durations.sum())
            self._remembered = Remembered.worth(seconds, self.limits.sampling_rate)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.length.total_steps

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """The parameters that are trained."""
        return [parameter for parameter in self.bundle.model.parameters() if parameter.requires_grad]

    # ------------------------------------------------------------------------------------------------------------ data

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch over all processes: indices into the training split, in order."""
        found = self._batches
        if found is None or found[0] != epoch:
            batching = self.batching if self.stream is None else self.stream.batching(epoch)
            found = self._batches = (epoch, [] if batching is None else batching.epoch(epoch, self.world))
        return found[1]

    def table(self, epoch: int) -> Table:
        """The training split; of streamed data the window that is this epoch."""
        return self.splits.train if self.stream is None else self.stream.table(epoch)

    def loader(self, epoch: int, start: int, rank: int, world: int) -> Iterable[Any]:
        """The batches of one process from batch `start` (over all processes) of an epoch on, read and collated."""
        workers = self.recipe.train.dataloader_num_workers
        return self._loader(epoch, self.batches(epoch)[start:][rank::world], num_workers=workers)

    def again(self, epoch: int, rows: Sequence[int]) -> Batch:
        """One batch of the given rows, as they were in that epoch; empty where none can be read any more."""
        return next(iter(self._loader(epoch, [np.asarray(rows, dtype=np.int64)], refill=False)))

    def _loader(self, epoch: int, batches: Sequence[np.ndarray], **given: Any) -> Loader:
        return Loader(
            self.table(epoch),
            batches,
            task=self.task,
            bundle=self.bundle.replace(model=None),
            augment=self.recipe.augment,
            sampling_rate=self.limits.sampling_rate,
            seed=self.recipe.seed,
            epoch=epoch,
            limits=self.limits if self.recipe.augment else None,
            padded=padding_of(self.bundle.family, self.limits),
            remembered=self._remembered,
            **given,
        )

    def remember_culprits(self) -> None:
        """Read back what culprits.jsonl holds, so that nothing is written to it twice."""
        self._set_aside.update(entry["id"] for entry in self.files.culprits())

    def set_aside(
        self,
        skipped: Sequence[tuple[str, str]],
        *,
        split: str = "train",
        silent: bool = False,
        together: bool = False,
        **more: Any,
    ) -> None:
        """Write utterances that could not be used to culprits.jsonl, each once, and say so.

        `more` is written with them; `together`: every process comes here with the same ones, and the first one writes.
        """
        for name, reason in skipped:
            if name not in self._set_aside:
                self._set_aside.add(name)
                where = {"step": self.state.step, "epoch": self.state.epoch}
                if not together or self.rank == 0:
                    self.files.append_culprit({"id": name, "split": split, "reason": reason, **where, **more})
                if not silent:
                    self.progress.say(f"set aside {name}: {reason}")

    # ------------------------------------------------------------------------------------------------------- the loop

    def shard(self) -> None:
        """Part the model over the processes, before an optimizer is made for it. One process keeps it whole, and says
        so. Raises `RecipeError` for a model that cannot be parted."""
        if self.world == 1:
            self.progress.say("fsdp has no effect in one process: `--nproc 2` starts two")
            return
        check_model(quantization=self.recipe.quantization, model=self.bundle.model)
        self.sharding = Sharding(self.bundle.model, self.device)

    def assembled(self) -> contextlib.AbstractContextManager[None]:
        """Within: passes without gradients wait for no other process. All processes come here."""
        return self.sharding.assembled() if self.sharding is not None else contextlib.nullcontext()

    def begin(self, moving: Moving) -> None:
        """To be called once before the first step, with the model on its device: go to where the run stands."""
        if self.sharding is None:
            processes.same_weights(self.bundle.model)
        self.average = average_of(self.bundle.model, self.recipe.train.ema_decay)
        self.watch.expect()
        randomness.seed_all(self.recipe.seed + self.rank)
        if self.resumed_from is not None:
            tree = checkpoint.read_training(self.resumed_from)
            moving.restore(tree)
            if self.average is not None:
                self.average.restore(tree["raw"])
            generators = tree["generators"]
            if self.rank < len(generators):
                randomness.restore(generators[self.rank])
        elif self.begun_from is not None:
            handover.moments(self.bundle.model, moving, self.begun_from)
        self.bundle.model.train()
        manager().call("vox_run_start", run=self)
        sessions.begin(self)
        self.watch.tell()
        self.step_log.open()
        if self.length.evaluates_at(self.state.step) and self.state.evaluated_step < self.state.step:
            self._evaluate_and_save(moving)  # it was interrupted

    @property
    def finished(self) -> bool:
        """Whether there is no further step to take."""
        return self.state.step >= self.total_steps or self.state.stopped_early

    def after_step(self, step: Step, moving: Moving, *, facts: dict[str, float], interrupted: bool) -> None:
        """Count, log, evaluate and save; `facts` are the loop's own figures, see `StepLog.step`.

        Raises `KeyboardInterrupt`, after a checkpoint, where any process was asked to stop.
        """
        state = self.state
        state.step += 1
        state.epoch, state.position = step.epoch, step.after
        if step.after >= step.count:
            state.epoch, state.position = step.epoch + 1, 0
        if self.average is not None:
            self.average.update(state.step)
        state.seconds += facts["seconds"]
        state.audio_seconds += facts["audio_seconds"]
        for batch in step.batches:
            self.set_aside(batch.skipped)
        self.step_log.step(step, facts)
        try:
            if interrupted:
                raise Interrupted
            if self.length.evaluates_at(state.step):
                self._evaluate_and_save(moving)
            elif self.length.saves_at(state.step):
                self.checkpoint(moving)
        except Interrupted:
            if not self.finished or self.files.checkpoint(state.step) != self.files.newest():
                self.checkpoint(moving)
            raise KeyboardInterrupt from None

    def log(self, entry: dict[str, Any]) -> None:
        """Add an object to log.jsonl and tell the plugins that listen."""
        if self.rank == 0:
            self.files.append_log(entry)
            manager().call("vox_run_log", run=self, step=self.state.step, metrics=entry)

    def checkpoint(self, moving: Moving) -> Path:
        """Write a checkpoint of this moment. Raises `TrainingError` where the disk does not take it."""
        target = self.files.checkpoint(self.state.step)
        generators = processes.gather(randomness.capture())
        self.shortage.remember()
        if self.stream is not None:
            self.state.stream = self.stream.start(self.state.epoch)
        described = {"handover": handover.describe(self.bundle.model, moving)}
        raw = {"raw": self.average.capture()} if self.average is not None else {}
        moved, weights = moving.capture(), None
        if self.sharding is not None:
            moved, weights = self.sharding.gathered(moved), self.sharding.weights()
        if self.rank == 0:
            checkpoint.save(
                target,
                write_model=functools.partial(self._write_model, weights=weights),
                training={**moved, **described, **raw, "generators": generators},
                state=self.state,
                needed=checkpoint.size(self.bundle, moving.optimizer, averaged=bool(raw)),
            )
            if self.state.best_step in (self.state.step, None):
                self.files.point_best(target)
            train, metric = self.recipe.train, (*self.metrics, "loss")[0]
            also = averaging.kept(self.files, train, higher_is_better=self.higher_is_better, metric=metric)
            checkpoint.rotate(self.files, keep=train.save_total_limit, also=also)
            manager().call("vox_run_checkpoint", run=self, step=self.state.step, path=target)
        processes.wait()
        return target

    def evaluate(self) -> dict[str, float]:
        """The metrics on the fixed sample of the validation split, then the loss; empty without such a split."""
        if self.splits.validation is None or not len(self.splits.validation):
            return {}
        with self._averaged(), self.assembled():
            return validation.evaluate(self)

    def end(self, error: BaseException | None) -> None:
        """Tell the plugins that listen; `error` is None where the run came to its end."""
        self.step_log.close()
        self.watch.end(error)
        if self.stream is not None and error is None:
            self.stream.close()
        sessions.end(self, error)
        manager().call("vox_run_end", run=self, error=error)

    # ---------------------------------------------------------------------------------------------------------- inside

    def _averaged(self) -> contextlib.AbstractContextManager[None]:
        return self.average.shown() if self.average is not None else contextlib.nullcontext()

    def _write_model(self, folder: Path, *, weights: dict[str, torch.Tensor] | None) -> None:
        with self._averaged():
            save_pretrained(self.bundle, folder, weights=weights)
        write_settings(self.recipe, folder)

    def _evaluate_and_save(self, moving: Moving) -> None:
        """Evaluate, decide what is best and whether to stop early; write a checkpoint where it is due or best."""
        state = self.state
        begin = time.perf_counter()
        scores = self.evaluate()
        self.watch.evaluated()
        state.evaluated_step = state.step
        better = False
        if scores:
            self.last_scores = scores
            value = scores[self.metrics[0]] if self.metrics else scores["loss"]
            old = state.best_metric
            better = old is None or (value > old if self.higher_is_better else value < old)
            if better:
                state.best_metric, state.best_step, state.evaluations_without_gain = value, state.step, 0
            else:
                state.evaluations_without_gain += 1
            patience = self.recipe.train.early_stopping_patience
            state.stopped_early = patience is not None and state.evaluations_without_gain >= patience
            seconds = round(time.perf_counter() - begin, 3)
            entry = {"step": state.step, "validation": scores, "best": better, "seconds": seconds}
            self.log({**entry, "texts": self.last_texts})
            shown = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
            self.progress.say(f"step {state.step}: validation {shown}{'  (best so far)' if better else ''}")
            schedule.after_evaluation(moving.scheduler, value)
        if better or self.length.saves_at(state.step) or state.stopped_early:
            self.checkpoint(moving)
        if state.stopped_early:
            count = state.evaluations_without_gain
            self.progress.say(f"stopped early: {count} evaluations without a better {(*self.metrics, 'loss')[0]}")
