"""Steps whose gradient is far larger than those before: which utterances were in them, and which have the worst loss.

A spike is compared with the running median of the steps before it. Its cost is a forward pass of each utterance without
gradients, of a limited number of them and not at every spike.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from voxcli.doctor.checks.thresholds import SPIKE, SPIKE_FIRST, SPIKE_WINDOW
from voxcli.engines.halving import forget, is_out_of_memory, release
from voxcli.tasks.wrapped import decoding_mode
from voxcli.train import processes
from voxcli.train.randomness import undisturbed
from voxcli.train.replay import Loss
from voxcli.train.splitting import Part

if TYPE_CHECKING:
    from voxcli.train.run import Run
    from voxcli.train.steps import Step

WORST = 5
"""Utterances that are named with their loss."""
LOOKED_AT = 64
"""Utterances of a process whose loss is computed for it."""
SPARING = 100
"""Steps between two spikes of which losses are computed."""


class Spikes:
    """Watches the gradient's norm of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._looked: int | None = None
        self._said = False

    def seen(self, step: Step, norm: float, parts: Sequence[Part], loss: Loss | None) -> None:
        """A step's gradient is there. Every process comes here with the same norm.

        `loss` gives that of a part, summed, and its count; None where it cannot be computed once more.
        """
        run, norms = self._run, self._run.state.norms
        median = statistics.median(norms) if len(norms) >= SPIKE_FIRST else math.inf
        norms.append(norm)
        del norms[:-SPIKE_WINDOW]
        if norm <= SPIKE * median or not median:
            return
        number = run.state.step + 1
        look = loss is not None and (self._looked is None or number >= self._looked + SPARING)
        worst: list[tuple[float, str]] = []
        if look and loss is not None:
            self._looked = number
            worst = _losses(run, parts, loss)
        everyone = processes.gather((step.utterances, worst))
        utterances = [name for names, _ in everyone for name in names]
        entry: dict[str, Any] = {"step": number, "incident": "spike", "grad_norm": norm, "median": median}
        entry["utterances"] = utterances
        found = sorted((one for _, losses in everyone for one in losses), reverse=True)[:WORST]
        if found:
            entry["worst"] = [{"id": name, "loss": round(value, 4)} for value, name in found]
        run.log(entry)
        if not self._said:
            self._said = True
            suspect = f", the worst loss is that of {found[0][1]}" if found else ""
            run.progress.say(
                f"step {number}: the gradient's norm is {norm:.3g}, {norm / median:.0f} times the median of the steps "
                f"before it{suspect}. log.jsonl names the utterances of every such step"
            )

    def rose(self) -> bool:
        """Whether the newest steps had gradients far above the others."""
        norms = self._run.state.norms
        return len(norms) > 1 and max(norms[-5:]) > SPIKE * statistics.median(norms)


def _losses(run: Run, parts: Sequence[Part], loss: Loss) -> list[tuple[float, str]]:
    """(loss for each token, id) of this process's utterances, the worst first, of the weights as they are."""
    found: list[tuple[float, str]] = []
    try:
        with undisturbed(), decoding_mode(run.bundle.model):
            for part in _single(parts):
                made = loss(part)
                if made is not None:
                    found.append((float(made[0]) / max(float(made[1]), 1.0), part.ids[0]))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        forget(error)
        release()
    return sorted(found, reverse=True)[:WORST]


def _single(parts: Sequence[Part]) -> Iterator[Part]:
    every = (Part(part.batch, (position,)) for part in parts for position in part.positions)
    yield from (one for one, _ in zip(every, range(LOOKED_AT), strict=False))
