"""C132: an adapter that changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AdapterUnchanged:
    """Every layer of the adapter adds zero to its base.

    Why: LoRA begins with B = 0, so that a fresh adapter changes nothing. One that was saved that way was never trained:
    the run ended at once, its gradients did not reach the adapter, or a fresh adapter was saved over the trained one.

    Repair: the checkpoint of a later step; where there is none, look at the run: `vox doctor RUN`.

    Sources: LoRA (arXiv 2106.09685), section 4.1 (B is zero at the beginning).
    """

    code: ClassVar[str] = "C132"
    name: ClassVar[str] = "adapter-unchanged"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Reads the adapter's own few weights. Layers that are trained whole beside it may change all the same."""
        from voxcli.doctor.checkpoint.adapter_parts import parts

        folder = context.checkpoint
        if folder.adapter is None or folder.adapter.get("init_lora_weights") is False:
            return
        found = parts(folder.weights.tensors)
        if found and not any(piece.any() for one in found for piece in one.up.pieces()):
            yield Finding(
                "warning",
                f"the adapter adds nothing to its base: B is zero in all of its {len(found):,} layers",
                "take a later checkpoint; where there is none, the run did not train it: `vox doctor RUN`",
                where=str(folder.weights.files[0]),
            )
