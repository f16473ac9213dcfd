"""D007: characters of validation and test that the training split lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import UNKNOWN_ELSEWHERE, UNKNOWN_KINDS, UNKNOWN_UTTERANCES
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class CharactersNotInTraining:
    """Validation or test hold characters that the training transcripts never have.

    Why: a model that learns its vocabulary from the training split cannot write them, so each is an error whatever the
    model hears. Many of them mean that the splits were written by different rules: one in capitals, one with
    punctuation.

    Repair: the same rules for all splits: `[text] lowercase`, `remove_punctuation`; or take the splits from one source.

    Sources: measured on seven real data sets, see UNKNOWN_UTTERANCES.
    """

    code: ClassVar[str] = "D007"
    name: ClassVar[str] = "characters-not-in-training"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Where the vocabulary is that of the data, or no model is known."""
        from voxcli.doctor.data.rows import characters, named, of

        data = context.data
        if "data" not in context.subject.kinds and (
            context.recipe.task_name != "ctc" or getattr(context.recipe.model, "vocabulary", None) != "data"
        ):
            return
        if not data.transcripts:
            return
        known = data.characters("train").counts.keys()
        for split in data.filled:
            points, table = data.characters(split), data.used(split)
            unknown = [one for one in points.counts if one not in known and not one.isspace()]
            if not unknown:
                continue
            hit = points.holding(unknown)
            share = sum(points.counts[one] for one in unknown) / max(1, sum(points.counts.values()))
            lower = [one for one in unknown if one.lower() in known and one.lower() != one]
            many = share >= UNKNOWN_ELSEWHERE and len(unknown) >= UNKNOWN_KINDS and hit.mean() >= UNKNOWN_UTTERANCES
            yield Finding(
                "warning" if many else "note",
                f"{of(int(hit.sum()), len(table))} of the {split} split hold characters that the train split lacks, "
                f"{share:.2%} of all: {characters(sorted(unknown, key=lambda one: -points.counts[one]))}",
                "the split is in capitals: [text] lowercase = true"
                if many and len(lower) > len(unknown) / 2
                else "the same [text] rules for all splits: lowercase, remove_punctuation, replace",
                utterances=named(table, hit),
                fix=Fix({"text.lowercase": True}) if many and len(lower) == len(unknown) else None,
            )
