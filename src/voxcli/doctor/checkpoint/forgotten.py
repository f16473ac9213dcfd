"""A Whisper's folder -> how it and its base did on the probe; decoded at most once, for all checks that ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxcli.doctor.checkpoint.weights import Weights
from voxcli.doctor.checks.thresholds import PROBED_UNASKED
from voxcli.errors import ModelError

if TYPE_CHECKING:
    from voxcli.doctor.checkpoint.whisper_probe import Probed
    from voxcli.doctor.context import Context

ON = "four English sentences and 3 s of silence that ship with voxcli"


@dataclass(frozen=True)
class Compared:
    """The base before, the checkpoint after."""

    before: Probed
    after: Probed
    base: str


def compared(context: Context) -> Compared | None:
    """None where there is nothing to compare with, where it was not asked for, and where a model cannot be opened."""
    folder = context.checkpoint
    if folder.kind != "whisper" or folder.base is None or folder.weights.damaged:
        return None
    size = folder.weights.size + (Weights.of(folder.base).size if folder.adapter is not None else 0)
    if not size or (size > PROBED_UNASKED and not context.full):
        return None
    from voxcli.doctor.checkpoint import whisper_probe

    def made() -> Compared | None:
        assert folder.base is not None
        context.progress.say(f"decoding {ON}, with {folder.named_base} and with {folder.path}")
        try:
            before = whisper_probe.probe(folder.base)
            return Compared(before, whisper_probe.probe(folder.path), str(folder.named_base))
        except ModelError:
            return None

    return context._once("probe", made)
