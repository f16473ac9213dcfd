"""The utterances that a run leaves out because their loss or gradient is not finite, and what a person hears of them.

A step that is not finite is replayed (`voxcli.train.replay`); what is at fault alone is named with its reason, written
to culprits.jsonl and set aside for the rest of the run, and the step is taken again without it. Where no utterance is
at fault alone, or utterances of other batches are not finite either, the model is: the run stops and says so.

All processes of a run come to the same answer: what each has found is gathered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxcli.doctor.checks.thresholds import LARGEST_WEIGHT
from voxcli.errors import TrainingError, VoxError
from voxcli.train import causes, guard, processes
from voxcli.train.replay import Fault, Replay, first_not_finite
from voxcli.train.sharding import local
from voxcli.train.splitting import Part

if TYPE_CHECKING:
    from voxcli.train.run import Run
    from voxcli.train.steps import Step

CONTROLS = 4
"""Utterances of other batches that are tried, to tell a bad clip from a broken model."""


@dataclass(frozen=True)
class Culprit:
    """One utterance at fault, as it is written down."""

    id: str
    reason: str
    cause: causes.Cause
    batch: tuple[str, ...]


@dataclass(frozen=True)
class Testimony:
    """What one process has found of its share of a step."""

    utterances: tuple[str, ...] = ()
    culprits: tuple[Culprit, ...] = ()
    parameter: str | None = None
    """The first whose gradient is not finite."""
    together: bool = False
    """A part is not finite though its halves are."""
    sound: bool | None = None
    """Whether an utterance of another batch is finite; None where that was not needed, or there is none."""
    weight: str | None = None
    """The first weight that is not finite."""
    largest: float = 0.0
    """The largest weight there is."""
    emptied: bool = False
    """Nothing of this process's share is left."""


