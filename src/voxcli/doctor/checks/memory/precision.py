"""S106: a precision that the device only imitates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class PrecisionImitated:
    """`mixed_precision = "bf16"` on a card that has no bfloat16 units.

    Why: compute capability 8.0 (A100, RTX 30 series) is the first with bfloat16. Older cards (T4, V100, RTX 20 series)
    take it and imitate it: the run works, at a fraction of the speed of fp16, which their tensor cores have. The
    GTX 10 series and the P series have neither.

    Repair: `mixed_precision = "fp16"`; `train.frozen_dtype` has to follow where it is set.

    Sources: CUDA C++ Programming Guide, compute capabilities (tensor cores by data type); docs/memory.md, "Names of
    cards".
    """

    code: ClassVar[str] = "S106"
    name: ClassVar[str] = "precision-imitated"
    about: ClassVar[About] = "memory"

    def run(self, context: Context) -> Iterator[Finding]:
        """On CUDA devices: processors have bfloat16 or are not asked for speed."""
        from voxcli.doctor.memory.prediction import device_of

        train = context.recipe.train
        if train.mixed_precision != "bf16":
            return
        device = device_of(context)
        if device.kind != "cuda" or device.bf16:
            return
        changes = {"train.mixed_precision": "fp16"}
        if train.frozen_dtype == "bfloat16":
            changes["train.frozen_dtype"] = "float16"
        capability = ".".join(map(str, device.capability))
        yield Finding(
            "warning",
            f"{device.name} has no bfloat16 (compute capability {capability}; 8.0 is the first) and imitates it slowly",
            'mixed_precision = "fp16"',
            path=("train", "mixed_precision"),
            fix=Fix(changes),
        )
