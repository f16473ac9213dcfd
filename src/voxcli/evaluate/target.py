"""What `--data` names -> the utterances of a split; and where the scores of a model go.

`--data` is a recipe, a manifest, or a folder: a run, a Common Voice release, a folder with a manifest, a saved Hugging
Face data set, or audio with its transcripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxcli.api import SPLITS, Dataset, Split
from voxcli.data import windows
from voxcli.data.corpus import clock, load_splits
from voxcli.data.table import Table
from voxcli.errors import DataError, UsageError
from voxcli.progress import NULL, Progress
from voxcli.recipe.resolve import resolve
from voxcli.recipe.schema import Filter, Holdout, TextRules
from voxcli.recipe.shipped import find

MANIFESTS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
RECIPE = "recipe.toml"


@dataclass(frozen=True)
class Target:
    """The data sets that were meant, and what the recipe says about them."""

    name: str
    """Short, for folders and headings."""
    datasets: tuple[Dataset, ...]
    filter: Filter = field(default_factory=lambda: Filter(min_characters=0))  # an empty reference is worth scoring
    holdout: Holdout = field(default_factory=Holdout)
    text: TextRules = field(default_factory=TextRules)
    """The recipe's; a model that is evaluated brings its own."""


def run_of(folder: Path | None) -> Path | None:
    """The run's folder that a run, or a checkpoint of it, belongs to."""
    if folder is None:
        return None
    for parent in (folder.absolute(), *folder.absolute().parents[:2]):
        if (parent / RECIPE).is_file() and any((parent / name).is_dir() for name in ("checkpoints", "stages")):
            return parent
    return None


def target(data: str | None, run: Path | None, *, model: str | None = None, option: str = "--data ") -> Target:
    """What to evaluate on; without `--data` the recipe of the model's own run. `option` stands before it in messages.

    Raises `UsageError` where nothing is named or what is named does not exist, `RecipeError` for a broken recipe.
    """
    if data is None:
        if run is None:
            known = model is None or Path(model).expanduser().exists()
            what = "this model is not part of a run" if known else f"there is no run '{model}'"
            raise UsageError(
                f"{what}, so its data are not known",
                help="name them: --data RECIPE, MANIFEST or FOLDER",
            )
        return _of_recipe(run / RECIPE, run.name)
    path = Path(data).expanduser()
    if path.is_dir():
        return _of_recipe(path / RECIPE, path.name) if (path / RECIPE).is_file() else _of_folder(path)
    if path.is_file():
        if path.suffix == ".toml":
            return _of_recipe(path, path.stem)
        if path.suffix.lower() in MANIFESTS:
            return Target(_called(path), (_dataset("manifest", path=str(path)),))
        raise UsageError(
            f"{option}{data}: a {path.suffix or 'file without a suffix'} is no recipe and no manifest",
            help=f"expected .toml, {', '.join(MANIFESTS)}, or a folder",
        )
    if find(data, prefer="recipe") is not None:
        return _of_recipe(data, data)
    raise UsageError(f"{option}{data}: there is no such file, folder or shipped recipe", help="check the path")


def split_of(
    target: Target, split: Split, *, text: TextRules, labels: bool = False, progress: Progress = NULL
) -> tuple[Table, list[str]]:
    """The utterances of a split, with references by the checkpoint's `[text]` rules, and what was left out.

    `labels`: they are compared by their labels, not by their texts. Long and short clips stay in whatever the model's
    limits: only the recipe's `[filter]` leaves any out. Raises `DataError` where the split is empty; its help says
    which splits there are.
    """
    table, notes = _load(target, split, text, labels, progress)
    if len(table):
        return table, notes
    others = {name: _load(target, name, text, labels, progress)[0] for name in SPLITS if name != split}
    found = [f"{name} ({len(other)} utterances, {clock(other.duration)})" for name, other in others.items() if other]
    first = next((name for name, other in others.items() if other), None)
    raise DataError(
        "; ".join([f"there is nothing to evaluate in the {split} split of {target.name}", *notes]),
        help=f"it has {', '.join(found)}: choose one with --split {first}" if found else "no split has any utterance",
    )


def place(model: str, folder: Path | None, target: Target, split: Split) -> Path:
    """The folder for scores: inside the model's run, or `evaluation/MODEL` in the working directory."""
    run = run_of(folder)
    if run is None or folder is None:
        name = Path(model).name if Path(model).exists() else model.replace("/", "--")
        return Path("evaluation") / name / f"{target.name}-{split}"
    step = folder.resolve().name
    if run.parent.name == "stages":  # the scores of a run in stages stand together
        step, run = f"{run.name}-{step}", run.parent.parent
    own = target.name == run.name
    run = run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
    return run / "evaluation" / (f"{split}-{step}" if own else f"{target.name}-{split}-{step}")


def _of_recipe(source: str | Path, name: str) -> Target:
    recipe = resolve(source, missing="warning")
    return Target(name, recipe.data, recipe.filter, recipe.holdout, recipe.text)


def _of_folder(path: Path) -> Target:
    name = path.resolve().name
    if (path / "clips").is_dir() and any(path.glob("*.tsv")):
        return Target(name, (_dataset("common-voice", root=path),))
    for stem in ("manifest", "metadata"):
        for suffix in MANIFESTS:
            if (path / f"{stem}{suffix}").is_file():
                return Target(name, (_dataset("manifest", path=str(path / f"{stem}{suffix}")),))
    if any((path / file).is_file() for file in ("dataset_info.json", "state.json", "dataset_dict.json")):
        return Target(name, (_dataset("huggingface", path=str(path)),))
    return Target(name, (_dataset("audio-folder", root=path),))


def _dataset(name: str, **keys: Any) -> Dataset:
    from voxcli.plugins.manager import manager

    made: Dataset = manager().registry.load("dataset", name)(**keys)
    return made


def _called(manifest: Path) -> str:
    """A manifest's own name, or that of its folder where it is only called "manifest"."""
    return manifest.resolve().parent.name if manifest.stem in ("manifest", "metadata") else manifest.stem


def _load(target: Target, split: Split, text: TextRules, labels: bool, progress: Progress) -> tuple[Table, list[str]]:
    splits = load_splits(
        target.datasets,
        target.filter,
        text,
        target.holdout,
        limits=None,
        splits=(split,),
        transcripts=not labels,
        labels=labels,
        progress=progress,
    )
    first = windows.only_first(target.datasets, split)
    notes: Sequence[object] = [*first, *splits.drops, *(f"{one.level}: {one.message}" for one in splits.findings)]
    return splits.split(split), [str(note) for note in notes]
