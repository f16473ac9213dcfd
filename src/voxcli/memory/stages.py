"""A recipe with or without stages -> the prediction for the stage that needs most, and what each of them needs."""

from __future__ import annotations

from typing import Any

from voxcli.memory import predict as one
from voxcli.memory.cards import Device
from voxcli.memory.predict import Prediction
from voxcli.progress import NULL, Progress
from voxcli.recipe.resolve import Recipe


def predict(
    recipe: Recipe, device: Device, *, search: bool = True, progress: Progress = NULL, **given: Any
) -> tuple[Recipe, dict[str, int], Prediction]:
    """(recipe of the stage that needs most, bytes by stage, its prediction); no bytes by stage where there are none.

    `given` and what is raised: see `voxcli.memory.predict.predict`.
    """
    if not recipe.stages:
        return recipe, {}, one.predict(recipe, device, search=search, progress=progress, **given)
    made: dict[str, tuple[Recipe, Prediction]] = {}
    for number, stage in enumerate(recipe.stages, 1):
        progress.say(f"stage {number} of {len(recipe.stages)}: {stage.name}")
        found = one.predict(stage.recipe, device, search=False, progress=progress, **given)
        made[f"{number}-{stage.name}"] = stage.recipe, found
    part, worst = max(made.values(), key=lambda pair: pair[1].total)
    if search:
        worst = one.predict(part, device, search=True, progress=progress, **given)
    return part, {name: stage.total for name, (_, stage) in made.items()}, worst
