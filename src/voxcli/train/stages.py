"""A recipe -> its runs, one after the other: one, or one for each `[[stage]]`.

Each stage is an ordinary run in a folder of its own, runs/NAME/stages/1-head/, so that whatever holds for a run (exact
resume, its log, its checks) holds for a stage. Beside them stand the whole recipe and `best`, which is that of the
newest stage. A stage that has come to its end and through its gate is marked by `passed.json`.
"""

from __future__ import annotations

import gc
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from voxcli.api import Corpus, Split
from voxcli.data.table import Table
from voxcli.errors import TrainingError, UsageError
from voxcli.progress import NULL, Progress
from voxcli.recipe.recipe import Recipe, Stage
from voxcli.recipe.render import toml
from voxcli.recipe.where import shown
from voxcli.train import averaging, continuation, processes
from voxcli.train.folder import AVERAGED, PASSED, RECIPE, STAGES, RunFolder, stage_folders
from voxcli.train.handover import Handover
from voxcli.train.prepare import RUNS, Ingredients, gather, prepare, write
from voxcli.train.reading import splits_of
from voxcli.train.run import Run


def train(
    recipe: Recipe,
    each: Callable[[Run], None],
    *,
    folder: Path | None = None,
    resume: bool = False,
    listed: Mapping[Split, Table] | None = None,
    progress: Progress = NULL,
) -> Path:
    """Prepare a recipe's runs, one after the other, and let `each` train them; the run's folder.

    `each` is called with every run that has not passed yet, finished ones as well, and has to return with a finished
    one. Raises `TrainingError` for a gate that is not passed, and what `prepare` and `each` raise.
    """
    root = folder or RUNS / recipe.name
    _check(recipe, root, resume=resume)
    if not recipe.stages:
        each(prepare(recipe, folder=root, resume=resume, listed=listed, progress=progress))
        return root
    corpus = _corpus(recipe, listed)
    before: Path | None = None
    for number, stage in enumerate(recipe.stages, 1):
        files = RunFolder(root / STAGES / f"{number}-{stage.name}")
        mark = files.path / PASSED
        done = resume and mark.is_file()
        if done:
            _unchanged(files, stage)
            before = files.path / json.loads(mark.read_text(encoding="utf-8"))["checkpoint"]
            continue
        progress.say(f"stage {number} of {len(recipe.stages)}: {stage.name}")
        if processes.rank() == 0:
            files.path.mkdir(parents=True, exist_ok=True)
            write(root / RECIPE, toml(recipe.tables))
        same_data = stage.recipe.tables["data"] == recipe.stages[0].recipe.tables["data"]
        each(
            prepare(
                stage.recipe,
                folder=files.path,
                resume=resume,
                listed=listed if same_data else None,
                begin=Handover(before, corpus),
                progress=progress,
            )
        )
        before = _passed(stage, files, number)
        gc.collect()  # the model of this stage goes before that of the next one comes
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return root


def ingredients(
    recipe: Recipe, *, listed: Mapping[Split, Table] | None = None, progress: Progress = NULL
) -> Iterator[tuple[str, Ingredients]]:
    """What each stage's run is made of, with its name, one after the other; of a recipe without stages its own."""
    if not recipe.stages:
        yield recipe.name, gather(recipe, listed=listed, progress=progress)
        return
    corpus, first = _corpus(recipe, listed), recipe.stages[0].recipe
    for stage in recipe.stages:
        known = listed if stage.recipe.tables["data"] == first.tables["data"] else None
        yield stage.name, gather(stage.recipe, listed=known, corpus=corpus, progress=progress)


def check_folder(recipe: Recipe, root: Path, *, resume: bool) -> None:
    """Raise `UsageError` where a recipe's run cannot begin or go on in a folder: it is taken."""
    _check(recipe, root, resume=resume)
    if not recipe.stages:
        RunFolder(root).check(resume=resume)


