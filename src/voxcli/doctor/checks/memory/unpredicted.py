"""S100: the memory of a recipe's training step cannot be predicted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class MemoryNotPredicted:
    """The memory of a training step cannot be predicted, so that nothing can be said about whether it fits.

    Why: the step is followed without weights, on tensors that have shapes only. A model whose forward pass depends on
    values, or that calls a kernel which has no such form, cannot be followed. The run may be fine. A precision that the
    device does not have (fp16 on a processor) is only noted: the recipe may be meant for another machine.

    Repair: take a few real steps on the machine that trains, `vox train RECIPE train.max_steps=3`: the log has what
    they needed. `--gpu NAME` or `--ram SIZE` asks for another device than this machine's.

    Sources: docs/memory.md, "What is exact"; "Fake tensor" in PyTorch's documentation
    (torch.compiler_fake_tensor).
    """

    code: ClassVar[str] = "S100"
    name: ClassVar[str] = "memory-not-predicted"
    about: ClassVar[About] = "memory"

    def run(self, context: Context) -> Iterator[Finding]:
        """The context says why, under this code."""
        from voxcli.doctor.memory.prediction import prediction_where_it_matters

        prediction_where_it_matters(context)
        yield from ()
