"""T112: a pre-training that collapsed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import (
    COLLAPSE_ENTRIES,
    COLLAPSED_LOSS,
    COLLAPSED_PERPLEXITY,
    PRETRAINING_NORM,
)
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Floats, Record

CONTRAST = ("contrastive_loss", "constrast_loss", "contrast_loss")
"""The second is how the example script of transformers spells it."""
PERPLEXITY = ("codevector_perplexity", "perplexity", "ppl", "prob_perplexity", "code_perplexity")


class PretrainingCollapsed:
    """The pre-training has collapsed: all frames have one codevector, and the contrastive task is trivial.

    Why: with one codevector for everything the true frame and its distractors are the same, the contrastive loss is
    near 0 and nothing is learned any more; it looks like a very good run. Small batches, a high learning rate, a short
    warm-up and short clips lead there, and no collapsed run comes back.

    Repair: begin again from the last checkpoint before it, or anew: more seconds of audio a step (accumulation counts),
    a lower `train.learning_rate`, a warm-up of a tenth of the run and more, a larger weight of the diversity loss.

    Sources: transformers issues 14387, 12934 and 19588, fairseq 3661 and 4530; speech-pretraining README of the
    transformers examples (gradient norm between 0.5 and 2); wav2vec 2.0, arXiv 2006.11477, 3.2.
    """

    code: ClassVar[str] = "T112"
    name: ClassVar[str] = "pretraining-collapsed"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the keys that a pre-training logs beside its loss."""
        import numpy as np

        record = context.record
        perplexity, contrast = _logged(record, PERPLEXITY), _logged(record, CONTRAST)
        if perplexity is None and contrast is None:
            return
        said = []
        begin = 0
        for values, limit, words in (
            (perplexity, COLLAPSED_PERPLEXITY, "the perplexity of the codevectors is {:.3g}"),
            (contrast, COLLAPSED_LOSS, "the contrastive loss is {:.3g}"),
        ):
            if values is None:
                continue
            at = np.flatnonzero(np.isfinite(values))
            tail = values[at[-max(5, len(at) // 10) :]] if len(at) >= COLLAPSE_ENTRIES else np.zeros(0)
            if len(tail) and float(np.median(tail)) <= limit:
                said.append(words.format(float(np.median(tail))))
                above = at[values[at] > limit]
                begin = max(begin, int(above[-1]) + 1 if len(above) else 0)
        if said:
            step = int(record.steps[min(begin, len(record.steps) - 1)])
            yield Finding(
                "error",
                f"the pre-training collapsed at about step {step}: {', '.join(said)}",
                "begin again with more audio a step, a lower train.learning_rate and a longer warm-up; no collapsed "
                "run comes back",
                where=f"step {step}",
            )
            return
        norm = record.column("grad_norm")
        norm = norm[np.isfinite(norm)]
        if len(norm) >= COLLAPSE_ENTRIES:
            late = float(np.median(norm[-len(norm) // 4 :]))
            low, high = PRETRAINING_NORM
            if not low <= late <= high:
                yield Finding(
                    "note",
                    f"the gradient's norm is {late:.3g} in the last quarter; in pre-trainings that go well it is "
                    f"{low} to {high}",
                    "watch the codevectors' perplexity; it should rise",
                    where=f"step {record.last_step}",
                )


def _logged(record: Record, names: tuple[str, ...]) -> Floats | None:
    for key, values in record.figures.items():
        if key.lower().removeprefix("train_") in names:
            return values
    return None
