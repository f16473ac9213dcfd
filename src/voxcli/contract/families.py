"""A model family's class and example keys -> a family of a tiny model, and the bundle that it builds for a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from voxcli.contract import material
from voxcli.contract.bench import Bench, Component, example_of
from voxcli.contract.keys import make, with_keys
from voxcli.errors import VoxError
from voxcli.plugins.registry import Registration, load_target

if TYPE_CHECKING:
    from voxcli.api import Bundle, Utterance

CLIP = 0.9
"""s of an ordinary clip, where the model takes such a one."""


def give_tiny(component: Component) -> None:
    """Set the example key `checkpoint` to the tiny checkpoint that a family takes, where it has no example keys."""
    if not component.given:
        made, _ = tiny(component)
        if made is not None and getattr(made, "checkpoint", None) is not None:
            component.given = {"checkpoint": str(made.checkpoint)}


def tiny(component: Component) -> tuple[Any | None, str]:
    """A family of a tiny model, or None and why: the example keys, else the tiny checkpoints one after the other."""
    try:
        made, wrong = make(component, component.given)
    except VoxError as error:
        made, wrong = None, [error.message]
    if made is not None:
        return (made, "") if component.given or "checkpoint" not in _fields(component) else _first(component, made)
    if component.given or "checkpoint" not in _fields(component):
        return None, "; ".join(wrong)
    return _first(component, None)


def _first(component: Component, otherwise: Any | None) -> tuple[Any | None, str]:
    refused = []
    for name in _order(str(getattr(component.cls, "task", ""))):
        made = with_keys(component, checkpoint=str(material.model(name)))
        if made is None:
            continue
        try:
            made.limits()
        except VoxError as error:
            refused.append(f"the tiny {name}: {error.message}")
        except Exception as error:  # third-party code, on a checkpoint that it was not made for
            refused.append(f"the tiny {name}: {type(error).__name__}: {error}")
        else:
            return made, ""
    return otherwise, f"it takes none of the tiny checkpoints ({'; '.join(refused)})" if otherwise is None else ""


def _order(task: str) -> list[str]:
    """The checkpoint of the task's own first."""
    first = material.OF_TASK.get(task, task)
    return sorted(material.MODELS, key=lambda name: name != first)


def _fields(component: Component) -> Any:
    return getattr(component.cls, "__dataclass_fields__", {})


def of_task(bench: Bench, task: str) -> Iterator[Any]:
    """Families of tiny models that this task trains, those of the plugin first. A family that fails is passed over."""
    offers = [one for one in bench.registry if one.kind == "model"]
    own = bench.target.distribution
    for one in sorted(offers, key=lambda offer: offer.distribution != own):
        component = of(bench, one)
        if component is not None and getattr(component.cls, "task", None) == task:
            made, _ = tiny(component)
            if made is not None:
                yield made


def of(bench: Bench, registration: Registration) -> Component | None:
    """A registered component with its example keys; None where it cannot be imported."""
    try:
        cls: Any = load_target(registration)
    except VoxError:
        return None
    component = Component(registration, cls)
    component.given = bench.examples.get(component.label, example_of(cls))
    return component


def built(family: Any) -> Bundle:
    """The family's bundle, in training mode, on the CPU. Raises what the family raises."""
    import torch

    from voxcli.contract.randomness import Kept
    from voxcli.models.checkpoint import quietly

    with Kept(), quietly():
        torch.manual_seed(0)
        bundle: Bundle = family.build(material.corpus())
        bundle.model.train()
    return bundle


def duration_for(family: Any) -> float:
    """s of a clip that the model takes and that can hold a short text."""
    limits = family.limits()
    return float(min(max(CLIP, 1.5 * limits.min_duration), limits.max_duration))


def utterance_for(number: int, duration: float) -> Utterance:
    """An utterance whose text is short enough for its duration."""
    whole = material.TEXTS[number % len(material.TEXTS)]
    return material.utterance(number, duration, text=whole[: max(1, round(8 * duration))].strip())