class Culprits:
    """What one run has set aside. Its state is `run.state.culprits`."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._overflowing: set[str] = set()
        """Left out of one step only, because float16 overflows on them."""
        self._overflowed: dict[str, str] = {}
        """All that were in this session, with the cause."""
        self._step: tuple[int, int] | None = None
        """The step that those belong to."""
        self._again = False
        """Whether the present step was taken again without a culprit."""

    def left_out(self, step: Step) -> set[str]:
        """Ids that a step is taken without."""
        if self._step != (step.epoch, step.position):
            self._step, self._again = (step.epoch, step.position), False
            self._overflowing.clear()
        return self._overflowing.union(self._run.state.culprits)

    def examine(
        self, step: Step, parts: Sequence[Part], replay: Replay | None, *, kind: str, value: float, together: bool
    ) -> None:
        """Find who made a step's loss or gradient (`kind`) `value`, and set them aside: the step can be taken again.

        `replay` is None where this backend cannot compute a part alone; `together`: every process has to keep
        something. Raises `TrainingError` where no utterance is at fault, or too many are.
        """
        own = self._testimony(step, parts, replay)
        everyone = processes.gather(own)
        utterances = tuple(name for one in everyone for name in one.utterances)
        found = list({one.id: one for testimony in everyone for one in testimony.culprits}.values())
        where = next((one.parameter for one in everyone if one.parameter), None)
        entry: dict[str, Any] = {
            "step": self._run.state.step + 1,
            "incident": kind,
            "epoch": step.epoch,
            "utterances": list(utterances),
            "value": str(value),
            "parameter": where,
            "culprits": [{"id": one.id, "reason": one.reason, "cause": one.cause} for one in found],
        }
        stop = self._broken(everyone, found, entry, repeatable=replay is not None)
        if stop is None:
            stop = self._set_aside(found, guard.what(kind, entry["value"]), step.epoch)
            if stop is None and together and any(one.emptied for one in everyone):
                stop = guard.not_repeated(entry["step"], guard.what(kind, entry["value"]), found[0].id, found[0].reason)
        self._run.log({**entry, "goes_on": stop is None})
        if stop is not None:
            raise stop

    # ------------------------------------------------------------------------------------------------------ one process

    def _testimony(self, step: Step, parts: Sequence[Part], replay: Replay | None) -> Testimony:
        model = self._run.bundle.model
        weight = first_not_finite(model.named_parameters())
        own = [local(one.detach()) for one in self._run.parameters]
        largest = max((float(one.abs().max()) for one in own if one.numel()), default=0.0)
        told = Testimony(step.utterances, weight=weight, largest=largest)
        if weight is not None or replay is None:
            return told
        replayed = replay.step(parts)
        found = tuple(self._culprit(step, fault, replay) for fault in replayed.faults)
        doubted = any(one.cause not in causes.CERTAIN for one in found)
        lost = {one.id for one in found}
        return Testimony(
            step.utterances,
            found,
            parameter=replayed.parameter,
            together=bool(replayed.together),
            sound=self._sound(step, replay) if doubted or replayed.together else None,
            largest=largest,
            emptied=bool(parts) and not any(set(part.ids) - lost for part in parts),
        )

    def _culprit(self, step: Step, fault: Fault, replay: Replay) -> Culprit:
        run, part = self._run, fault.part
        tensors = replay.tensors(part)
        why = causes.reason(run, part.rows[0], step.epoch, tensors, fault.outcome)
        if run.recipe.train.mixed_precision == "fp16" and why.cause not in causes.CERTAIN:
            exact = replay.look(part, exactly=True)
            if exact is not None and exact.finite:
                why = causes.Reason(
                    "fp16-overflow", f"float16 overflows on it; in float32 its loss is {exact.loss:.4g}"
                )
        return Culprit(part.ids[0], why.text, why.cause, tuple(part.batch.ids))

    def _sound(self, step: Step, replay: Replay) -> bool | None:
        """Whether the model is finite for any of a few utterances of other batches; None where there are none."""
        run = self._run
        batches = run.batches(step.epoch)
        others = [*batches[step.after :], *batches[: step.position]]
        rows = np.concatenate([np.zeros(0, dtype=np.int64), *others[:CONTROLS]])
        known = self.left_out(step)
        tried = False
        for row in rows[: 4 * CONTROLS]:
            if run.table(step.epoch).utterance(int(row)).id in known:
                continue
            try:
                batch = run.again(step.epoch, [int(row)])
            except VoxError:
                continue
            outcome = replay.look(Part.whole(batch)) if batch.ids else None
            if outcome is None:
                continue
            if outcome.finite:
                return True
            tried = True
        return False if tried else None

    # --------------------------------------------------------------------------------------------------- all processes

    def _broken(
        self,
        everyone: Sequence[Testimony],
        found: Sequence[Culprit],
        entry: dict[str, Any],
        *,
        repeatable: bool,
    ) -> TrainingError | None:
        """The error where it is no utterance's fault; its cause goes into the log's `entry`."""
        utterances = tuple(entry["utterances"])
        weight = next((one.weight for one in everyone if one.weight is not None), None)
        sound = [one.sound for one in everyone if one.sound is not None]
        doubted = [one for one in found if one.cause not in causes.CERTAIN]
        if weight is not None:
            why = f"the weights are not finite, the first is {weight}"
        elif not repeatable:
            why = "this backend can compute no utterance alone"
        elif doubted and not any(sound) and (sound or len(utterances) == len(doubted) > 1):
            first = next((f" ({one.id}: {one.reason})" for one in found if one.cause != "unknown"), "")
            why = f"every utterance gives that alone, and so do others: it is the model, not a clip{first}"
        elif not found and any(one.together for one in everyone):
            why = "each utterance alone is finite, and all of them together are not"
        elif not found and self._again:
            why = "each utterance alone is finite"
        else:
            return None
        cause = self._cause(everyone, found, weight)
        entry["cause"] = cause
        what = guard.what(entry["incident"], entry["value"])
        return guard.not_finite(
            entry["step"], what, why=why, cause=cause, utterances=utterances, train=self._run.recipe.train
        )

    def _cause(self, everyone: Sequence[Testimony], found: Sequence[Culprit], weight: str | None) -> causes.Cause:
        run, only = self._run, found[0].cause if len({one.cause for one in found}) == 1 else "unknown"
        large = weight is not None or max(one.largest for one in everyone) > LARGEST_WEIGHT
        if only != "fp16-overflow" and run.state.step and (large or run.spikes.rose()):
            return "learning-rate"
        return only

    def _set_aside(self, found: Sequence[Culprit], what: str, epoch: int) -> TrainingError | None:
        """Write and say who is at fault; the error where there are more than the recipe allows."""
        run, number = self._run, self._run.state.step + 1
        self._again = True
        said = set(self._overflowed)
        for one in found:
            if one.cause == "fp16-overflow":
                self._overflowing.add(one.id)
                self._overflowed[one.id] = one.cause
            else:
                run.state.culprits[one.id] = one.cause
                more: dict[str, Any] = {"cause": one.cause, "batch": list(one.batch)}
                run.set_aside([(one.id, one.reason)], silent=True, together=True, step=number, epoch=epoch, **more)
        most = run.recipe.train.max_culprits
        counted = {**self._overflowed, **run.state.culprits}
        if len(counted) > most:
            return guard.too_many(number, what, found[-1].id, found[-1].reason, counted, most)
        for one in (one for one in found if one.id not in said):
            becomes = "left out of this step" if one.cause == "fp16-overflow" else "set aside"
            run.progress.say(
                f"step {number}: {what} because of {one.id} ({one.reason}): {becomes}, the step was taken again "
                "without it"
            )
        if not found:
            run.progress.say(f"step {number}: {what}, and finite when computed once more: the step was taken again")
        return None
