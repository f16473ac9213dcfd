"""R108: `mixed_precision` and the device, and types that no weight gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.keys import without_effect
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_TYPES = ("dtype", "torch_dtype")


class PrecisionOfTheDevice:
    """`mixed_precision = "fp16"` on a processor, or a type for weights that are trained.

    Why: float16 has a largest value of 65,504; it needs a scale for its gradients and kernels that only GPUs have, so a
    run with `use_cpu = true` ends before its first step. Weights that are trained stay float32 in voxcli, whatever the
    checkpoint is stored in: stored in float16 the small steps of an optimizer round to nothing, and the scaler of mixed
    precision refuses their gradients. So a `dtype` in [model.config] changes nothing.

    Repair: `mixed_precision = "no"`, or "bf16" where the processor computes in it; without `dtype`.

    Sources: https://docs.pytorch.org/docs/stable/amp.html; transformers issue 30559 and bitsandbytes issue 945
    ("Attempting to unscale FP16 gradients"); voxcli.train.device.check_precision.
    """

    code: ClassVar[str] = "R108"
    name: ClassVar[str] = "precision-of-the-device"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Without `use_cpu` only this machine can be asked, and it may not be the one that trains."""
        train = context.recipe.train
        sizes: dict[str, Any] = getattr(context.recipe.model, "config", None) or {}
        if types := [name for name in _TYPES if name in sizes]:
            why = "weights that are trained are float32; mixed_precision decides the arithmetic"
            yield without_effect("model.config", types, why)
        if train.mixed_precision != "fp16":
            return
        changes: dict[str, Any] = {"train.mixed_precision": "no"}
        if train.frozen_dtype == "float16":
            changes["train.frozen_dtype"] = None
        path = ("train", "mixed_precision")
        if train.use_cpu:
            message = 'mixed_precision = "fp16" needs a GPU, and use_cpu is true'
            help = 'mixed_precision = "no", or "bf16" where the processor has it'
            yield Finding("error", message, help, path=path, fix=Fix(changes))
        elif not context.training and not _has_gpu():
            message = 'mixed_precision = "fp16" needs a GPU, and this machine has none'
            yield Finding("note", message, "train elsewhere, or add train.mixed_precision=no to the command", path=path)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()
