"""What a folder of labelled recordings holds in; the commented text of a first recipe for a classifier out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from voxcli.errors import DataError
from voxcli.recipe.look import Looked, counted

CHECKPOINT = "facebook/wav2vec2-base"
SHOWN = 8  # labels in the head of the recipe
_SHORT = 5.0  # s; clips no longer than this are heard whole
Value = Callable[..., str]


def lines(
    found: Looked, *, source: Path, out: Path | None, checkpoint: str | None, name: str, value: Value, nearer: Value
) -> Iterator[str]:
    """The recipe's lines. `value(key, value, comment)` writes one, `nearer(path, out)` shortens a path.

    Raises `DataError` where the data have no labels, or one alone.
    """
    if len(found.labels) < 2:
        what = f"one label only, '{found.labels[0]}'" if found.labels else "no labels"
        about = f", but {found.with_text:,} transcripts" if found.with_text else ""
        raise DataError(
            f"{source} has {what}{about} ({found.layout}): a classifier needs two classes at least",
            help="folders named by class (yes/1.wav no/2.wav), or a manifest with a column `label`"
            + ("; --task seq2seq or ctc learns transcripts" if found.with_text else ""),
        )
    file = out.name if out else "recipe.toml"
    several = any("," in label for label in found.labels)
    shown = ", ".join(found.labels[:SHOWN]) + (" …" if len(found.labels) > SHOWN else "")
    yield f"# An audio classifier on {name}: {found.layout}, {counted(found.counts)}"
    yield f"# {len(found.labels)} labels: {shown}"
    yield "#"
    yield f"#     vox recipe check {file}"
    yield f"#     vox train {file} --dry-run     counts everything, trains nothing"
    yield f"#     vox train {file}"
    yield ""
    yield value("extends", "classifier-full", 'or "classifier-frozen": the output layers alone, minutes without a GPU')
    yield value("name", name, "the run's folder is runs/NAME")
    yield value("seed", 1)
    yield ""
    yield "[[data]]"
    for key, one in found.table.items():
        yield value(key, nearer(one, out) if key != "type" else one, found.layout if key == "type" else "")
    missing = [split for split in ("validation", "test") if not found.counts.get(split)]
    if missing and found.counts.get("train"):
        yield ""
        yield value("[holdout]", None, f"the data has no {' and no '.join(missing)} split")
        for split in missing:
            yield value(split, 0.1, "share of the training utterances of each class")
        yield value("# speakers_apart = true", None, "where the data name speakers: no voice in two splits")
    yield ""
    yield "[model]"
    yield value("checkpoint", checkpoint or CHECKPOINT, "a hub id or a local folder")
    if several:
        yield value("multi_label", True, "several labels of one recording, with a comma between them")
    longest = found.longest
    if longest is not None and longest <= _SHORT:
        yield value("# crop_duration = 1.0", None, f"s; the longest clip has {longest:.1f} s")
    else:
        yield value("crop_duration", 10.0, "s; of longer clips training sees so much, drawn anew each time")
    yield value('# class_weights = "balanced"', None, "where some classes are much rarer than others")
    if "whisper" in (checkpoint or ""):
        yield value("encoder_context", "clip", "a clip is as long as it is, not 30 s")
    yield ""
    yield "[train]"
    yield value("num_train_epochs", 3 if sum(found.counts.values()) > 20_000 else 10, "or max_steps")
    yield value("# use_cpu = true", None, 'without a GPU; slow, and mixed_precision has to be "no"')
    yield ""
    yield "[evaluate]"
    metrics = ["mean_average_precision", "macro_f1"] if several else ["accuracy", "macro_f1"]
    yield value("metrics", metrics, "the first picks the best checkpoint")
