"""What the scripts have in common beside training: data, splits, durations, the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from voxcli.errors import UsageError
from voxcli.recipe.importing.imported import Imported

_SCRIPTED = re.compile(
    r"(?:[\w.-]+/)?(superb|timit_asr|common_language|librispeech_asr|common_voice\w*|minds14|fleurs)"
)
_CONVERTED = ("superb", "common_language", "librispeech_asr")
"""Script data sets that have a converted copy on the hub."""


def data(
    to: Imported, *, train: str, evaluation: str, column: str, columns: tuple[str, ...] = ("audio", "text")
) -> None:
    """`[[data]]` of one data set: `train` and `evaluation` are the scripts' default splits, `column` the target's key,
    `columns` the scripts' default columns of audio and target."""
    path = _needed(to, "dataset_name")
    table: dict[str, Any] = {"type": "huggingface", "path": path, "name": to.text("dataset_config_name")}
    parts = {
        "train": _parts(to.text("train_split_name", train), to.number("max_train_samples")),
        "validation": _parts(to.text("eval_split_name", evaluation), None),
    }
    table["splits"] = {split: found for split, found in parts.items() if found}
    if shared := set(parts["train"]) & set(parts["validation"]):
        to.note("to do", "--eval_split_name", f"{', '.join(shared)} is in the training split too: scores say nothing")
    if "test" in (parts["validation"] or [""])[0]:
        text = (
            "the checkpoint is chosen by it: better a split of its own, and vox evaluate on the test split afterwards"
        )
        to.note("to do", "--eval_split_name", text)
    table["audio_column"] = to.text("audio_column_name", columns[0])
    table[f"{column}_column"] = to.text(f"{column}_column_name", to.text(f"{column}_column", columns[1]))
    to.tables["data"] = [{key: value for key, value in table.items() if value is not None}]
    scripted(to, to.tables["data"])
    if (most := to.number("max_eval_samples")) is not None:
        to.set("evaluate", max_utterances=most)
    to.drop(
        "preprocessing_num_workers", "overwrite_cache", "preprocessing_only",
        why="features are made while training; `vox train R --dry-run` reads and checks the data beforehand",
    )  # fmt: skip
    hub(to)


def scripted(to: Imported, tables: list[dict[str, Any]]) -> None:
    """Data sets that are Python scripts, which datasets 4 and later no longer run."""
    for table in tables:
        found = _SCRIPTED.fullmatch(str(table["path"]))
        if found is None:
            continue
        if found[1] in _CONVERTED:
            table["revision"] = "refs/convert/parquet"
            text = f"{table['path']} was a Python script, which datasets 4 no longer runs: its converted copy is read"
            to.note("mended", "--dataset_name", text)
        elif found[1].startswith("common_voice"):
            text = (
                f"{table['path']} is a Python script, which datasets 4 no longer runs: download the release, then "
                f'type = "common-voice", root = "FOLDER/{table.get("name", "tr")}"'
            )
            to.note("to do", "--dataset_name", text)
        elif found[1] == "timit_asr":
            text = f"{table['path']} is a Python script, which datasets 4 no longer runs, over files of your own: "
            to.note("to do", "--dataset_name", text + "write a manifest")


def durations(to: Imported, *, longest: float, shortest: float) -> None:
    """`[filter]` by duration; what is 0 is left to the model."""
    most, least = to.number("max_duration_in_seconds", longest), to.number("min_duration_in_seconds", shortest)
    to.set("filter", max_duration=float(most), min_duration=float(least) or None)


def hub(to: Imported) -> None:
    """Access to the hub: by the hub's own client."""
    to.drop("token", "use_auth_token", why="the hub's client reads HF_TOKEN, or `hf auth login`")
    to.drop("cache_dir", why="the hub's client reads HF_HOME")
    to.drop("trust_remote_code", why="a recipe does not run code from the hub")
    if (revision := to.text("model_revision")) not in (None, "main"):
        text = f"hf download MODEL --revision {revision} --local-dir FOLDER, and FOLDER as model.checkpoint"
        to.note("to do", "--model_revision", text)


def checkpoint(to: Imported, default: str | None = None) -> str:
    """The model's name."""
    return to.text("model_name_or_path") or default or _needed(to, "model_name_or_path")


def name_of(to: Imported) -> str:
    """The run's name, by the output folder."""
    folder = to.text("output_dir")
    stem = Path(folder).name if folder else ""
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.") or to.command.script


def _needed(to: Imported, name: str) -> str:
    found = to.text(name)
    if found is None:
        raise UsageError(f"the command has no --{name}, which the script needs", help=f"add --{name} NAME")
    return found


def _parts(text: str | None, most: float | None) -> list[str]:
    """The parts of "train+validation" -> its parts; with `most`, the first utterances of the first part alone."""
    parts = [part.strip() for part in (text or "").split("+") if part.strip()]
    return [f"{parts[0]}[:{most}]"] if parts and most is not None and "[" not in parts[0] else parts
