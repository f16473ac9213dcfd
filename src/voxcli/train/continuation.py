"""Whether `--resume` continues the run it finds: what may differ between the recipe then and now, and what may not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from voxcli.errors import TrainingError
from voxcli.plugins.locking import of_entries
from voxcli.progress import NULL, Progress
from voxcli.recipe.where import Key, Place, dotted

# Keys that decide how far, how often and how a run is measured, not what it computes at a step. The data may have
# moved: whether they are the same is decided by their content.
FREE = {
    "name",
    "data",
    "evaluate",
    "train.max_steps",
    "train.num_train_epochs",
    "train.eval_steps",
    "train.save_steps",
    "train.save_total_limit",
    "train.logging_steps",
    "train.early_stopping_patience",
    "train.max_culprits",
    "train.average_checkpoints",
    "train.average_by",
    "train.dataloader_num_workers",
    "train.use_cpu",
}


def check_recipe(
    before: dict[str, Any],
    now: dict[str, Any],
    *,
    places: Mapping[Key, Place] | None = None,
    free: Collection[str] = (),
) -> None:
    """Raise `TrainingError` that names every key in which a resumed run would not be the run that began.

    `places`: of the keys that somebody has set. A default that the run did not know yet is no change: it was begun by a
    version that lacked the key. `free`: keys of `[backend]` that may change too, its `free_on_resume`.
    """
    may = FREE | {f"backend.{key}" for key in free}
    said = {dotted(key) for key in places or ()}
    changes = [
        f"{key}: {old!r} -> {new!r}"
        for key, old, new in _differences(before, now)
        if key not in may and key.partition(".")[0] not in FREE and (old is not None or not said or key in said)
    ]
    if changes:
        raise TrainingError(
            f"the recipe is not the one this run began with: {'; '.join(changes)}",
            help="--resume continues the same run: undo the change, or begin another run with another `name`",
        )


def check_data(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `TrainingError` where the training split is not the one the run began with."""
    old, new = before.get("train"), now.get("train")
    if old and new and old["hash"] != new["hash"]:
        raise TrainingError(
            f"the training data is not what this run began with: {old['utterances']} utterances and "
            f"{old['duration']} s then, {new['utterances']} and {new['duration']} s now",
            help="--resume continues the same run: restore the data, or begin another run with another `name`",
        )


def check_plugins(before: dict[str, Any], now: dict[str, Any], *, locked: bool, progress: Progress = NULL) -> None:
    """Say which plugins are not those the run began with. Raises `TrainingError` for them with --locked."""
    changes = list(_changes(before, now))
    if not changes:
        return
    message = f"the plugins are not those this run began with: {'; '.join(changes)}"
    if locked:
        raise TrainingError(
            message, help="install the versions of then, or leave --locked out to go on with what is installed"
        )
    progress.say(f"warning: {message}")


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    then = {one.name: one for one in of_entries(before)}
    here = {one.name: one for one in of_entries(now)}
    for name in sorted({*then, *here}):
        old, new = then.get(name), here.get(name)
        if old is None and new is not None:
            yield f"{name} {new.version}".rstrip() + " is new"
        elif new is None and old is not None:
            yield f"{name} {old.version}".rstrip() + " is gone"
        elif old is not None and new is not None and old.version != new.version:
            yield f"{name} {old.version} -> {new.version}"
        elif old is not None and new is not None and not (new.hash or "").startswith(old.hash or ""):
            yield f"{name} {new.version}".rstrip() + " has other files"


def _differences(before: Any, now: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from _differences(before.get(key), now.get(key), f"{at}.{key}" if at else key)
    elif before != now:
        yield at, before, now
