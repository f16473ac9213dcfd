"""D006: characters of a vocabulary made from the data that stand there a few times only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import RARE_CHARACTER, RARE_FROM
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class RareCharacters:
    """The vocabulary learned from the data has characters that stand there a few times only.

    Why: each is a class of its own that a handful of frames cannot teach. They are often typing errors, letters of
    foreign names, or punctuation.

    Repair: respell them with `[text] replace`, delete what nobody says with `remove_punctuation`, or name the letters
    of the language in `[filter] allowed_characters`.

    Sources: measured on seven real data sets, see RARE_CHARACTER; spaCy's `debug data` warns in the same way of labels
    with few examples.
    """

    code: ClassVar[str] = "D006"
    name: ClassVar[str] = "rare-characters"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Scripts of syllables and words have thousands of rare characters: they are passed over."""
        from voxcli.doctor.data.rows import characters, counted, named
        from voxcli.text.scripts import script, scripts_of

        model = context.recipe.model
        if context.recipe.task_name != "ctc" or getattr(model, "vocabulary", None) != "data":
            return
        points = context.data.characters("train")
        if sum(points.counts.values()) < RARE_FROM:
            return
        many = scripts_of("zh") | scripts_of("ko") | scripts_of("ja")
        rare = [
            one
            for one, count in points.counts.items()
            if count < RARE_CHARACTER and not one.isspace() and script(one) not in many
        ]
        if rare:
            yield Finding(
                "note",
                f"{counted(len(rare), 'character')} of the vocabulary stand fewer than {RARE_CHARACTER} times in the "
                f"training transcripts: {characters(rare)}",
                "respell them with [text] replace, or leave those utterances out with [filter] allowed_characters",
                path=("model", "vocabulary"),
                utterances=named(context.data.used("train"), points.holding(rare)),
            )
