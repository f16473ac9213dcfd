"""A model family on a tiny checkpoint: limits without weights, a bundle that computes, and limits that hold."""

from __future__ import annotations

import inspect
import math
import time
from pathlib import Path
from typing import Any

from voxcli.api import Bundle, Decoding, Limits
from voxcli.contract import material
from voxcli.contract.bench import Bench, Component, said
from voxcli.contract.families import built, duration_for, utterance_for
from voxcli.contract.keys import with_keys
from voxcli.contract.randomness import Kept
from voxcli.contract.rules import Rule, rule
from voxcli.errors import ModelError, PluginError, VoxError

LONG = 5.0  # s that `limits` may take; the first call imports transformers
LARGEST = 60.0  # s; longer clips are not computed here
COUNTED = 0.1  # share by which the number of parameters may be off: the data decide the size of the output layer


def _rule(name: str, expected: str, repair: str, **more: Any) -> Rule:
    return rule("model", name, expected, repair, **more)


TASK = _rule(
    "task",
    "`task: ClassVar[str]`: the name of a task that is registered",
    "write it; a new task is registered beside it",
)
LIMITS = _rule(
    "limits",
    "`voxcli.api.Limits`: whole sampling_rate, stride and n_parameters above 0, 0 <= min_duration <= max_duration in s",
    "correct `limits`",
)
WEIGHTS = _rule(
    "limits-read-weights",
    "`limits` reads config.json alone: `vox plan` and `vox doctor` ask for it before anything is downloaded",
    "count on the meta device: with torch.device('meta'): AutoModel.from_config(config)",
)
SLOW = _rule("limits-slow", f"`limits` in less than {LONG:g} s", "read the config alone; keep the answer", level="note")
MISSING = _rule(
    "missing-checkpoint",
    "ModelError from `limits` and `build` for a checkpoint that is not there",
    "raise ModelError(…)",
)
BUNDLE = _rule(
    "bundle",
    "`build(corpus, **loading)` returns a `voxcli.api.Bundle`: a torch module, a processor, the family",
    "def build(self, corpus, **loading): … return Bundle(model, processor, self)",
)
PARAMETERS = _rule(
    "parameters-miscounted",
    "`limits().n_parameters` near what `build` makes",
    "count from the same config",
    level="note",
)
SHORTEST = _rule(
    "min-duration", "a clip of `min_duration` is computed: the shortest that the network takes", "name a longer one"
)
LONGEST = _rule("max-duration", "a clip of `max_duration` is computed", "name a shorter one")
STRIDE = _rule("stride", "`frames(n)` grows by one for `stride` samples more", "correct `stride` or `frames`")


def try_model(bench: Bench, component: Component) -> None:
    """All of it, with the example keys or with the tiny checkpoint that the family takes."""
    name = getattr(component.cls, "task", None)
    if not isinstance(name, str) or not _is_task(bench, name):
        tasks = bench.registry.names("task")
        bench.remark(component, TASK, f"task is {name!r}; registered are {', '.join(tasks)}")
        return
    family = component.made
    if family is None:
        return
    with bench.trial(component, "limits"):
        limits = _limits(bench, component)
    if limits is None:
        return
    with bench.trial(component, "build"):
        bundle = _bundle(bench, component)
    with bench.trial(component, "a checkpoint that is not there"):
        _missing(bench, component)
    if bundle is None:
        return
    _counted(bench, component, bundle, limits)
    with bench.trial(component, "clips of the least and of the greatest length"), Kept():
        _bounds(bench, component, bench.registry.load("task", name)(), bundle, limits)
    if hasattr(family, "frames"):
        with bench.trial(component, "frames"):
            _frames(bench, component, limits)


def _is_task(bench: Bench, name: str) -> bool:
    """Whether voxcli, the plugin or another one that is installed has a task of the name."""
    try:
        bench.registry.find("task", name)
    except PluginError:
        return False
    return True


def _limits(bench: Bench, component: Component) -> Limits | None:
    family = component.made
    begin = time.perf_counter()
    limits: Any = family.limits()
    seconds = time.perf_counter() - begin
    if not isinstance(limits, Limits) or not _sensible(limits):
        bench.remark(component, LIMITS, f"they are {limits!r:.200}")
        return None
    if seconds > LONG:
        bench.remark(component, SLOW, f"it takes {seconds:.1f} s")
    checkpoint = getattr(family, "checkpoint", None)
    if checkpoint is not None and Path(checkpoint).is_dir():
        copy = with_keys(component, checkpoint=str(material.without_weights(Path(checkpoint))))
        try:
            if copy is not None and copy.limits() != limits:
                bench.remark(component, WEIGHTS, f"without the weights they are {copy.limits()}, with them {limits}")
        except Exception as error:  # third-party code: what it raises is what is asked for
            bench.remark(component, WEIGHTS, f"of a folder without the weights it raises {said(error)}")
    return limits


