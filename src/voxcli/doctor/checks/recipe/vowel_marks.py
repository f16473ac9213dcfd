"""R126: `strip_marks` for scripts that write vowels or tones as marks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.spoken import languages
from voxcli.doctor.checks.thresholds import VOWELS_AS_MARKS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class VowelMarksRemoved:
    """`strip_marks` removes the vowels, or the tones, of the language that the recipe names.

    Why: Devanagari, Bengali, Tamil, Thai and their relatives write vowels and missing vowels as combining marks;
    Vietnamese writes its tones so. Without them other words are left, or none: the model learns to write what nobody
    can read, and its error rates, taken after the same rule, look too good.

    Repair: `strip_marks = false`.

    Sources: The Unicode Standard, chapters 12, 13 and 16; arXiv 2409.02449 (Whisper's normaliser and Indic scripts);
    openai/whisper pull request 2849.
    """

    code: ClassVar[str] = "R126"
    name: ClassVar[str] = "vowel-marks-removed"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Where the recipe names the language."""
        recipe = context.recipe
        hurt = sorted(languages(recipe) & set(VOWELS_AS_MARKS))
        if recipe.text.strip_marks and hurt:
            names = ", ".join(VOWELS_AS_MARKS[one] for one in hurt)
            yield Finding(
                "warning",
                f"strip_marks removes what {names} writes as marks: vowels, tones, missing vowels",
                "strip_marks = false",
                path=("text", "strip_marks"),
                fix=Fix({"text.strip_marks": None}),
            )
