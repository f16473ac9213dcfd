"""What a run does where memory runs out: batches are cut, single clips set aside, and it is said what to change.

A batch that did not fit lowers the run's ceiling, and later ones of its size are cut before they are tried. The
ceiling and the clips that do not fit alone are part of a checkpoint's state, as long as the run stays on a device of
its kind. Everything that happened is in log.jsonl (`"incident": "memory"`); the screen says it once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from voxcli.engines.ceiling import Ceiling, Size
from voxcli.errors import TrainingError, VoxError
from voxcli.train import guard, processes
from voxcli.train.causes import against_median
from voxcli.train.splitting import Part

if TYPE_CHECKING:
    from voxcli.train.run import Run
    from voxcli.train.steps import Step

MOST_EMPTY = 20
"""Steps in a row that may lose all their utterances, once a batch has fitted."""
MOST_EMPTY_AT_FIRST = 3


class Shortage:
    """Keeps what did not fit in one run, and says so."""

    def __init__(self, run: Run) -> None:
        self._run = run
        state = run.state
        same = state.memory == memory_of(run.device)
        state.memory = memory_of(run.device)
        self.ceiling = Ceiling(state.ceiling if same else ())
        self.evaluation = Ceiling()
        """Of batches that are decoded or scored without gradients."""
        self._alone: set[str] = set(state.too_large if same else ())
        self._said: set[str] = set()
        self._fitted = False
        self._empty = 0
        self._first: tuple[Part, str] | None = None
        """The first part of the present step that did not fit, and where that was."""
        self.happened = False
        """Whether any batch of this session did not fit: its steps do not show what whole batches need."""

    # -------------------------------------------------------------------------------------------------------- training

    def parts(self, step: Step) -> list[Part]:
        """What a step is computed from: its batches, cut where batches of their size did not fit."""
        self._first = None
        wholes = [Part.whole(batch) for batch in step.batches]
        if lost := self._left_out(step):
            wholes = [
                part if part.is_whole else self._trimmed(step, part) for part in (one.without(lost) for one in wholes)
            ]
        return [part for whole in wholes if whole.positions for part in whole.below(self.ceiling)]

    def cut(self, step: Step, parts: list[Part], index: int, *, where: str, said: str) -> list[Part]:
        """The parts of a step again, after `parts[index]` did not fit: it is cut, or set aside where it is one clip.

        Parts before it fitted and stay; those after it are cut where they are as large.
        """
        part = parts[index]
        if self._first is None:
            self._first = (part, where)
        alone = len(part.positions) == 1
        trimmed = self._trimmed(step, part) if alone else part
        goes_on = "in halves" if not alone else "without it" if trimmed is part else "without its padding"
        self._record(where=where, said=said, step=step, part=part, goes_on=goes_on)
        if trimmed is not part:
            return [*parts[:index], trimmed, *parts[index + 1 :]]
        if alone:
            self._alone.update(part.ids)
            beside = against_median(part.size.duration, self._run.splits.train)
            reason = f"does not fit the memory, even alone ({beside or f'{part.size.duration:.1f} s'})"
            self._run.set_aside([(part.ids[0], reason)], cause="memory", batch=list(part.batch.ids))
            return parts[:index] + parts[index + 1 :]
        self.ceiling.lower(part.size)
        return [*parts[:index], *(one for later in parts[index:] for one in later.below(self.ceiling))]

    def settled(self, step: Step, parts: list[Part]) -> None:
        """A step has been computed from `parts`. Raises `TrainingError` where step after step has nothing left."""
        run = self._run
        if parts:
            self._fitted, self._empty = True, 0
        elif step.batches:
            self._empty += 1
            if not self._alone.intersection(step.utterances):
                if self._empty > MOST_EMPTY + len(run.state.culprits):
                    raise guard.nothing_left(run.state.step + 1, self._empty, step.utterances)
                return
            last = run.state.step + 1 >= run.total_steps
            if self._fitted and self._empty >= MOST_EMPTY:
                raise self._nothing_fits(step)
            if not self._fitted and (self._empty >= MOST_EMPTY_AT_FIRST or last) and self._alone:
                raise self._nothing_fits(step)
        if self._first is None or "training" in self._said:
            return
        self._said.add("training")
        part, where = self._first
        pieces = [one for one in parts if not set(part.ids).isdisjoint(one.ids)]
        lost = len(part.positions) > sum(len(set(part.ids).intersection(one.ids)) for one in pieces)
        times = math.ceil(len(part.positions) / max((len(one.positions) for one in pieces), default=1))
        again = "the step was taken again in smaller parts"
        if not lost:
            becomes = f"Nothing is lost: {again} with the same gradient, and so are later batches of this size"
        elif parts:
            becomes = f"{again[0].upper()}{again[1:]}, without what does not fit alone"
        else:
            becomes = "Nothing of it fits, and the weights stay as they were"
        run.progress.say(
            f"step {run.state.step + 1}: out of memory on {run.device} in the {where} of {guard.batch_of(part.size)}. "
            f"{becomes}. A run without it: {self.advice(part, count=1 if lost else None, times=times)}"
        )

    def kept(self, step: Step, parts: list[Part]) -> tuple[float, float]:
        """(audio, padded) s of a step, without what was set aside."""
        audio, padded = step.audio_duration, step.padded_duration
        lost = self._left_out(step)
        for batch in step.batches if lost else ():
            rows = [row for row, name in zip(batch.rows, batch.ids, strict=False) if name in lost]
            if rows:
                audio -= math.fsum(float(self._run.table(step.epoch).durations[row]) for row in rows)
                padded -= batch.padded_duration * len(rows) / len(batch.ids)
        return (max(audio, 0.0), max(padded, 0.0)) if parts else (0.0, 0.0)

    def _trimmed(self, step: Step, part: Part) -> Part:
        """The part as a batch of its own, where a clip that is not in it has made it at least twice as long."""
        run = self._run
        if part.is_whole or not part.rows:
            return part
        longest = max(float(run.table(step.epoch).durations[row]) for row in part.rows)
        if not longest <= part.size.duration / 2:
            return part
        try:
            batch = run.again(step.epoch, part.rows)
        except VoxError:
            return part
        trimmed = Part.whole(batch)
        return trimmed if batch.ids == part.ids and trimmed.size.duration < part.size.duration else part

    def _left_out(self, step: Step) -> set[str]:
        """Ids that a step is taken without."""
        return self._alone | self._run.culprits.left_out(step)

    def advice(self, part: Part, *, count: int | None = None, times: int = 2) -> str:
        """The edit that makes it go away."""
        recipe = self._run.recipe
        ladder = guard.next_try(
            recipe.train,
            recipe.adapter,
            recipe.quantization,
            count=len(part.positions) if count is None else count,
            longest=part.size.duration,
            times=times,
        )
        return f"{ladder}. {guard.ANOTHER_RUN}"

    def fatal(self, step: Step, part: Part, *, where: str, said: str) -> TrainingError:
        """The error where this process may not repeat its work alone."""
        self._record(where=where, said=said, step=step, part=part, goes_on="no")
        return guard.out_of_memory(
            guard.Incident("memory", self._run.state.step + 1, step.epoch, step.position, tuple(part.ids)),
            device=self._run.device,
            padded_duration=part.size.padded,
            longest=part.size.duration,
            ladder=self.advice(part),
        )

    def _nothing_fits(self, step: Step) -> TrainingError:
        part, where = self._first or (Part.whole(step.batches[0]), "forward pass")
        return TrainingError(
            f"step {self._run.state.step + 1}: out of memory on {self._run.device} in the {where} of "
            f"{guard.batch_of(part.size)}: not even one utterance fits, {self._empty} steps in a row",
            help=self.advice(part, count=1),
            utterances=tuple(step.utterances),
        )

    # ------------------------------------------------------------------------------------------- optimizer, evaluation

    def optimizer(self, said: str) -> None:
        """The optimizer's step ran out of memory, and is taken again for the parameters that have not moved."""
        self._record(where="optimizer", said=said, goes_on="with the rest")
        if "optimizer" not in self._said:
            self._said.add("optimizer")
            self._run.progress.say(
                f"step {self._run.state.step + 1}: out of memory on {self._run.device} in the optimizer's step. No "
                f"parameter is updated twice: it goes on with the others. A run without it: {self._for_optimizer()}"
            )

    def optimizer_exhausted(self) -> TrainingError:
        """The error where the optimizer's states do not fit at all."""
        return TrainingError(
            f"step {self._run.state.step + 1}: out of memory on {self._run.device} while the optimizer updated the "
            "weights; only some may have been updated, and no checkpoint was written of it",
            help=f"{self._for_optimizer()}. --resume goes on from the last checkpoint",
        )

    def evaluated(self, size: Size, said: str, cut: bool) -> None:
        """A batch of an evaluation did not fit; it goes on in halves where it was `cut`."""
        self._record(where="evaluation", said=said, size=size, goes_on="in halves" if cut else "without it")
        if cut and "evaluation" not in self._said:
            self._said.add("evaluation")
            self._run.progress.say(
                f"step {self._run.state.step}: out of memory on {self._run.device} in the evaluation of "
                f"{guard.batch_of(size)}. It goes on in halves, with the same result. Without it: "
                f"evaluate.batch_duration={max(size.duration, size.padded / 2):.0f}"
            )

    def _for_optimizer(self) -> str:
        recipe = self._run.recipe
        return guard.next_optimizer(recipe.train, recipe.adapter)

    # ----------------------------------------------------------------------------------------------------------- state

    def remember(self) -> None:
        """Put what did not fit, in any process, into the run's state. Every process has to come here."""
        run = self._run
        for failed, alone in processes.gather(([tuple(one) for one in self.ceiling.failed], sorted(self._alone))):
            for size in failed:
                self.ceiling.lower(Size(*size))
            self._alone.update(alone)
        run.state.ceiling = [list(size) for size in self.ceiling.failed]
        run.state.too_large = sorted(self._alone)

    def _record(
        self,
        *,
        where: str,
        said: str,
        goes_on: str,
        step: Step | None = None,
        part: Part | None = None,
        size: Size | None = None,
    ) -> None:
        run = self._run
        self.happened = self.happened or where != "evaluation"
        # an evaluation belongs to the step that was taken, all else to the one that is being taken
        entry: dict[str, Any] = {"step": run.state.step + (where != "evaluation"), "incident": "memory"}
        entry["where"] = where.removesuffix(" pass")
        if step is not None and part is not None:
            size = part.size
            durations = [round(float(run.table(step.epoch).durations[row]), 3) for row in part.rows]
            entry |= {"epoch": step.epoch, "utterances": part.ids, "durations": durations}
            entry["padding"] = round(max(0.0, 1 - math.fsum(durations) / size.padded), 4) if size.padded else 0.0
        if size is not None:
            entry |= {"n_utterances": size.n_utterances, "padded_seconds": round(size.padded, 3)}
        entry |= {"goes_on": goes_on, "said": said}
        if run.rank == 0:
            run.log(entry)
        else:  # the others write no log, but this is theirs alone
            run.files.append_log({**entry, "rank": run.rank})


def memory_of(device: torch.device) -> str:
    """What a ceiling holds for: the same kind of card, or a processor."""
    if device.type != "cuda":
        return device.type
    properties = torch.cuda.get_device_properties(device)
    return f"{properties.name}, {properties.total_memory / 2**30:.1f} GiB"