def _sensible(limits: Limits) -> bool:
    whole = (limits.sampling_rate, limits.stride, limits.n_parameters)
    longest = limits.max_label_length
    return (
        all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in whole)
        and 0 <= limits.min_duration <= limits.max_duration
        and (longest is None or (isinstance(longest, int) and longest > 0))
    )


def _missing(bench: Bench, component: Component) -> None:
    if "checkpoint" not in getattr(component.cls, "__dataclass_fields__", {}):
        return
    gone = with_keys(component, checkpoint=str(bench.folder / "no" / "such" / "checkpoint"))
    if gone is None:
        return
    for what, ask in (("limits", gone.limits), ("build", lambda: gone.build(material.corpus()))):
        try:
            ask()
        except ModelError:
            continue
        except Exception as error:  # third-party code: what it raises is what is asked for
            bench.remark(component, MISSING, f"{what}: it raises {said(error)}")
        else:
            bench.remark(component, MISSING, f"{what}: it raises nothing")


def _bundle(bench: Bench, component: Component) -> Bundle | None:
    import torch

    parameters = inspect.signature(component.made.build).parameters.values()
    if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        bench.remark(component, BUNDLE, "`build` takes no **loading")
        return None
    bundle: Any = built(component.made)
    if not isinstance(bundle, Bundle) or not isinstance(bundle.model, torch.nn.Module) or bundle.family is None:
        bench.remark(component, BUNDLE, f"it returns {bundle!r:.120}")
        return None
    return bundle


def _counted(bench: Bench, component: Component, bundle: Bundle, limits: Limits) -> None:
    made = sum(one.numel() for one in bundle.model.parameters())
    if abs(made - limits.n_parameters) > COUNTED * max(made, limits.n_parameters):
        bench.remark(component, PARAMETERS, f"limits says {limits.n_parameters:,}, the model has {made:,}")


def _bounds(bench: Bench, component: Component, task: Any, bundle: Bundle, limits: Limits) -> None:
    durations = [(SHORTEST, max(1, math.ceil(limits.min_duration * limits.sampling_rate)))]
    if limits.max_duration <= LARGEST:
        durations.append((LONGEST, math.floor(limits.max_duration * limits.sampling_rate)))
    for bound, n_samples in durations:
        duration = n_samples / limits.sampling_rate
        try:
            computed(task, bundle, duration, limits.sampling_rate)
        except Exception as error:  # third-party code: what it raises is what is asked for
            bench.remark(component, bound, f"a clip of {duration:.4f} s ({n_samples} samples): {said(error)}")


def computed(task: Any, bundle: Bundle, duration: float, sampling_rate: int) -> None:
    """Let a model predict of one clip, or compute its loss where its task predicts nothing. Raises what it raises."""
    import torch

    utterance = utterance_for(0, duration).replace(text=None)
    audio = material.clip(duration, sampling_rate)
    bundle.model.eval()
    try:
        with torch.no_grad():
            batch = task.collate([task.features(utterance, audio, bundle)], bundle)
            try:
                task.predict(bundle, batch, Decoding(max_new_tokens=4))
            except ModelError:
                task.loss(bundle, batch)
    except VoxError as error:
        if not _refused(task, utterance, bundle):
            raise error
    finally:
        bundle.model.train()


def _refused(task: Any, utterance: Any, bundle: Bundle) -> bool:
    """Whether the task has said beforehand that it does not take the clip."""
    return task.problem(utterance, bundle.family.limits(), bundle) is not None


def _frames(bench: Bench, component: Component, limits: Limits) -> None:
    n_samples = round(duration_for(component.made) * limits.sampling_rate)
    first, later = component.made.frames(n_samples), component.made.frames(n_samples + 10 * limits.stride)
    if later - first != 10:
        bench.remark(
            component,
            STRIDE,
            f"{n_samples} samples make {first} frames, 10 x {limits.stride} samples more make {later}",
        )
