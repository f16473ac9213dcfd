"""A run, or `--data` -> the few utterances on which an exported model is compared with the one it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxcli.api import Bundle, Split, Task, Utterance
from voxcli.audio.decode import read_utterance
from voxcli.data.table import Table
from voxcli.engines.batching import LONGEST
from voxcli.errors import DataError, RecipeError, UsageError
from voxcli.evaluate.target import split_of, target
from voxcli.progress import NULL, Progress
from voxcli.recipe.schema import TextRules
from voxcli.train.validation import sample

CLIPS = 4  # whose logits are compared
SPLITS: tuple[Split, ...] = ("validation", "test", "train")
"""In this order the first that has utterances is taken: both models see the same, so that any will do."""


@dataclass(frozen=True)
class Probe:
    """Utterances to compare on; none where no data are at hand."""

    table: Table | None
    name: str
    """Data and split, or why there are none."""


def choose(
    data: str | None,
    run: Path | None,
    *,
    split: Split | None = None,
    most: int,
    text: TextRules,
    labels: bool = False,
    model: str,
    progress: Progress = NULL,
) -> Probe:
    """At most `most` utterances of `--data` or of the run's own data; with `split` None of the first split there is.

    What was asked for by name has to be there (`UsageError`, `DataError`, `RecipeError`); the run's own data may have
    gone, and the probe is then empty.
    """
    if most <= 0:
        return Probe(None, "not asked for")
    try:
        of = target(data, run, model=model)
        for name in (split,) if split is not None else SPLITS:
            try:
                table, _ = split_of(of, name, text=text, labels=labels, progress=progress)
            except DataError:
                if name == (split or SPLITS[-1]):
                    raise
                continue
            return Probe(table.select(np.sort(sample(len(table), most=most, seed=0))), f"{of.name}, {name}")
    except (DataError, UsageError, RecipeError) as error:
        if data is not None or split is not None:
            raise
        return Probe(None, error.message)
    raise AssertionError("every split was tried")


def clips(probe: Probe, bundle: Bundle, task: Task, *, language: str | None) -> list[tuple[Utterance, np.ndarray]]:
    """(utterance, audio (N,)) of a few utterances of the probe that have a loss; seeded noise where there are none."""
    limits = bundle.family.limits()
    labelled = getattr(task, "learns", "text") == "label"
    found: list[tuple[Utterance, np.ndarray]] = []
    for utterance in probe.table or ():
        too_long = (utterance.duration or LONGEST) > LONGEST
        if (utterance.text is None and not labelled) or too_long or task.problem(utterance, limits, bundle) is not None:
            continue
        try:
            audio = read_utterance(utterance, limits.sampling_rate)
            task.features(utterance, audio, bundle)
        except DataError:
            continue
        found.append((utterance, audio))
        if len(found) == CLIPS:
            break
    if found:
        return found
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(3 * limits.sampling_rate)).astype(np.float32)
    label = bundle.processor.labels.names[0] if labelled else None
    return [(Utterance(id="noise", audio=Path("noise"), text="", label=label, language=language or "en"), noise)]
