"""R101: `learning_rate` against what is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.trained import Trained, trained
from voxcli.doctor.checks.thresholds import (
    ADAPTER_RATES,
    CLASSIFIER_RATES,
    ENCODER_RATES,
    HEAD_RATES,
    PRETRAINING_RATES,
    RANDOM_RATES,
    WHISPER_RATES,
    WIDTH_OF_RATES,
)
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_OF_A_SCALE = ("adam", "adafactor")  # SGD, Lion and the like have ranges of their own
_OF_TASKS = {
    "seq2seq": (WHISPER_RATES, "full fine-tuning of Whisper"),
    "ctc": (ENCODER_RATES, "fine-tuning of an encoder with CTC"),
    "pretraining": (PRETRAINING_RATES, "pre-training"),
    "classification": (CLASSIFIER_RATES, "fine-tuning of a classifier"),
}


class LearningRateOutOfRange:
    """The learning rate is outside of what works for what is trained.

    Why: adapters take a hundred times the rate of full fine-tuning, new weights more than trained ones. Too high, and
    the model loses what it knew, or the loss rises and never comes back: Whisper base at 1e-3 wrote nothing right after
    ten steps. Too low, and the run ends where it began.

    Repair: the usual rate: 1e-5 for every weight of Whisper, 3e-4 for a pre-trained encoder with CTC, 1e-3 for LoRA,
    5e-4 for pre-training, 1e-3 for weights from nothing.

    Sources: arXiv 2212.04356, table 17; arXiv 2006.11477, appendices A and B; arXiv 2106.09685 and 2305.14314 (LoRA);
    examples of transformers and PEFT; measured here: Whisper base at 1e-3 and 1e-5.
    """

    code: ClassVar[str] = "R101"
    name: ClassVar[str] = "learning-rate-out-of-range"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """For optimizers of the Adam family and for the tasks whose rates are known."""
        recipe = context.recipe
        if not any(name in recipe.train.optim for name in _OF_A_SCALE) or recipe.task_name not in _OF_TASKS:
            return
        if getattr(recipe.model, "form", "") == "text" and recipe.adapter is None:
            return  # rates of two halves with new layers between them: nothing published holds for all
        what = trained(context)
        (low, high, usual, diverges), words = _rates(what)
        rate = recipe.train.learning_rate
        if low <= rate <= high * (1 + 1e-9):
            return
        limit = diverges * max(1.0, WIDTH_OF_RATES / what.width) if what.width else None
        certain = limit is not None and rate >= limit
        effect = "the loss will rise and not come back" if certain else "the model forgets more than it learns"
        if rate < low:
            effect = "next to nothing is learned"
        yield Finding(
            "error" if certain else "warning",
            f"learning_rate = {rate:g} is too {'high' if rate > high else 'low'} for {words}: {effect}; "
            f"usual are {low:g} to {high:g}",
            f"learning_rate = {usual:g}",
            path=("train", "learning_rate"),
            fix=Fix({"train.learning_rate": usual}),
        )


def _rates(what: Trained) -> tuple[tuple[float, float, float, float], str]:
    """(lowest, highest, usual, diverges) and what they are of, in words."""
    if what.what == "adapter":
        return ADAPTER_RATES, "LoRA"
    if what.what == "output layer":
        return HEAD_RATES, "an output layer alone"
    if what.what == "random weights" and what.task != "pretraining":
        return RANDOM_RATES, "weights from nothing"
    return _OF_TASKS[what.task]
