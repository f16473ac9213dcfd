"""What a folder of recordings holds in; the commented text of a first recipe for pre-training out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from voxcli.recipe.look import Looked, counted

CHECKPOINT = "facebook/wav2vec2-xls-r-300m"


def lines(
    found: Looked,
    *,
    source: Path,
    out: Path | None,
    checkpoint: str | None,
    name: str,
    value: Callable[..., str],
    nearer: Callable[..., object],
) -> Iterator[str]:
    """The recipe's lines; `value(key, value, comment)` writes one, `nearer(path, out)` shortens a path."""
    file = out.name if out else "recipe.toml"
    yield f"# Pre-training on {name}: {found.layout}, {counted(found.counts)}"
    yield "#"
    yield f"#     vox recipe check {file}"
    yield f"#     vox train {file} --dry-run     counts everything, trains nothing"
    yield f"#     vox train {file}"
    yield '#     then [model] type = "ctc", checkpoint = "runs/NAME/best" learns transcripts from it'
    yield ""
    yield value("extends", "pretraining", "from audio alone")
    yield value("name", name, "the run's folder is runs/NAME")
    yield value("seed", 1)
    yield ""
    yield "[[data]]"
    for key, one in found.table.items():
        yield value(key, nearer(one, out) if key != "type" else one, found.layout if key == "type" else "")
    if not found.counts.get("validation"):
        yield ""
        yield "[holdout]"
        yield value("validation", 0.02, "share of the recordings, to see whether it learns")
    yield ""
    yield "[model]"
    yield value("checkpoint", checkpoint or CHECKPOINT, "goes on from its weights; a hub id or a local folder")
    yield ""
    yield "[train]"
    yield value("num_train_epochs", 10, "or max_steps")
