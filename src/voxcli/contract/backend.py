"""A backend that trains a tiny recipe for two steps: what it says it honours, its log, and a checkpoint that opens."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxcli.contract import training
from voxcli.contract.bench import Bench, Component
from voxcli.contract.rules import Rule, rule
from voxcli.plugins import manager


def _rule(name: str, expected: str, repair: str) -> Rule:
    return rule("backend", name, expected, repair)


SUPPORTS = _rule(
    "supports",
    "`supports: ClassVar[frozenset[str]]`: names of keys of [train]; a recipe that sets another one is refused",
    "docs/recipe.md has the keys; `max_steps` or `num_train_epochs` is among them",
)
STEPS = _rule(
    "steps", "so many steps as the recipe says, each told to the run", "call run.after_step(...) once after each step"
)
LOSS = _rule("loss", "a finite loss of each logged step", "pass what `run` gives to `run.after_step`")
CHECKPOINT = _rule(
    "checkpoint",
    "a checkpoint of the last step that `vox evaluate` opens",
    "let `run.after_step` save; train to run.finished",
)
CHANGED = _rule(
    "weights-unchanged", "weights that training has changed", "step the optimizer with the gradients of the loss"
)


def try_backend(bench: Bench, component: Component) -> None:
    """All of it, where the component could be made."""
    from voxcli.recipe.schema import Train

    supports: Any = getattr(component.cls, "supports", None)
    known = set(Train.__dataclass_fields__)
    if not isinstance(supports, frozenset) or not supports:
        bench.remark(component, SUPPORTS, f"supports is {supports!r:.120}")
        return
    if strange := sorted(supports - known):
        bench.remark(component, SUPPORTS, f"[train] has no {', '.join(strange)}")
        return
    if not supports & {"max_steps", "num_train_epochs"}:
        bench.remark(component, SUPPORTS, "it honours neither max_steps nor num_train_epochs, so no run has a length")
        return
    if component.made is None:
        return
    with bench.trial(component, "two steps of a tiny model"):
        place = bench.folder / component.registration.name
        place.mkdir()
        table = {"type": _name(bench, component), **component.given}
        source = training.recipe(place / "recipe.toml", backend=table, supports=supports)
        with _known(bench):
            run = training.trained(source, place / "run", bench.registry)
        _run(bench, component, run, honoured="max_steps" in supports)


@contextlib.contextmanager
def _known(bench: Bench) -> Iterator[None]:
    """A plugin file is one of this process's, as with `--plugin`: a run says in its lock what it was made with."""
    file = bench.target.file
    before = manager.files()
    if file is None or file in {one.absolute() for one in before}:
        yield
        return
    modules = dict(sys.modules)
    manager.use_files([file])
    try:
        yield
    finally:
        # the file was run anew: what pickles by name has to be what was tried before
        sys.modules.update({name: one for name, one in modules.items() if sys.modules.get(name) is not one})


def _name(bench: Bench, component: Component) -> str:
    """As a recipe has to call it."""
    name = component.registration.name
    offers = [one for one in bench.registry if (one.kind, one.name) == ("backend", name)]
    return name if len(offers) == 1 else f"{component.registration.distribution}/{name}"


def _run(bench: Bench, component: Component, run: Path, *, honoured: bool) -> None:
    import math

    from voxcli.models.open import open_model

    log = run / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.is_file() else []
    losses = [one["loss"] for one in lines if "loss" in one]
    steps = [one["step"] for one in lines if "loss" in one]
    if honoured and (not steps or steps[-1] != training.STEPS):
        bench.remark(component, STEPS, f"max_steps = {training.STEPS}, the log has the steps {steps}")
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in losses):
        bench.remark(component, LOSS, f"the log has the losses {losses}")
    newest = sorted((run / "checkpoints").glob("step-*")) if (run / "checkpoints").is_dir() else []
    if not newest:
        bench.remark(component, CHECKPOINT, "the run has no checkpoint")
        return
    opened = open_model(newest[-1], device="cpu")
    if not _moved(opened.bundle.model):
        bench.remark(component, CHANGED, "the checkpoint holds the weights that training began with")


def _moved(model: Any) -> bool:
    import torch

    from voxcli.contract import material
    from voxcli.models.open import open_model

    before = open_model(material.model("ctc"), device="cpu").bundle.model.state_dict()
    after = model.state_dict()
    return any(name not in before or not torch.equal(value, before[name]) for name, value in after.items())
