"""T111: an error rate that differs between training and the final decoding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import SCORE_DIFFERENCE
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record

EVALUATION = "evaluation"
SAME = 1e-3  # share by which the seconds of one split may differ
DECODING = ("num_beams", "max_new_tokens", "no_repeat_ngram_size")


class ScoresDiffer:
    """The same checkpoint has another error rate on the same clips after training than it had during training.

    Why: two figures that are compared have to be measured in one way. Another number of beams, another longest output,
    another language or prompt, clips padded in another way, or weights that were changed on their way into the
    checkpoint make a difference that looks like a better or a worse model.

    Repair: evaluate with the settings of the run (`[evaluate]`), which `vox evaluate RUN` does unless it is told
    otherwise, or train with those that are used later. Where both are equal and the figures are not, the checkpoint is
    not the model that was measured: `vox doctor` with its folder.

    Sources: transformers' example scripts, whose training decodes greedily and whose pipeline does not;
    docs/evaluate.md.
    """

    code: ClassVar[str] = "T111"
    name: ClassVar[str] = "scores-differ"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Every evaluation of the validation split against the log's at the same step."""
        from voxcli.doctor.run.record import json_table

        record = context.record
        if record.trainer:
            yield from _of_trainer(record)
            return
        for path in sorted((record.path / EVALUATION).glob("*/scores.json")):
            yield from _compared(record, path, json_table(path, []))


def _compared(record: Record, path: Path, scores: dict[str, Any]) -> Iterator[Finding]:
    """One scores.json of this run's own validation split."""
    from voxcli.doctor.run.entries import number, step_of

    step = Path(str(scores.get("checkpoint"))).name.removeprefix("step-")
    if scores.get("split") != "validation" or not step.isdigit() or not _of_its_data(record, scores):
        return
    logged = next((one for one in reversed(record.evaluations) if one.step == int(step)), None)
    raw = scores.get("raw")
    if logged is None or not isinstance(raw, dict):
        return
    settings = record.evaluate
    decoding = scores.get("decoding")
    decoding = decoding if isinstance(decoding, dict) else {}
    other = [
        f"{key} {_shown(settings.get(key))} in training, {_shown(decoding.get(key))} afterwards"
        for key in DECODING
        if key in decoding and settings.get(key) != decoding.get(key)
    ]
    whole, scored = step_of(settings.get("max_utterances")), step_of(scores.get("utterances")) or 1
    same = whole is None or scored <= whole
    for name in ("wer", "cer"):
        table = raw.get(name)
        if name not in logged.scores or not isinstance(table, dict) or number(table.get("rate")) is None:
            continue
        before, after = logged.scores[name], float(table["rate"])
        allowed = SCORE_DIFFERENCE
        if not same:  # a sample of the split scatters by what the interval says, and by more the smaller it is
            low, high = _interval(table.get("interval"), after)
            allowed = max(allowed, (high - low) * max(1.0, (scored / max(1, whole or 1)) ** 0.5))
        if abs(after - before) <= allowed:
            continue
        message = (
            f"{name} of step {int(step)} is {after:.1%} in {path.parent.name}, and was {before:.1%} during training"
        )
        if other:
            message += f": {'; '.join(other)}"
        elif same:
            message += ", on the same clips with the same decoding"
        help = (
            "measure both in one way: by [evaluate] of the recipe in training, by options of `vox evaluate` afterwards"
            if other
            else "evaluate again; if it stays, the checkpoint is another model than was measured: `vox doctor` it"
        )
        yield Finding("warning", message, help, where=str(path))
        return


def _of_its_data(record: Record, scores: dict[str, Any]) -> bool:
    """Whether scores are those of the run's own validation split: by its name, or by the seconds of its audio."""
    from voxcli.doctor.run.entries import number

    if scores.get("data") == record.path.resolve().name:
        return True
    known, scored = record.duration("validation"), number(scores.get("duration"))
    return bool(known and scored) and abs(float(scored or 0) / float(known or 1) - 1) < SAME


def _interval(value: object, rate: float) -> tuple[float, float]:
    """The interval of a rate; where there is none, a wide one."""
    from voxcli.doctor.run.entries import number

    if isinstance(value, list) and len(value) == 2 and None not in (low_high := [number(one) for one in value]):
        return float(low_high[0] or 0), float(low_high[1] or 0)
    return rate - 0.05, rate + 0.05


def _of_trainer(record: Record) -> Iterator[Finding]:
    """The final evaluation of a Trainer's folder against those of its log."""
    for name in ("wer", "cer"):
        _, values = record.score(name)
        if name not in record.results or not len(values):
            continue
        after = record.results[name]
        nearest = min((float(value) for value in values), key=lambda one: abs(one - after))
        if abs(after - nearest) > max(SCORE_DIFFERENCE, 0.1 * nearest):
            yield Finding(
                "warning",
                f"the final {name} is {after:.1%}, and no evaluation of the log comes near it (the nearest: "
                f"{nearest:.1%})",
                "decode both times in one way: generation_num_beams, generation_max_length, language and task",
                where=str(record.path / "all_results.json"),
            )
            return


def _shown(value: object) -> str:
    return "not set" if value is None else str(value)
