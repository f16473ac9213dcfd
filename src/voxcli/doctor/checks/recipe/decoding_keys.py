"""R114: keys of decoding that the task does not read, or that reach beyond the decoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.keys import asked, without_effect
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class DecodingKeyWithoutEffect:
    """Beams, n-grams or a length for a CTC model; a length beyond the positions of the decoder.

    Why: `num_beams`, `no_repeat_ngram_size` and `max_new_tokens` are for models that write token by token, and a recipe
    that sets them for CTC promises scores it does not have. How the frames of a CTC model are read is said by
    `[decoder]`. A decoder cannot write more tokens than it has positions: `max_new_tokens` is cut to that.

    Repair: remove the keys; for a search over CTC frames `[decoder] type = "beam"`.

    Sources: voxcli.tasks.ctc_decoding; voxcli.tasks.whisper_decoding.options_of; arXiv 2212.04356 (448
    positions).
    """

    code: ClassVar[str] = "R114"
    name: ClassVar[str] = "decoding-key-without-effect"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe and the limits of the model."""
        recipe = context.recipe
        evaluate = recipe.evaluate
        if recipe.task_name == "ctc":
            if names := asked(evaluate, "num_beams", "no_repeat_ngram_size", "max_new_tokens"):
                yield without_effect(
                    "evaluate", names, 'how CTC frames are read is said by [decoder], for example type = "beam"'
                )
            return
        if recipe.task_name != "seq2seq" or evaluate.max_new_tokens is None:
            return
        most = context.limits.max_label_length
        if most is not None and evaluate.max_new_tokens > most:
            yield Finding(
                "warning",
                f"max_new_tokens is {evaluate.max_new_tokens}, and the decoder has {most} positions",
                "remove max_new_tokens: None is what the model allows",
                path=("evaluate", "max_new_tokens"),
                fix=Fix({"evaluate.max_new_tokens": None}),
            )
