"""C140: merged weights against their base and their adapter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class MergedOtherwise:
    """The weights of a merged model are not those of its base with its adapter.

    Why: an adapter merged into another base, merged twice, with another scale, or into a base in 8 bits makes a model
    that nobody evaluated. Where nothing was merged at all the folder is the base under another name: its error rates
    are those from before the training.

    Which adapter was merged stands in vox.json (merged_from), or follows from the place of an export within its run.
    Twelve layers over the whole depth are compared, all with `--full`; layers with DoRA, convolutions and bases in 8 or
    4 bits are not.

    Repair: export again, `vox export RUN --to merged`, which compares the logits before it keeps anything.

    Sources: LoRA (arXiv 2106.09685), section 4.1; fast-whisper-finetuning issue 4, CTranslate2 issue 1462 (merged by
    hand).
    """

    code: ClassVar[str] = "C140"
    name: ClassVar[str] = "merged-otherwise"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """From the files; no model is built."""
        from voxcli.doctor.checkpoint.merged_weights import Merge

        folder = context.checkpoint
        merge = Merge.of(folder)
        if merge is None:
            return
        layers = merge.compare(full=context.full, progress=context.progress)
        off = [one for one in layers if not one.off <= one.allowed]
        if not off:
            return
        help = f"export again: vox export {merge.adapter} --to merged --out FOLDER"
        where = str(folder.weights.files[0])
        if all(one.moved <= one.allowed for one in layers) and any(one.added > one.allowed for one in layers):
            yield Finding(
                "error",
                f"the weights are those of the base: nothing of the adapter {merge.adapter} was merged",
                help,
                where=where,
            )
            return
        worst = max(off, key=lambda one: one.off / max(one.added, one.allowed))
        yield Finding(
            "error",
            f"{len(off):,} of {len(layers):,} layers are not base + adapter: {worst.name} is off by {worst.off:.2g}, "
            f"where the adapter adds {worst.added:.2g} and rounding explains {worst.allowed:.1g}",
            help,
            where=where,
        )
