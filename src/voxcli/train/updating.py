"""An optimizer -> its step, taken so that it can be tried again where memory runs out: no parameter moves twice.

An optimizer asks for memory in the middle of its step: for the states of a parameter that it meets for the first time,
and some for temporary copies. Which parameters had moved when memory ran out is known exactly, by one of three ways:

- fused optimizers of torch move a group in one kernel that asks for nothing, and kernels that have run are noted (the
  tensors' version counters do not say it: torch 2.13 does not raise them there);
- bitsandbytes moves one parameter after the other, and each one that is finished is noted;
- other optimizers of torch and transformers take the step in parts, each copied beforehand and put back whole where it
  fails.

A second attempt shows the optimizer the gradients of the rest only. The step of any other optimizer is not repeated.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from voxcli.engines.halving import forget, is_out_of_memory, release

PART_BYTES = 64 * 2**20
"""Bytes of parameters that are copied, with their states, before an optimizer that is not fused moves them."""
ATTEMPTS = 3

Parameter = torch.Tensor


class Update:
    """The step of one optimizer. `of` puts it in the place of the optimizer's own.

    `failed` is called with torch's message at the first failure of a step; `exhausted` makes the error that is raised
    where the rest still does not fit after `ATTEMPTS`.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        failed: Callable[[str], None],
        exhausted: Callable[[], Exception],
    ) -> None:
        self.skip = False
        """Leave the next step out: it has no gradient."""
        self._optimizer = optimizer
        self._step = optimizer.step
        self._failed = failed
        self._exhausted = exhausted
        self._told = False
        self._finished: set[int] = set()
        """ids of the parameters that have moved in this step, where the optimizer can be watched."""
        self._counted: set[int] = set()
        """ids of the tensors that count steps and were raised by one."""
        self._kind = ""  # decided at every step: a restored state may have another one
        if _kind(optimizer) == "bitsandbytes":
            self._watch_bitsandbytes()

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, **told: Any) -> Update:
        """Let `optimizer.step()` survive. To be called before a scheduler or a scaler is given the optimizer."""
        update = cls(optimizer, **told)

        def step(_: torch.optim.Optimizer, closure: Callable[[], Any] | None = None) -> Any:
            return update(closure)

        optimizer.step = types.MethodType(step, optimizer)  # type: ignore[method-assign]
        return update

    def __call__(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take the step. Raises what `exhausted` makes."""
        if self.skip:
            self.skip = False
            return None
        if closure is not None:  # a closure computes gradients: it cannot be repeated here
            return self._step(closure)
        self._told, self._kind = False, _kind(self._optimizer)
        moving = [parameter for parameter in self._parameters() if parameter.grad is not None]
        if self._kind == "copied":
            for part in _parts(moving):
                self._with_copies(part)
        elif self._kind:
            self._watched(moving)
        elif self._tried(moving, moving) is not None:
            raise self._exhausted()
        return None

    # ------------------------------------------------------------------------------------------- what is known exactly

    def _watched(self, moving: Sequence[Parameter]) -> None:
        """In one go; after a failure the rest of it."""
        rest = [_Mark.of(self._optimizer, parameter) for parameter in moving]
        for _ in range(ATTEMPTS):
            self._finished.clear()
            self._counted.clear()
            with _Kernels(self._finished, self._counted) if self._kind == "fused" else contextlib.nullcontext():
                said = self._tried(moving, [mark.parameter for mark in rest])
            if said is None:
                return
            rest = [mark for mark in rest if id(mark.parameter) not in self._finished]
            for mark in rest:
                mark.restore(self._optimizer, self._counted)
            self._make_room(said)
            if not rest:
                return
        raise self._exhausted()

    def _with_copies(self, part: Sequence[Parameter], attempt: int = 1, at: str | None = None) -> None:
        """One part; after a failure each parameter of it alone, its copy on the CPU."""
        copies: list[_Copy] = []
        said = self._copied(part, copies, at)
        if said is None:
            said = self._tried(list(self._parameters()), part)
            if said is None:
                return
            for copy in copies:
                copy.restore(self._optimizer)
        copies.clear()
        self._make_room(said)
        if len(part) > 1:
            for parameter in part:
                self._with_copies([parameter], attempt, "cpu")
        elif attempt < ATTEMPTS:
            self._with_copies(part, attempt + 1, "cpu")
        else:
            raise self._exhausted()

    # ---------------------------------------------------------------------------------------------------------- inside

    def _parameters(self) -> Iterator[Parameter]:
        for group in self._optimizer.param_groups:
            yield from group["params"]

    def _watch_bitsandbytes(self) -> None:
        optimizer: Any = self._optimizer
        update_step = optimizer.update_step

        def noted(group: Any, parameter: Parameter, gindex: int, pindex: int) -> None:
            update_step(group, parameter, gindex, pindex)
            self._finished.add(id(parameter))

        optimizer.update_step = noted

    def _tried(self, moving: Sequence[Parameter], part: Sequence[Parameter]) -> str | None:
        """The optimizer's own step with the gradients of `part` only; torch's message where memory runs out."""
        shown = {id(parameter) for parameter in part}
        hidden = [(one, one.grad) for one in moving if one.grad is not None and id(one) not in shown]
        for parameter, _ in hidden:
            parameter.grad = None
        try:
            self._step()
        except (RuntimeError, MemoryError) as error:
            return _message(error)
        finally:
            for parameter, gradient in hidden:
                parameter.grad = gradient
        return None

    def _copied(self, part: Sequence[Parameter], copies: list[_Copy], at: str | None) -> str | None:
        try:
            copies += [_Copy.of(self._optimizer, parameter, at) for parameter in part]
        except (RuntimeError, MemoryError) as error:
            return _message(error)
        return None

    def _make_room(self, said: str) -> None:
        release()
        if not self._told:
            self._told = True
            self._failed(said)


def _kind(optimizer: torch.optim.Optimizer) -> str:
    """By which of the three ways its step can be repeated; "" by none."""
    module, name = type(optimizer).__module__, type(optimizer).__name__
    if module.startswith("bitsandbytes."):
        return "bitsandbytes"
    if module.startswith("torch.optim.") and name != "LBFGS":  # every parameter of the others moves for itself
        return "fused" if all(group.get("fused") for group in optimizer.param_groups) else "copied"
    return "copied" if module == "transformers.optimization" and name == "Adafactor" else ""


class _Kernels(TorchDispatchMode):
    """Notes the parameters of every fused kernel that has run (aten::_fused_adamw_ and its like), and the counts of
    steps that were raised before it."""

    def __init__(self, finished: set[int], counted: set[int]) -> None:
        super().__init__()
        self._finished, self._counted = finished, counted

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func.__name__.startswith("_fused_"):
            self._finished.update(id(parameter) for parameter in args[0])
        elif func.__name__.startswith("_foreach_add_"):
            self._counted.update(id(count) for count in args[0])
        return made


@dataclass
class _Mark:
    """What the state of a parameter counted before the step, without a copy."""

    parameter: Parameter
    fresh: bool
    """It had no state yet."""
    step: Any = None
    """Its count of steps, where that is a number."""

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, parameter: Parameter) -> _Mark:
        state = optimizer.state.get(parameter)
        return cls(parameter, not state, state.get("step") if state else None)

    def restore(self, optimizer: torch.optim.Optimizer, counted: set[int]) -> None:
        """It did not move: a state that was begun goes, and a step that was counted is counted back."""
        state = optimizer.state.get(self.parameter)
        if self.fresh or state is None:
            optimizer.state.pop(self.parameter, None)
        elif not torch.is_tensor(self.step):
            state["step"] = self.step
        elif id(state["step"]) in counted:
            with torch.no_grad():
                state["step"].sub_(1)


@dataclass
class _Copy:
    """A parameter and its state before the step."""

    parameter: Parameter
    values: torch.Tensor
    state: dict[str, Any] | None

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, parameter: Parameter, at: str | None) -> _Copy:
        def copied(value: Any) -> Any:
            return value.detach().to(at or value.device, copy=True) if torch.is_tensor(value) else value

        state = optimizer.state.get(parameter)
        kept = {key: copied(value) for key, value in state.items()} if state else None
        return cls(parameter, copied(parameter), kept)

    def restore(self, optimizer: torch.optim.Optimizer) -> None:
        with torch.no_grad():
            self.parameter.copy_(self.values)
            if self.state is None:
                optimizer.state.pop(self.parameter, None)
                return
            state = optimizer.state[self.parameter]
            for key in set(state) - set(self.state):
                del state[key]
            for key, value in self.state.items():
                if torch.is_tensor(value) and torch.is_tensor(state.get(key)):
                    state[key].copy_(value)
                else:
                    state[key] = value


def _parts(parameters: Sequence[Parameter]) -> Iterator[list[Parameter]]:
    """Parameters in parts of at most `PART_BYTES`, at least one each."""
    part: list[Parameter] = []
    size = 0
    for parameter in parameters:
        if part and size + parameter.nbytes > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(parameter)
        size += parameter.nbytes
    if part:
        yield part


def _message(error: BaseException) -> str:
    """What torch says where memory ran out; any other error is raised again."""
    if not is_out_of_memory(error):
        raise error
    forget(error)
    return str(error).splitlines()[0] if str(error) else type(error).__name__
