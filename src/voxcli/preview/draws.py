"""A recipe and an id -> what training hears of that utterance in each epoch."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from voxcli.api import SPLITS, Limits, Utterance
from voxcli.audio.decode import read_utterance
from voxcli.data.corpus import list_split
from voxcli.data.others import OthersOf
from voxcli.data.preparation import steps, unusable
from voxcli.data.table import Table
from voxcli.data.windows import is_live, sample
from voxcli.errors import DataError, UsageError
from voxcli.preview.effects import Effect, effect
from voxcli.progress import NULL, Progress
from voxcli.recipe.recipe import Recipe
from voxcli.train.reading import splits_of

_CLOSE = 50_000  # ids that are compared with one that does not exist


@dataclass(frozen=True)
class Clip:
    """An utterance of the training split, as it is recorded."""

    utterance: Utterance
    audio: np.ndarray
    sampling_rate: int
    limits: Limits
    others: OthersOf


@dataclass(frozen=True)
class Draw:
    """The clip as one epoch hears it."""

    epoch: int
    audio: np.ndarray
    text: str | None
    effects: tuple[Effect, ...]
    problem: str | None
    """Why training would pass it over in this epoch, or None."""


def clip(recipe: Recipe, name: str | None, *, progress: Progress = NULL) -> Clip:
    """The utterance of an id, or, without one, the training utterance of median length; of streamed data, among the
    first that training reads.

    Raises `UsageError` where the recipe augments nothing or the id does not exist, `DataError` where it cannot be read.
    """
    if not recipe.augment:
        raise UsageError(
            f"{recipe.name} has no [[augment]]: training hears every clip as it is recorded",
            help='add [[augment]] with type = "speed" to it; `vox plugins list` shows all types',
        )
    limits = recipe.model.limits()
    if is_live(recipe.data):
        table = sample(recipe.data, recipe.text)
    else:
        table = splits_of(recipe, limits, splits=("train",), progress=progress).train
    utterance = table.utterance(_row(recipe, table, name, progress))
    audio = read_utterance(utterance, limits.sampling_rate)
    if not len(audio):
        raise DataError(f"the audio of '{utterance.id}' is empty", help="take it out: [filter] exclude")
    return Clip(utterance, audio, limits.sampling_rate, limits, OthersOf(table, limits.sampling_rate))


def draws(recipe: Recipe, clip: Clip, epochs: range, *, always: bool = False) -> Iterator[Draw]:
    """What each epoch hears. `always`: every augmentation is applied, whatever its `p`."""
    names = [str(table["type"]) for table in recipe.tables["augment"]]
    for epoch in epochs:
        audio, utterance = clip.audio, clip.utterance
        effects = []
        made = steps(
            utterance,
            audio,
            recipe.augment,
            sampling_rate=clip.sampling_rate,
            seed=recipe.seed,
            epoch=epoch,
            others=clip.others,
            always=always,
        )
        for name, step in zip(names, made, strict=True):
            audio, utterance = step.after, step.utterance
            p = step.augmentation.p
            effects.append(effect(name, p, step.applied, step.before, step.after, clip.sampling_rate))
        yield Draw(epoch, audio, utterance.text, tuple(effects), _problem(recipe, clip, utterance, audio))


def _problem(recipe: Recipe, clip: Clip, utterance: Utterance, audio: np.ndarray) -> str | None:
    if not len(audio):
        return "augmentation left no audio"
    if why := unusable(audio):
        return why
    heard = utterance.replace(duration=len(audio) / clip.sampling_rate)
    found: str | None = recipe.task.problem(heard, clip.limits, None)
    return found


def _row(recipe: Recipe, table: Table, name: str | None, progress: Progress) -> int:
    if name is None:
        return int(np.argsort(table.durations, kind="stable")[len(table) // 2])
    ids = list(table.ids)
    if name in ids:
        return ids.index(name)
    short = [row for row, one in enumerate(ids) if one is not None and PurePath(one).stem == name]
    if len(short) == 1:  # a file's own name, without folder and ending
        return short[0]
    for split in () if is_live(recipe.data) else SPLITS:
        listed = list(list_split(recipe.data, split, recipe.text, progress=progress).ids)
        if name in listed:
            where = "left out by [filter], [holdout] or the model's limits" if split == "train" else f"of {split}"
            raise UsageError(f"'{name}' is {where}: nothing augments it", help=f"for example --utterance {ids[0]}")
    close = difflib.get_close_matches(name, [one for one in ids[:_CLOSE] if one is not None], n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(repr(one) for one in close)}?" if close else f"for example {ids[0]!r}"
    raise UsageError(f"no utterance is called '{name}'", help=meant)
