"""What a folder of data holds, and a task, in; the commented text of a first recipe out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from voxcli.errors import DataError
from voxcli.recipe import starter_audio, starter_classes
from voxcli.recipe.look import Looked, counted
from voxcli.recipe.render import value_text

StarterTask = Literal["ctc", "seq2seq", "classification", "pretraining"]
CHECKPOINTS: dict[StarterTask, str] = {
    "classification": starter_classes.CHECKPOINT,
    "seq2seq": "openai/whisper-small",
    "ctc": "facebook/wav2vec2-xls-r-300m",
    "pretraining": starter_audio.CHECKPOINT,
}
WHISPER_WINDOW = 30.0  # s
COLUMN = 44  # where comments begin


def starter(found: Looked, task: StarterTask, *, source: Path, out: Path | None, checkpoint: str | None = None) -> str:
    """The recipe's text. Raises `DataError` where the data has no transcripts, or no labels, to learn."""
    if task in ("classification", "pretraining"):
        lines = starter_classes.lines if task == "classification" else starter_audio.lines
        made = lines(
            found,
            source=source,
            out=out,
            checkpoint=checkpoint,
            name=name_of(source),
            value=_value,
            nearer=_nearer,  # type: ignore[arg-type]
        )
        return "\n".join(made) + "\n"
    if not found.with_text:
        about = f"{len(found.labels)} labels: {', '.join(found.labels[:5])}" if found.labels else "no text, no labels"
        raise DataError(
            f"{source} has no transcripts ({found.layout}; {about}), and the task {task} learns text",
            help="add a manifest with the columns path and text, or NAME.txt beside each NAME.wav"
            + ("; --task classification learns the labels" if found.labels else ""),
        )
    return "\n".join(_lines(found, task, source, out, checkpoint or CHECKPOINTS[task])) + "\n"


def name_of(source: Path) -> str:
    """A run's name from the data's."""
    stem = source.absolute().stem if source.is_file() else source.absolute().name
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or "run"


def _lines(found: Looked, task: StarterTask, source: Path, out: Path | None, checkpoint: str) -> Iterator[str]:
    whisper = task == "seq2seq"
    total = sum(found.counts.values())
    what = "Whisper with LoRA" if whisper else "A CTC model"
    file = out.name if out else "recipe.toml"
    yield f"# {what} on {name_of(source)}: {found.layout}, {counted(found.counts)}"
    yield "#"
    yield f"#     vox recipe check {file}"
    yield f"#     vox train {file} --dry-run     counts everything, trains nothing"
    yield f"#     vox train {file}"
    yield ""
    if whisper:
        yield _value("extends", "whisper-lora-int8", 'or "whisper-full": every weight, needs more memory')
    else:
        yield _value("extends", "ctc-full", "every weight but the feature encoder's")
    yield _value("name", name_of(source), "the run's folder is runs/NAME")
    yield _value("seed", 1)
    yield ""
    yield "[[data]]"
    for key, value in found.table.items():
        yield _value(key, _nearer(value, out) if key != "type" else value, found.layout if key == "type" else "")
    if found.language is None and found.table["type"] != "huggingface":
        yield '# language = "en"'.ljust(COLUMN) + "# of the speech; breakdowns and casing use it"
    yield from _holdout(found)
    yield ""
    yield "[filter]"
    yield _value("min_duration", 0.1, "s")
    if whisper:
        yield _value("max_duration", WHISPER_WINDOW, "s, Whisper's window; longer clips are left out and counted")
    else:
        yield _value("max_duration", 20.0, "s; the longest clips decide the memory of a step")
    yield ""
    yield from _text(found, whisper=whisper)
    yield ""
    yield "[model]"
    yield _value("checkpoint", checkpoint, "a hub id or a local folder")
    if whisper and found.language:
        yield _value("language", _bare(found.language))
    elif whisper:
        yield '# language = "en"'.ljust(COLUMN) + "# Whisper's code; not for checkpoints that end in .en"
    else:
        yield _value("vocabulary", "data", f"the characters of the training texts ({found.characters} before [text])")
    yield ""
    yield "[train]"
    yield _value("num_train_epochs", 3 if total > 2000 else 10, "or max_steps")
    yield "# use_cpu = true".ljust(COLUMN) + '# without a GPU; slow, and mixed_precision has to be "no"'
    yield ""
    yield "[evaluate]"
    yield _value("metrics", ["wer", "cer"], "the first picks the best checkpoint")


def _holdout(found: Looked) -> Iterator[str]:
    missing = [split for split in ("validation", "test") if not found.counts.get(split)]
    if missing and found.counts.get("train"):
        yield ""
        yield "[holdout]".ljust(COLUMN) + f"# the data has no {' and no '.join(missing)} split"
        for split in missing:
            yield _value(split, 0.05, "share of the training utterances; equal texts stay on one side")


def _text(found: Looked, *, whisper: bool) -> Iterator[str]:
    yield "[text]"
    if found.language:
        yield _value("language", _bare(found.language), "decides the casing of Turkish, Azerbaijani, Lithuanian")
    share = f"{100 * found.upper:.0f} % of the texts have capitals, {100 * found.punctuation:.0f} % punctuation"
    if whisper:
        yield f"# {share}. Whisper writes both by itself:"
        yield "# drop them only where nobody wants them."
    elif found.upper or found.punctuation:
        yield f"# {share}: a CTC model hears neither."
    mark = "# " if whisper or not found.upper else ""
    yield f"{mark}lowercase = true"
    mark = "# " if whisper or not found.punctuation else ""
    yield f"{mark}remove_punctuation = true".ljust(COLUMN) + "# all but what `keep` names"
    if found.digits >= 0.01:
        yield f"# {100 * found.digits:.0f} % of the texts hold digits, which can be read in several ways."


def _value(key: str, value: object, comment: str = "") -> str:
    line = key if value is None else f"{key} = {value_text(value)}"
    return f"{line.ljust(COLUMN - 1)} # {comment}" if comment else line


def _nearer(value: object, out: Path | None) -> object:
    """A path relative to the recipe's folder where it lies below it."""
    if out is None or not isinstance(value, str):
        return value
    try:
        return Path(value).relative_to(out.absolute().parent).as_posix()
    except ValueError:
        return value


def _bare(language: str) -> str:
    """sv-SE -> sv"""
    return language.replace("_", "-").partition("-")[0].lower()
