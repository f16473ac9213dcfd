"""Backends with one fault each."""

from typing import ClassVar

from voxcli.api import config, hookimpl
from voxcli.backends.accelerate import Accelerate


@config
class Boastful:
    """Supports what does not exist."""

    supports: ClassVar[frozenset[str]] = frozenset({"max_steps", "magic"})

    def fit(self, run):
        raise NotImplementedError


@config
class Lazy(Accelerate):
    """Does nothing at all."""

    def fit(self, run):
        pass


@config
class Frozen(Accelerate):
    """Leaves the weights as they are."""

    def fit(self, run):
        for parameter in run.bundle.model.parameters():
            parameter.register_hook(lambda gradient: gradient * 0)
        super().fit(run)


@config
class Confused(Accelerate):
    """Logs a loss that is none."""

    def fit(self, run):
        before = run.after_step

        def after_step(step, moving, *, facts, interrupted):
            before(step, moving, facts={**facts, "loss": float("nan")}, interrupted=interrupted)

        run.after_step = after_step
        super().fit(run)


@hookimpl
def vox_register(registry):
    for cls in (Boastful, Lazy, Frozen, Confused):
        registry.add("backend", cls.__name__.lower(), f"{__name__}:{cls.__name__}", summary="a fault")
