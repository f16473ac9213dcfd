"""C101: the files that hold a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class WeightFiles:
    """The weights are missing, cut off or damaged, or a part of them is.

    Why: a copy that was interrupted, a full disk or a Git LFS pointer leaves a file of the right name. What the header
    of a safetensors file announces has to be there; what an index names has to be in the folder.

    Repair: copy the named file again from where it was written; `git lfs pull` for a pointer.

    Sources: safetensors' README, "Format"; transformers' documentation, "Sharded checkpoints".
    """

    code: ClassVar[str] = "C101"
    name: ClassVar[str] = "weight-files"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """From file sizes and headers."""
        from voxcli.doctor.checkpoint.weights import NAMES

        folder = context.checkpoint
        weights = folder.weights
        for damage in weights.damaged:
            yield Finding(
                "error",
                f"{damage.file.name} cannot be loaded: {damage.reason}",
                f"copy {damage.file.name} again from where the checkpoint was written",
                where=str(damage.file),
            )
        wanted = NAMES[1] if folder.adapter is not None else NAMES[0]
        if not weights.files and not weights.damaged and not weights.pickles:
            yield Finding(
                "error",
                f"there are no weights: neither {wanted} nor an index of parts",
                f"copy {wanted} from where the checkpoint was written",
                where=str(folder.path),
            )
        elif weights.files and not weights.tensors and not weights.damaged:
            yield Finding(
                "error",
                f"{weights.files[0].name} holds no tensors",
                "save the model again",
                where=str(weights.files[0]),
            )
