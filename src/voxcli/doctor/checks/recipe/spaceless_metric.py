"""R124: words as the measure of a language that writes none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.spoken import languages
from voxcli.doctor.checks.thresholds import WITHOUT_SPACES
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class WordsWithoutSpaces:
    """The word error rate picks the best checkpoint of a language that is written without spaces.

    Why: Chinese, Japanese, Thai, Lao, Khmer and Burmese put no space between words. A whole sentence counts as one
    word, so the rate is near 100 % whatever the model learns, and the checkpoint that it picks is picked by chance.

    Repair: `metrics = ["cer", "wer"]`: the first one decides.

    Sources: arXiv 2212.04356, section 4.4 and appendix D (character error rates for these languages); Unicode Standard
    Annex 14 (scripts without spaces).
    """

    code: ClassVar[str] = "R124"
    name: ClassVar[str] = "words-without-spaces"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """Where the recipe names the language."""
        recipe = context.recipe
        metrics = tuple(recipe.evaluate.metrics or recipe.task.metrics)
        spoken = languages(recipe)
        if not metrics or metrics[0] != "wer" or "cer" not in recipe.task.metrics or not spoken:
            return
        if getattr(recipe.model, "generation_task", None) == "translate" or not spoken <= set(WITHOUT_SPACES):
            return
        better = ["cer", *(name for name in metrics if name != "cer")]
        names = ", ".join(WITHOUT_SPACES[one] for one in sorted(spoken))
        yield Finding(
            "warning",
            f"the word error rate picks the best checkpoint, and {names} is written without spaces",
            f"metrics = {better}".replace("'", '"'),
            path=("evaluate", "metrics"),
            fix=Fix({"evaluate.metrics": better}),
        )
