"""C103: the shapes of the weights against those that the config makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import NAMED_TENSORS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class WeightsOfAnotherModel:
    """Weights have other shapes than the config makes, or some of them are missing.

    Why: a config of another size, a vocabulary that grew in the weights and not in the config, or a head that was not
    saved. `from_pretrained` stops at a shape that does not fit; a weight that is missing it fills with random numbers
    and a line in the log.

    Repair: the config that was saved with these weights; where a head is missing, save the whole model again.

    Sources: transformers' documentation, from_pretrained (ignore_mismatched_sizes, "newly initialized").
    """

    code: ClassVar[str] = "C103"
    name: ClassVar[str] = "weights-of-another-model"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Against the model that the config makes without storage; nothing for one that transformers does not know."""
        from voxcli.doctor.checkpoint.expected import expected

        folder = context.checkpoint
        if folder.adapter is not None or not folder.weights.tensors or folder.weights.damaged:
            return
        wanted = expected(folder.config)
        if wanted is None:
            return
        found = folder.weights.tensors
        where = str(folder.weights.files[0])
        unlike = [name for name in wanted.shapes if name in found and found[name].shape != wanted.shapes[name]]
        if unlike:
            shown = ", ".join(
                f"{name} is {_size(found[name].shape)} where the config makes {_size(wanted.shapes[name])}"
                for name in unlike[:NAMED_TENSORS]
            )
            yield Finding(
                "error",
                f"{len(unlike):,} weights have another shape than the config makes: {shown}",
                "copy the config.json that was saved with these weights, or the weights that belong to this config",
                where=where,
            )
        missing = wanted.missing(found)
        if missing:
            shown = ", ".join(missing[:NAMED_TENSORS]) + (" …" if len(missing) > NAMED_TENSORS else "")
            yield Finding(
                "error",
                f"{len(missing):,} of {len(wanted.shapes):,} weights are missing, and would be random: {shown}",
                "save the whole model again, or copy the file with the missing weights",
                where=where,
            )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
