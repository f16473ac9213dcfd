"""From a recipe to a run that can take its first step: data, limits, model, folder, length.

Everything that can be wrong is found here, the cheap things first, before a step is paid for.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from voxcli.api import Bundle, Corpus, Limits, Split
from voxcli.data.batches import DurationBatches
from voxcli.data.corpus import Splits
from voxcli.data.table import Table
from voxcli.decoders.opening import check as check_decoding
from voxcli.errors import TrainingError
from voxcli.plugins import locking
from voxcli.progress import NULL, Progress
from voxcli.recipe.render import toml
from voxcli.recipe.resolve import Recipe
from voxcli.recipe.where import shown
from voxcli.tasks.metrics import METRICS
from voxcli.train import checkpoint, continuation, device, handover, processes, randomness, schedule, streaming
from voxcli.train.folder import RunFolder
from voxcli.train.handover import Handover
from voxcli.train.interrupt import Interruption
from voxcli.train.loading import build
from voxcli.train.lock import lock
from voxcli.train.reading import batching_of, splits_of, usable
from voxcli.train.run import Run
from voxcli.train.state import State

RUNS = Path("runs")


@dataclass(frozen=True)
class Ingredients:
    """What a run is made of, before it has a folder: all that `--dry-run` needs."""

    recipe: Recipe
    limits: Limits
    splits: Splits
    bundle: Bundle
    device: torch.device
    length: schedule.Length
    batching: DurationBatches
    world: int
    metrics: tuple[str, ...]
    higher_is_better: bool


def gather(
    recipe: Recipe,
    *,
    listed: Mapping[Split, Table] | None = None,
    corpus: Corpus | None = None,
    progress: Progress = NULL,
) -> Ingredients:
    """Read the data, build the model, count the steps. Writes nothing.

    `listed`: splits that have been read already, as in `load_splits`; `corpus`: what the model is built for, where that
    is more than the training split. Raises `VoxError` for what people can repair.
    """
    if check := getattr(recipe.backend, "check", None):
        check(recipe.train)
    where = device.choose(use_cpu=recipe.train.use_cpu)
    device.check_precision(where, recipe.train.mixed_precision)
    processes.join(where)
    streamed = streaming.check(recipe)
    limits = recipe.model.limits()
    progress.say("reading the data")
    splits = _first_rank_first(lambda: splits_of(recipe, limits, listed=listed, progress=progress))
    progress.say(f"loading the model ({limits.n_parameters / 1e6:.1f} M parameters)")
    randomness.seed_all(recipe.seed)
    bundle = build(
        recipe.model,
        corpus or (streaming.unread(splits.corpus) if streamed else splits.corpus),
        train=recipe.train,
        adapter=recipe.adapter,
        quantization=recipe.quantization,
        task=recipe.task,
        device=where,
        seed=recipe.seed,
    )
    check_decoding(recipe.task, bundle, recipe.decoding())
    splits = usable(splits, recipe, limits, bundle, progress=progress)
    batching = batching_of(recipe, limits, splits)
    world = processes.world()
    length = length_of(recipe, batching, splits, world)
    metrics = tuple(recipe.evaluate.metrics or recipe.task.metrics)
    known = METRICS.get(metrics[0]) if metrics else None
    return Ingredients(
        recipe,
        limits,
        splits,
        bundle,
        where,
        length,
        batching,
        world,
        metrics,
        known.higher_is_better if known else False,
    )


def length_of(recipe: Recipe, batching: DurationBatches, splits: Splits, world: int) -> schedule.Length:
    """The steps of a run with as many processes, and how it is evaluated."""
    batches = batching.epoch(0, world)
    return schedule.length(
        recipe.train,
        batches_per_epoch=len(batches),
        world=world,
        utterances=sum(map(len, batches)),
        validation=len(splits.validation),
        most=recipe.evaluate.max_utterances,
    )


def prepare(
    recipe: Recipe,
    *,
    folder: Path | None = None,
    resume: bool = False,
    listed: Mapping[Split, Table] | None = None,
    begin: Handover | None = None,
    progress: Progress = NULL,
) -> Run:
    """A run in its folder (runs/NAME unless `folder` is given), at its beginning or where its newest checkpoint stands.

    `begin`: what it begins with, where it is a stage. `resume` without a checkpoint begins: a job that a cluster starts
    again and again needs one command only.
    """
    files = RunFolder(folder or RUNS / recipe.name)
    rank = processes.rank()
    if rank == 0:
        files.check(resume=resume)
    newest = files.newest() if resume else None
    then: dict[str, Any] = {}
    if newest is not None and files.recipe_path.is_file():
        then = tomllib.loads(files.recipe_path.read_text(encoding="utf-8"))
        free = getattr(recipe.backend, "free_on_resume", ())
        continuation.check_recipe(then, recipe.tables, places=recipe.places, free=free)
    made = gather(recipe, listed=listed, corpus=begin.corpus if begin is not None else None, progress=progress)
    versions = lock(recipe, made.splits)
    lock_path = files.path / "lock.json"
    if newest is not None and lock_path.is_file():
        before = json.loads(lock_path.read_text(encoding="utf-8"))
        continuation.check_data(before.get("data", {}), versions["data"])
        continuation.check_plugins(
            before.get("plugins", {}), versions["plugins"], locked=locking.current() is not None, progress=progress
        )
    state = State(world=made.world)
    if newest is not None:
        state = checkpoint.read_state(newest)
        most = recipe.evaluate.max_utterances
        if then and then.get("evaluate", {}).get("max_utterances") != most:  # another one is asked for
            state.sample = made.length.sample
        elif state.sample is None:  # a run that began when all had this sample
            state.sample = most
        checkpoint.load_weights(made.bundle, newest)
        state.stopped_early = False  # decided anew, the patience may have been raised
        if state.world != made.world:
            progress.say(
                f"{state.world} processes began this run, now there are {made.world}: other batches from here on"
            )
            state.world = made.world
    elif begin is not None and begin.checkpoint is not None:
        handover.weights(made.bundle, begin.checkpoint, progress=progress)
        state = handover.state(begin.checkpoint, world=made.world)
        progress.say(f"beginning with the weights of {shown(begin.checkpoint)}")
    elif resume:
        progress.say(f"{shown(files.path)} has no checkpoint yet: beginning")
    if newest is None:
        state.sample = made.length.sample
    processes.wait()
    if rank == 0:
        files.make()
        files.rewind(state.step)
        write(files.recipe_path, toml(recipe.tables))
        write(lock_path, json.dumps(versions, indent=1, ensure_ascii=False) + "\n")
    run = Run(
        recipe=recipe,
        folder=files.path,
        files=files,
        bundle=made.bundle,
        task=recipe.task,
        limits=made.limits,
        splits=made.splits,
        device=made.device,
        length=made.length,
        batching=made.batching,
        metrics=made.metrics,
        higher_is_better=made.higher_is_better,
        progress=progress,
        rank=rank,
        world=made.world,
        state=state,
        resumed_from=newest,
        begun_from=begin.checkpoint if begin is not None and newest is None else None,
        interruption=Interruption(progress.say),
    )
    run.remember_culprits()
    if rank == 0:
        for split, name, problem in made.splits.problems:
            run.set_aside([(name, problem)], split=split, silent=True)
    for line in made.splits.report():
        progress.say(line)
    if newest is not None:
        progress.say(f"continuing {shown(files.path)} after step {state.step} of {run.total_steps}")
    return run


def fit(run: Run) -> None:
    """Train a prepared run with its recipe's backend, and tell the plugins how it ended.

    Raises `TrainingError`, or `KeyboardInterrupt` after the checkpoint of an interrupted run.
    """
    error: BaseException | None = None
    try:
        with run.interruption:
            run.recipe.backend.fit(run)
    except BaseException as caught:
        error = caught
        raise
    finally:
        run.end(error)


def _first_rank_first(work: Any) -> Any:
    """Let the first process fill caches that the others then read."""
    if processes.rank() != 0:
        processes.wait()
    done = work()
    if processes.rank() == 0:
        processes.wait()
    return done


def write(path: Path, text: str) -> None:
    """Put a text in a file's place in one move. Raises `TrainingError` where the disk does not take it."""
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written: {error.strerror or error}", help="give a --run-dir on a disk with room"
        ) from error
