"""The checkpoint of one stage -> the beginning of the next: weights, and the optimizer's state of the same parameters.

What is handed over is the model as it was evaluated: with `ema_decay` the average. A parameter that only one of the two
stages has (the vector of masked frames is there only where frames are masked) begins anew, or is left behind; both are
said by name. Rates, schedule and counts of steps begin anew; the order of the data goes on where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from voxcli.api import Bundle, Corpus
from voxcli.errors import TrainingError
from voxcli.models.checkpoint import quietly
from voxcli.progress import NULL, Progress
from voxcli.train import checkpoint as checkpoints
from voxcli.train.folder import TRAINING_STATE
from voxcli.train.state import State

if TYPE_CHECKING:
    from voxcli.train.run import Moving

_NAMED = 5  # parameters in a message


@dataclass(frozen=True)
class Handover:
    """What a stage begins with."""

    checkpoint: Path | None
    """Of the stage before; None for the first."""
    corpus: Corpus | None = None
    """Characters and labels of all stages; None where every stage has the same data."""


def weights(bundle: Bundle, source: Path, *, progress: Progress = NULL) -> None:
    """Put the weights of a checkpoint into the model of the next stage, in place. Raises `TrainingError` where they
    have other shapes."""
    if (source / "adapter_config.json").is_file():
        checkpoints.load_weights(bundle, source)
        return
    model: Any = bundle.model
    with quietly():
        theirs = type(model).from_pretrained(source, dtype=torch.float32).state_dict()
    ours = model.state_dict()
    wrong = [name for name in theirs if name in ours and theirs[name].shape != ours[name].shape]
    if wrong:
        name = wrong[0]
        raise TrainingError(
            f"the weights of {source} do not fit this stage: {name} is {tuple(theirs[name].shape)} there and "
            f"{tuple(ours[name].shape)} here",
            help="a stage goes on with the model of the stage before: its [model] may change how it is trained, "
            "not its sizes",
        )
    _say("begins anew", [name for name in ours if name not in theirs], progress)
    _say("is left behind", [name for name in theirs if name not in ours], progress)
    model.load_state_dict(theirs, strict=False)


def state(source: Path, *, world: int) -> State:
    """Where the next stage stands: at its first step, at the pass over the data after those of the stage before."""
    if not (source / TRAINING_STATE / "state.json").is_file():
        return State(world=world)
    before = checkpoints.read_state(source)
    return State(world=world, epoch=before.epoch + (before.position > 0), culprits=dict(before.culprits))


def names(model: torch.nn.Module, optimizer: Any) -> list[str]:
    """The parameters of an optimizer in the order in which its state counts them."""
    known = {id(parameter): name for name, parameter in model.named_parameters()}
    return [known.get(id(one), "") for group in optimizer.param_groups for one in group["params"]]


def describe(model: torch.nn.Module, moving: Moving) -> dict[str, Any]:
    """What `moments` has to know of an optimizer beside its state, for a checkpoint."""
    return {"names": names(model, moving.optimizer), "type": _kind(moving.optimizer)}


def moments(model: torch.nn.Module, moving: Moving, source: Path) -> int:
    """Give the optimizer the state that it had of the same parameters in the stage before; of how many it had one.

    Nothing where the optimizer is another one.
    """
    if not (source / TRAINING_STATE / "training.json").is_file():
        return 0  # a copy of the best checkpoint, on a disk without links
    tree = checkpoints.read_training(source)
    before = tree.get("handover", {})
    if before.get("type") != _kind(moving.optimizer) or "optimizer" not in tree:
        return 0
    theirs = {before["names"][index]: inner for index, inner in tree["optimizer"]["state"].items()}
    ours = moving.optimizer.state_dict()
    for index, name in enumerate(names(model, moving.optimizer)):
        if name and name in theirs:
            ours["state"][index] = theirs[name]
    moving.optimizer.load_state_dict(ours)
    if moving.scaler is not None and tree.get("scaler"):
        moving.scaler.load_state_dict(tree["scaler"])
    return len(ours["state"])


def _kind(optimizer: Any) -> str:
    bare = getattr(optimizer, "optimizer", optimizer)  # accelerate wraps it
    return f"{type(bare).__module__}.{type(bare).__name__}"


def _say(what: str, found: list[str], progress: Progress) -> None:
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        progress.say(f"{what} in this stage: {', '.join(found[:_NAMED])}{more}")
