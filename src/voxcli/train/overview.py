"""What a loss has to know of a whole step before it learns from a part of it: `Task.overview`, summed beforehand.

A loss that is no sum over utterances (the entropy of a mean) cannot be cut into micro-batches. Where a step has several
of them, or several processes, a pass without gradients gathers what such a loss depends on; each part is then given the
sum. Most tasks have no `overview`, and nothing happens here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from voxcli.engines.halving import forget, is_out_of_memory, release
from voxcli.train import device

if TYPE_CHECKING:
    from voxcli.api import Bundle
    from voxcli.train.run import Run
    from voxcli.train.splitting import Part
    from voxcli.train.steps import Step

KEY = "overview"


class Overview:
    """Gathers it once a step."""

    def __init__(self, run: Run, tensors: Callable[[Step, Part], dict[str, Any]], *, alone: bool) -> None:
        """`tensors` are those of a part; `alone`: this process may repeat its part of the work."""
        self._run, self._tensors, self._alone = run, tensors, alone
        self._overview = getattr(run.task, "overview", None)
        self._sum: torch.Tensor | None = None

    @property
    def asked(self) -> bool:
        """Whether the loss needs one that is not known yet."""
        return self._overview is not None and self._sum is None

    def begin(self) -> None:
        """Another step, or the same one anew: nothing is known of it."""
        self._sum = None

    def gathered(
        self,
        step: Step,
        parts: list[Part],
        bundle: Bundle,
        autocast: Callable[[], contextlib.AbstractContextManager[Any]],
    ) -> list[Part]:
        """Look at all parts, and wait for the other processes; returns the parts, cut where memory ran out.

        Does nothing where the loss needs none, where it is known, and where one part is the whole step.
        """
        run = self._run
        if self._overview is None or self._sum is not None or (run.world == 1 and len(parts) < 2):
            return parts
        index = 0
        found: torch.Tensor | None = None
        while index < len(parts):
            try:
                tensors = self._tensors(step, parts[index])
                if tensors:
                    with autocast():
                        made = self._overview(bundle, device.move(tensors, run.device)).float()
                    found = made if found is None else found + made
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error).splitlines()[0] if str(error) else type(error).__name__
                forget(error)
                if not self._alone:
                    raise run.shortage.fatal(step, parts[index], where="forward pass", said=said) from None
                release()
                parts = run.shortage.cut(step, parts, index, where="forward pass", said=said)
                index, found = 0, None
                continue
            index += 1
        self._sum = _over_processes(found, run)
        return parts

    def added(self, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        """A part's tensors, with what is known of its step."""
        return tensors if self._sum is None else {**tensors, KEY: self._sum}


def _over_processes(found: torch.Tensor | None, run: Run) -> torch.Tensor | None:
    """The sum over all processes; one that has no utterances in this step adds nothing."""
    if run.world == 1:
        return found
    size = torch.tensor([0 if found is None else len(found)], device=run.device)
    torch.distributed.all_reduce(size, torch.distributed.ReduceOp.MAX)
    if not int(size):
        return None
    found = torch.zeros(int(size), device=run.device) if found is None else found
    torch.distributed.all_reduce(found)
    return found
