"""A checkpoint, what was exported of it and the engine that runs that -> whether both say the same of a probe.

The checkpoint is decoded as `vox evaluate` decodes it: in float32, an adapter beside its full-precision base. What was
exported is opened and decoded by its engine as `vox transcribe --engine` does it. One model at a time is in memory.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxcli.api import Classification, Decoding, Prediction, Utterance
from voxcli.audio.decode import read_utterance
from voxcli.errors import DataError, ModelError, VoxError
from voxcli.evaluate.align import Counts, align
from voxcli.evaluate.compare import Comparison, compare
from voxcli.evaluate.predict import predict
from voxcli.evaluate.scores import Scored, Scores, Tally
from voxcli.export.check import RATE
from voxcli.export.original import Rounding, unmerged
from voxcli.export.probe import Probe
from voxcli.models.open import OpenModel
from voxcli.progress import NULL, Progress
from voxcli.text.scoring import english_spelling_of, scoring_normalizer

CLASSES = 0.01
"""Share of the utterances whose classes may change; one utterance may in any case."""
WORDS = 0.1
"""Share of the words that may be other ones, however good the rates: a model that is always wrong stays at 100 % when
its weights are lost. Whisper tiny.en in 8 bits: 2 %."""
TOGETHER = 64  # clips in memory at once while the engine hears them


@dataclass(frozen=True)
class Parity:
    """What came of the comparison."""

    engine: str
    """The engine that decoded what was exported."""
    probe: Probe
    rounding: Rounding
    """What the base was kept in while an adapter was trained; what was exported stands on the exact one."""
    comparison: Comparison | None = None
    """Error rates of the checkpoint and of what was exported; None for a classifier, or without a probe."""
    changed: int = 0
    """How many transcripts, or chosen classes, differ."""
    moved: Counts = field(default_factory=Counts)
    """The words of what was exported against those of the checkpoint."""
    classified: int | None = None
    """How many utterances both have classified; None where they write text, or without a probe."""

    def require(self, name: str, *, repair: str | None = None) -> None:
        """Raise `ModelError` where what was exported says otherwise than `name`. `repair`: what may mend it."""
        kept = "nothing was kept of it; " + (f"{repair}; " if repair else "")
        help = f"{kept}--probe 200 asks more utterances, --no-check writes it all the same"
        if self.classified is not None and self.changed > max(1.0, CLASSES * self.classified):
            raise ModelError(
                f"what was exported classifies otherwise than {name}: {self.changed} of {self.classified} utterances "
                f"by the engine '{self.engine}'",
                help=help,
            )
        if self.comparison is None:
            return
        before, after = (scores.rates["raw", "wer"] for scores in (self.comparison.before, self.comparison.after))
        errors = abs(after.counts.errors - before.counts.errors)
        if errors > max(1.0, RATE * before.counts.length):
            raise ModelError(
                f"what was exported transcribes otherwise than {name}: {before.counts.errors} wrong words of "
                f"{before.counts.length} by transformers, {after.counts.errors} by the engine '{self.engine}'",
                help=help,
            )
        if self.moved.errors > max(2.0, WORDS * self.moved.length):
            raise ModelError(
                f"what was exported writes other texts than {name}: {self.moved.errors} other words of "
                f"{self.moved.length} by the engine '{self.engine}', though as many are wrong",
                help=help,
            )


def parity(
    checkpoint: Path,
    exported: Path,
    engine: Any,
    *,
    name: str,
    probe: Probe,
    rounding: Rounding,
    device: str | None,
    torch_device: torch.device,
    batch_duration: float = 120.0,
    progress: Progress = NULL,
) -> Parity:
    """Compare the folder `exported`, run by the class `engine` of that name, with `checkpoint`.

    Without a probe the engine is made to open the folder and to hear a second of noise, so that it can run it at all.
    Raises `ModelError` where it cannot.
    """
    before: list[tuple[Utterance, Prediction]] = []
    spelling = language = None
    if probe.table is not None:
        progress.say("comparing: the checkpoint")
        opened: OpenModel | None = unmerged(checkpoint, device=torch_device)
        assert opened is not None
        spelling = english_spelling_of(getattr(opened.bundle.processor, "tokenizer", None))
        language = opened.decoding.language or opened.text.language
        before = list(
            predict(
                opened.bundle,
                opened.task,
                probe.table,
                decoding=opened.decoding,
                batch_duration=batch_duration,
                num_workers=0,
                skipped=[],
                progress=progress,
            )
        )
        if not before:
            raise DataError(f"none of the {len(probe.table)} utterances of {probe.name} could be read")
        opened = None
        gc.collect()
    progress.say(f"comparing: what was exported, by the engine '{name}'")
    try:
        runtime = engine.open(str(exported), device=device, batch_duration=batch_duration)
        after = _heard(runtime, before)
    except VoxError:
        raise
    except Exception as error:  # a runtime's own errors are of every kind, and all mean the same here
        raise ModelError(
            f"the engine '{name}' cannot run what was exported: {type(error).__name__}: {error}",
            help="nothing was kept of it; --no-check writes it all the same",
        ) from error
    pairs = [(utterance, one, other) for (utterance, one), other in zip(before, after, strict=True) if other]
    changed = sum(_said(one) != _said(other) for _, one, other in pairs)
    found = Parity(name, probe, rounding, changed=changed)
    if not pairs:
        return found
    if isinstance(pairs[0][1], Classification):
        return replace(found, classified=len(pairs))
    decoding = runtime.decoding

    def scores(which: int) -> Scores:
        tally = Tally(worst=0, examples=len(pairs))
        for utterance, *both in pairs:
            heard = getattr(both[0], "language", None)
            spoken = "en" if decoding.task == "translate" else utterance.language or language or heard
            normalise = scoring_normalizer(spoken, spelling)
            text = str(_said(both[which]))
            tally.add(Scored.of(utterance, text, normalise(utterance.text or ""), normalise(text)))
        return tally.scores(decoding=decoding, seconds=0.0)

    moved = sum((align(str(_said(one)), str(_said(other))).words for _, one, other in pairs), Counts())
    return replace(found, comparison=compare(scores(0), scores(1)), moved=moved)


def _heard(runtime: Any, before: Sequence[tuple[Utterance, Prediction]]) -> list[Prediction | None]:
    """What the engine says of the same utterances, in order, each in the language that the data name."""
    decoding: Decoding = runtime.decoding
    if not before:
        rng = np.random.default_rng(0)
        noise = (0.1 * rng.standard_normal(runtime.sampling_rate)).astype(np.float32)
        runtime.transcribe_batch([noise], decoding)
        return []
    spoken: defaultdict[str | None, list[int]] = defaultdict(list)
    for index, (utterance, transcript) in enumerate(before):
        # the language that the checkpoint took for this utterance, where the data said one; what it heard is no help
        named = decoding.language is None and utterance.language is not None
        spoken[getattr(transcript, "language", None) if named else None].append(index)
    found: dict[int, Prediction | None] = {}
    for language, indices in spoken.items():
        asked = decoding if language is None else replace(decoding, language=language)
        for first in range(0, len(indices), TOGETHER):
            some = indices[first : first + TOGETHER]
            clips = [read_utterance(before[index][0], runtime.sampling_rate) for index in some]
            found.update(zip(some, runtime.transcribe_batch(clips, asked), strict=True))
    return [found[index] for index in range(len(before))]


def _said(one: Prediction) -> Any:
    return frozenset(one.chosen) if isinstance(one, Classification) else one.text
