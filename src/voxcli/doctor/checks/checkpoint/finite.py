"""C102: weights that are no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import MOST_WEIGHTS, NAMED_TENSORS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class WeightsNotFinite:
    """Weights are NaN or infinite.

    Why: one NaN in a weight makes every output NaN: Whisper then writes the same token over and over or nothing, CTC
    only blanks. It comes from a run that went on after its loss was not finite, or, where the file is float16, from
    values above 65,504 that became infinite when the weights were cast.

    All values are read, 0.2 to 1.6 s for each GB (measured); above 8 GB of weights only with `--full`.

    Repair: an earlier checkpoint of the run, from before its loss broke. Where float16 overflowed: export again from
    the float32 checkpoint, in bfloat16 or float32.

    Sources: IEEE 754 (binary16: largest finite value 65,504); transformers issue 19044.
    """

    code: ClassVar[str] = "C102"
    name: ClassVar[str] = "weights-not-finite"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """In stretches: the memory is that of a few million values."""
        weights = context.checkpoint.weights
        if weights.size > MOST_WEIGHTS and not context.full:
            yield Finding(
                "note",
                f"{weights.size / 1e9:.1f} GB of weights were not read, so NaN among them would not be seen",
                "--full reads them, up to two seconds for each GB",
            )
            return
        found: dict[str, int] = {}
        half = 0
        with context.progress.task("reading weights", total=len(weights.tensors), unit="tensors") as bar:
            for name, tensor in weights.tensors.items():
                bar.advance(1)
                if tensor.floating and (count := tensor.broken()):
                    found[name] = count
                    half += tensor.dtype == "F16"
        if not found:
            return
        names = ", ".join(list(found)[:NAMED_TENSORS]) + (" …" if len(found) > NAMED_TENSORS else "")
        help = "take an earlier checkpoint of the run, from before its loss was not finite"
        if half == len(found):
            help = "float16 ends at 65,504: save again in bfloat16 or float32; or " + help
        yield Finding(
            "error",
            f"{sum(found.values()):,} values in {len(found):,} of {len(weights.tensors):,} tensors are NaN or "
            f"infinite: {names}",
            help,
            where=str(weights.tensors[next(iter(found))].file),
        )
