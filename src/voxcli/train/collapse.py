"""A pre-training that collapses is stopped: by the codevectors in use, and by a contrastive loss near nothing.

With one codevector for everything, the true frame and its distractors are the same: the loss falls to 0 and looks like
a very good run, and no such run comes back (transformers issues 14387, 12934; fairseq 3661). The limits are those by
which `vox doctor` reads the log of a run (T112).
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from voxcli.doctor.checks.thresholds import COLLAPSED_LOSS, COLLAPSED_PERPLEXITY
from voxcli.errors import TrainingError

if TYPE_CHECKING:
    from voxcli.train.run import Run

STEPS = 30  # by whose median it is judged: a single batch says little
WATCHED = {"codevector_perplexity": COLLAPSED_PERPLEXITY, "contrastive_loss": COLLAPSED_LOSS}
_SAID = {
    "codevector_perplexity": "all frames have the same codevectors: their perplexity is {value:.3g} of {most}",
    "contrastive_loss": "hidden frames are the same as their distractors: the contrastive loss is {value:.3g}",
}


class Collapse:
    """Watches the figures of the last steps; those of tasks without code books are not watched."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._last: dict[str, deque[float]] = {name: deque(maxlen=STEPS) for name in WATCHED}

    def seen(self, step: int, figures: Mapping[str, float]) -> None:
        """The figures of a step that is about to change the weights. Raises `TrainingError` for a collapse."""
        for name, limit in WATCHED.items():
            value = figures.get(name)
            if value is None or not math.isfinite(value):
                continue
            last = self._last[name]
            last.append(value)
            if len(last) == last.maxlen and statistics.median(last) <= limit:
                raise self._error(name, step, statistics.median(last))

    def _error(self, name: str, step: int, value: float) -> TrainingError:
        train = self._run.recipe.train
        config = getattr(self._run.bundle.model, "config", None)
        groups, each = getattr(config, "num_codevector_groups", 0), getattr(config, "num_codevectors_per_group", 0)
        said = _SAID[name].format(value=value, most=groups * each)
        weight = getattr(config, "diversity_loss_weight", 0.1)
        per_step = self._run.state.audio_seconds / max(self._run.state.step, 1)
        return TrainingError(
            f"step {step}: the pre-training has collapsed in the last {STEPS} steps; {said}",
            help=f"no collapsed run comes back: begin anew, under another name, with a lower train.learning_rate "
            f"({train.learning_rate:g} now), a longer warm-up (train.warmup_steps = {train.warmup_steps:g}), more "
            f"audio a step ({per_step:.0f} s; train.batch_duration, train.gradient_accumulation_steps), or a larger "
            f"model.diversity_loss_weight ({weight:g})",
        )
