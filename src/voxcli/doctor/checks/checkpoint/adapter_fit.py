"""C131: the tensors of an adapter against its base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import NAMED_TENSORS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AdapterOfAnotherBase:
    """The adapter was made for another model than its base.

    Why: each of its matrices belongs to one layer of one size. Over a base of another size or architecture it cannot be
    loaded ("size mismatch"); over one whose layers have other names nothing of it is loaded.

    Repair: the base that it was trained over; adapter_config.json and vox.json name it where nobody has changed them.

    Sources: LoRA (arXiv 2106.09685), section 4.1; peft, PeftModel.from_pretrained.
    """

    code: ClassVar[str] = "C131"
    name: ClassVar[str] = "adapter-of-another-base"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """From the headers of both files; a base in 8 or 4 bits has other shapes and is not compared."""
        from voxcli.doctor.checkpoint.adapter_parts import parts, targets_nothing, weight_of
        from voxcli.doctor.checkpoint.weights import Weights

        folder = context.checkpoint
        base = folder.base
        if folder.adapter is None or base is None or folder.config.get("quantization_config") is not None:
            return
        tensors = Weights.of(base).tensors
        found = parts(folder.weights.tensors)
        if not tensors or not found:
            return
        where = str(folder.weights.files[0]) if folder.weights.files else str(folder.path)
        help = f"name the base that it was trained over, instead of {folder.named_base}, in adapter_config.json"
        lost = [one.module for one in found if weight_of(one.module, tensors) is None]
        unlike = []
        for one in found:
            weight = weight_of(one.module, tensors)
            if weight is not None and not one.fits(weight.shape):
                unlike.append(
                    f"{one.module}: {one.n_out} x {one.n_in}, in the base {' x '.join(map(str, weight.shape))}"
                )
        if lost:
            shown = ", ".join(lost[:NAMED_TENSORS]) + (" …" if len(lost) > NAMED_TENSORS else "")
            message = f"{len(lost):,} of the adapter's {len(found):,} layers are not in its base: {shown}"
            yield Finding("error", message, help, where=where)
        if unlike:
            message = (
                f"{len(unlike):,} of the adapter's {len(found):,} layers have another size in its base: {unlike[0]}"
            )
            yield Finding("error", message, help, where=where)
        elif not lost and (names := targets_nothing(folder.adapter, tensors)):
            yield Finding(
                "error",
                f"adapter_config.json changes layers that the base does not have: target_modules {names}",
                "copy the adapter_config.json that was saved with the adapter",
                where=str(folder.path / "adapter_config.json"),
            )
