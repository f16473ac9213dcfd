"""Model families and tasks with one fault each: CTC, a little off."""

import itertools
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from voxcli.api import Limits, config, hookimpl
from voxcli.models.ctc import CTC
from voxcli.tasks.ctc import CTCTask

CALLS = itertools.count()


def changed(limits, **keys):
    """Limits with other values."""
    return Limits(**{**{name: getattr(limits, name) for name in Limits.__dataclass_fields__}, **keys})


@config
class Taskless(CTC):
    """Nothing trains it."""

    task: ClassVar[str] = "nothing"


@config
class Negative(CTC):
    """Its stride is -1."""

    def limits(self):
        return changed(super().limits(), stride=-1)


@config
class Weighty(CTC):
    """Reads the weights for its limits."""

    def limits(self):
        (Path(self.checkpoint) / "model.safetensors").read_bytes()
        return super().limits()


@config
class Careless(CTC):
    """A missing checkpoint ends in a traceback."""

    def limits(self):
        if not Path(self.checkpoint).is_dir():
            raise KeyError(self.checkpoint)
        return super().limits()


@config
class Closed(CTC):
    """Takes no loading."""

    def build(self, corpus):
        return super().build(corpus)


@config
class Miscounted(CTC):
    """Says that it is ten times larger."""

    def limits(self):
        found = super().limits()
        return changed(found, n_parameters=10 * found.n_parameters)


@config
class Shortest(CTC):
    """Says that it takes one sample; and its window is longer than it bears."""

    def limits(self):
        return changed(super().limits(), min_duration=1 / 16_000, max_duration=2.0)

    def features(self, audio, processor):
        if len(audio) > 30_000:
            raise ValueError("too long")
        return super().features(audio, processor)


@config
class Striding(CTC):
    """Its frames do not follow its stride."""

    def frames(self, n_samples):
        return 2 * super().frames(n_samples)


def task_and_family(name, **methods):
    """A task with the methods, and a family that it trains."""
    task = config(type(name, (CTCTask,), {"__doc__": CTCTask.__doc__, "__module__": __name__, **methods}))
    keys = {
        "__doc__": CTC.__doc__,
        "__module__": __name__,
        "task": name.lower(),
        "__annotations__": {"task": ClassVar[str]},
    }
    family = config(type(f"{name}Family", (CTC,), keys))
    globals().update({name: task, family.__name__: family})


def _features(self, utterance, audio, bundle):
    return [1, 2]


def _needs_model(self, utterance, audio, bundle):
    return {"layers": bundle.model.config.num_hidden_layers}


def _moody(self, utterance, audio, bundle):
    return {**CTCTask.features(self, utterance, audio, bundle), "labels": [3 + next(CALLS) % 7]}


def _unpicklable(self, utterance, audio, bundle):
    return {**CTCTask.features(self, utterance, audio, bundle), "more": lambda: None}


def _batchless(self, items, bundle):
    return list(items)


def _mean(self, bundle, batch):
    total, _ = CTCTask.loss(self, bundle, batch)
    return total / len(batch["frames"]), torch.tensor(1)


def _alone(self, bundle, batch):
    return CTCTask.loss(self, bundle, batch)[0]


def _infinite(self, bundle, batch):
    total, count = CTCTask.loss(self, bundle, batch)
    return total * float("inf"), count


def _flat(self, bundle, batch):
    total, count = CTCTask.loss(self, bundle, batch)
    return total * 0, count


def _fewer(self, bundle, batch, decoding):
    return CTCTask.predict(self, bundle, batch, decoding)[1:]


def _brief(self, bundle, audio, decoding):
    if len(audio) > 100_000:
        raise RuntimeError("too long for me")
    return CTCTask.transcribe(self, bundle, audio, decoding)


def _refusing(self, utterance, limits, bundle):
    return "I do not like it"


def _measured(self, bundle, batch):
    return (*CTCTask.loss(self, bundle, batch), torch.zeros(3, 2))


def _drawn(self, utterance, audio, bundle, rng):
    return {**CTCTask.features(self, utterance, audio, bundle), "more": np.random.random()}


def _doubled(self, bundle, batch):
    total, count = CTCTask.loss(self, bundle, batch)
    return 2 * total, count, torch.zeros(1, 2)


FAULTS = {
    "Measuring": {"metrics": "wer"},
    "Listing": {"features": _features},
    "Reaching": {"features": _needs_model},
    "Moody": {"features": _moody},
    "Unpicklable": {"features": _unpicklable},
    "Batchless": {"collate": _batchless},
    "Mean": {"loss": _mean},
    "Alone": {"loss": _alone},
    "Infinite": {"loss": _infinite},
    "Flat": {"loss": _flat},
    "Fewer": {"predict": _fewer},
    "Brief": {"transcribe": _brief},
    "Refusing": {"problem": _refusing},
    "Figured": {"figures": ("one",), "measured_loss": _measured},
    "Drawing": {"drawn_features": _drawn},
    "Doubled": {"figures": ("one",), "measured_loss": _doubled},
}
for _name, _methods in FAULTS.items():
    task_and_family(_name, **_methods)
FAMILIES = (Taskless, Negative, Weighty, Careless, Closed, Miscounted, Shortest, Striding)


@hookimpl
def vox_register(registry):
    for cls in FAMILIES:
        registry.add("model", f"wrong-{cls.__name__.lower()}", f"{__name__}:{cls.__name__}", summary="a fault")
    for name in FAULTS:
        registry.add("task", name.lower(), f"{__name__}:{name}", summary="a fault")
        registry.add("model", f"of-{name.lower()}", f"{__name__}:{name}Family", summary="for a faulty task")
