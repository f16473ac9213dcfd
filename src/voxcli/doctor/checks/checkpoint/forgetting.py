"""C151: languages that a fine-tuned Whisper has forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import ABLE, FORGOTTEN, LOST
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class LanguagesLost:
    """The base transcribes English and hears that it is English; the trained checkpoint does not.

    Why: training on one language or domain makes a model worse at all others while its own test error falls. Where
    the checkpoint is meant for that one language nothing is wrong; where others are decoded with it as well, or the
    language is detected, it is.

    Measured, not derived: checkpoint and base decode four English sentences of the sample speech. That says nothing
    about a third language. Below 100 MB of weights always, above with `--full`.

    Repair: LoRA instead of full training, a lower rate, a few hours of the other languages among the data.

    Sources: softcatala/whisper-small-ca, TRAINING.md; speechbrain issue 1516; LoRA learns less and forgets less
    (arXiv 2405.09673).
    """

    code: ClassVar[str] = "C151"
    name: ClassVar[str] = "languages-lost"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Against the base that the folder names, where it is here."""
        from voxcli.doctor.checkpoint.forgotten import ON, compared

        found = compared(context)
        if found is None:
            return
        before, after = found.before, found.after
        lost = []
        if before.errors <= 1 - LOST and after.errors >= before.errors + FORGOTTEN:
            lost.append(f"{after.errors:.0%} of the words are wrong, with {found.base} {before.errors:.0%}")
        hears = before.heard is not None and before.heard >= ABLE
        if hears and after.heard is not None and after.heard <= (before.heard or 0.0) - LOST:
            lost.append(f"English is heard in {after.heard:.0%} of the sentences, with {found.base} {before.heard:.0%}")
        if lost:
            yield Finding(
                "warning",
                f"English is lost: {'; '.join(lost)} (measured on {ON})",
                "where other languages matter: LoRA, a lower rate, or some of their data in the training",
                where=str(context.checkpoint.path),
            )
