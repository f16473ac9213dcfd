"""T108: a decoder that repeats itself or does not end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import LONG_TEXTS, REPEATING_TEXTS, RUNAWAY_STEPS, RUNAWAY_WER
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record

SHOWN = 3
EVALUATION = "evaluation"


class EndlessTexts:
    """The decoder repeats itself or does not end: its texts are far longer than the references.

    Why: a decoder learns its end token like any other. Where labels lack it (padding and end share a token, and a
    collator masks both), where they were cut at the model's limit, or where training saw only short clips, it writes on
    until the longest output. A few such texts make a word error rate above 1.

    Repair: see that labels end with the end token once, and that none was cut; leave out clips whose text was cut at
    the window; train on some long and some silent clips. `evaluate.no_repeat_ngram_size = 4` hides it.

    Sources: transformers issues 29973, 30148 and 30815, faster-whisper 1099 and 987, audio-course 85; openai/whisper,
    transcribe.py, for the ratio that tells a repetition.
    """

    code: ClassVar[str] = "T108"
    name: ClassVar[str] = "endless-texts"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """By what the newest evaluations say of their texts, else by an error rate that only endless texts have."""
        record = context.record
        if record.task == "ctc" or record.last_step < RUNAWAY_STEPS or not record.evaluations:
            return
        last = record.evaluations[-1]
        shares = last.texts
        said = []
        for name, words in (("repeating", "repeat themselves"), ("at_limit", "run into the longest output")):
            if shares.get(name, 0.0) >= REPEATING_TEXTS:
                said.append(f"{shares[name]:.0%} of the texts {words}")
        if shares.get("length_ratio", 1.0) > LONG_TEXTS:
            said.append(f"they are {shares['length_ratio']:.1f} times as long as the references")
        _, wer = record.score("wer")
        if not said and not shares and len(wer) >= 2 and (wer[-2:] > RUNAWAY_WER).all():
            said.append(f"the WER is {wer[-1]:.0%}, which only texts far longer than the references reach")
        if not said:
            return
        names = _repeating(record)
        yield Finding(
            "warning",
            f"step {last.step}: {', '.join(said)}",
            "see that every label ends with the end token once and was not cut; leave out clips whose text was cut "
            "at the window; evaluate.no_repeat_ngram_size=4 hides it",
            utterances=names,
            where=f"step {last.step}",
        )


def _repeating(record: Record) -> tuple[str, ...]:
    """Ids of utterances whose texts repeat themselves, where `vox evaluate` has written texts of the run."""
    import json
    import zlib

    from voxcli.doctor.checks.thresholds import REPEATING

    found = []
    for path in sorted((record.path / EVALUATION).glob("*/utterances.jsonl")):
        with path.open("rb") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    text = str(entry["hypothesis"]).encode()
                    if len(text) / len(zlib.compress(text)) > REPEATING:
                        found.append(str(entry["id"]))
                except (ValueError, KeyError, TypeError):
                    continue
    return tuple(dict.fromkeys(found))