def _check(recipe: Recipe, root: Path, *, resume: bool) -> None:
    """Raise `UsageError` where the folder holds a run of the other sort, or one in stages that has begun."""
    if not recipe.stages:
        if stage_folders(root):
            raise UsageError(f"{root} holds a run in stages, and this recipe has none", help=_OTHER)
        if root.parent.name == STAGES and (root.parent.parent / RECIPE).is_file():
            raise UsageError(f"{root} is a stage of a run", help=f"vox train {root.parent.parent} --resume")
        return
    files = RunFolder(root)
    if files.checkpoints():
        raise UsageError(f"{root} holds a run without stages, and this recipe has some", help=_OTHER)
    files.check(resume=True)  # no run of its own, and no strangers
    begun = [path for path in stage_folders(root) if RunFolder(path).checkpoints()]
    if begun and not resume:
        raise UsageError(
            f"{root} already holds a run in stages, the newest of them {begun[-1].name}",
            help="--resume continues it; --run-dir FOLDER or name=… begins another",
        )


def _unchanged(files: RunFolder, stage: Stage) -> None:
    """Raise `TrainingError` where a stage that is over would be another one today."""
    if files.recipe_path.is_file():
        then = tomllib.loads(files.recipe_path.read_text(encoding="utf-8"))
        free = getattr(stage.recipe.backend, "free_on_resume", ())
        continuation.check_recipe(then, stage.recipe.tables, places=stage.recipe.places, free=free)


def _corpus(recipe: Recipe, listed: Mapping[Split, Table] | None) -> Corpus | None:
    """Characters and labels of all stages: the model of the first has to fit the last."""
    first = recipe.stages[0].recipe
    different = [part for part in recipe.parts if _reads(part) != _reads(first)]
    if not different:
        return None
    found = []
    for part in (first, *different):
        known = listed if part.tables["data"] == first.tables["data"] else None
        found.append(splits_of(part, part.model.limits(), splits=("train",), listed=known).corpus)
    return replace(
        found[0],
        characters="".join(sorted({character for one in found for character in one.characters})),
        labels=tuple(sorted({label for one in found for label in one.labels})),
    )


def _reads(recipe: Recipe) -> tuple[Any, ...]:
    return tuple(recipe.tables.get(name) for name in ("data", "filter"))


def _passed(stage: Stage, files: RunFolder, number: int) -> Path:
    """The checkpoint that a finished stage hands over; marks the stage. Raises `TrainingError` at its gate."""
    processes.wait()
    chosen = files.best.resolve() if stage.hand_over == "best" and files.best.exists() else files.newest()
    if chosen is None:
        raise TrainingError(f"{files.path} has no checkpoint", help="continue with --resume")
    found: dict[str, Any] = {"stage": stage.name, "checkpoint": _called(files, chosen), "hand_over": stage.hand_over}
    gate = stage.gate
    if gate is not None:
        value = _value(gate.metric, files, chosen)
        found |= {"metric": gate.metric, "value": value, "aim": gate.aim}
        if not gate.passed(value):
            key, steps = f"stage.{number - 1}", stage.recipe.train.max_steps
            longer = f"{key}.train.max_steps={2 * steps}" if steps else f"a larger {key}.train.num_train_epochs"
            at = f"{key}.gate.{'at_most' if gate.at_most is not None else 'at_least'}"
            raise TrainingError(
                f"stage {number} '{stage.name}' does not pass its gate: {gate.metric} is {value:.4g} at {chosen.name}, "
                f"and {gate.aim} is asked for",
                help=f"train the stage longer, {longer} with --resume; or ask for less, {at}; "
                f"`vox doctor {shown(files.path)}` says how it went",
            )
    if processes.rank() == 0:
        write(files.path / PASSED, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    processes.wait()
    return chosen


def _called(files: RunFolder, chosen: Path) -> str:
    """A checkpoint within the folder of its run."""
    return chosen.resolve().relative_to(files.path.resolve()).as_posix()


def _value(metric: str, files: RunFolder, chosen: Path) -> float:
    """A metric of the evaluation of a checkpoint. Raises `TrainingError` where there was none."""
    average = averaging.entry_of(files)
    scores: dict[str, Any] = {}
    if chosen.name == AVERAGED and average is not None:
        scores = average["validation_of_average"]
    for entry in files.log():
        if chosen.name == f"step-{entry.get('step', 0):06d}" and "validation" in entry:
            scores = entry["validation"]
    if not isinstance(scores.get(metric), int | float):
        raise TrainingError(
            f"the gate asks for {metric} at {chosen.name}, which has no evaluation",
            help="a gate needs a validation split: give the data one, or cut one with [holdout] validation = 0.1",
        )
    return float(scores[metric])


_OTHER = "give another --run-dir, or another `name`"
