"""Operations on tensors -> the most bytes that were alive at one time, what they were, and where it happened.

A `TorchDispatchMode` sees every operation below autograd; a storage lives from the operation that returns it until its
last tensor is gone. It works alike over fake tensors (a prediction) and over real ones (a count).
"""

from __future__ import annotations

import bisect
import contextlib
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from voxcli.memory.setup import PARTS, Peak

Phase = Literal["forward", "backward", "optimizer", "decoding", ""]
KINDS = {name: index for index, name in enumerate(PARTS)}
_ACTIVATIONS, _WORKSPACE, _OPTIMIZER = KINDS["activations"], KINDS["workspace"], KINDS["optimizer"]
BLOCK = 512  # bytes: every block of CUDA's caching allocator is a multiple (c10/core/AllocatorConfig.h, kMinBlockSize)


class Storage(weakref.ref[Any]):
    """One live storage."""

    __slots__ = ("key", "kind", "n_bytes", "order")
    key: int
    kind: int
    n_bytes: int
    order: int


class Tracker(TorchDispatchMode):
    """Counts live bytes while it is entered. Enter it after `FakeTensorMode`, so that it stands above it.

    `rounding`: every storage counts as a multiple of so many bytes. `model` gives names to places. With `events` every
    allocation is listed as (number, bytes) and every release as (number, -bytes), in order. With `curve` the highest
    bytes during each operation are listed, and `places` says where each ran. `run` carries an operation out.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        *,
        rounding: int = 1,
        events: bool = False,
        curve: bool = False,
        run: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any] | None = None,
    ) -> None:
        super().__init__()
        self.bytes = 0
        self.phase: Phase = ""
        self.n_ops = 0
        self.flops = 0
        self.events: list[tuple[int, int]] | None = [] if events else None
        self.curve: list[int] | None = [] if curve else None
        self.places: list[tuple[Phase, str]] = []
        self._rounding = rounding
        self._run = run
        self._live: dict[int, Storage] = {}
        self._parts = [0] * len(PARTS)
        self._kind: int | None = None  # of what is allocated, where it is not told by the phase
        self._order = 0
        self._modules = Modules(model) if model is not None else None
        self._handles: list[Any] = []
        self._allocates: dict[Any, bool] = {}
        self._high = 0
        self.start()

    def __enter__(self) -> Any:
        if self._modules is not None:
            self._modules.enter()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if self._modules is not None:
            self._modules.leave()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    # ----------------------------------------------------------------------------------------- what is known beforehand

    def hold(self, tensors: Iterable[torch.Tensor], part: str) -> None:
        """Count tensors that exist already; those that are known change their part."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            known = self._live.get(storage._cdata)
            if known is None:
                self._add(storage, KINDS[part])
            else:
                self._move(known, KINDS[part])

    def hold_model(self, model: nn.Module) -> None:
        """Count a model's parameters and buffers, and recognise the gradients that its parameters receive."""
        parameters = list(model.parameters())
        self.hold((p for p in parameters if p.requires_grad), "trained weights")
        rest = [p for p in parameters if not p.requires_grad]
        self.hold([*rest, *model.buffers()], "weights")
        gradients = KINDS["gradients"]

        def received(parameter: torch.Tensor) -> None:
            if parameter.grad is not None:
                found = self._live.get(parameter.grad.untyped_storage()._cdata)
                if found is not None:
                    self._move(found, gradients)

        for parameter in parameters:
            if parameter.requires_grad:
                self._handles.append(parameter.register_post_accumulate_grad_hook(received))

    def add(self, part: str, n_bytes: int) -> None:
        """Count bytes of which there is no tensor here."""
        self.bytes += n_bytes
        self._parts[KINDS[part]] += n_bytes
        self._see_peak()

    @contextlib.contextmanager
    def part(self, part: str) -> Iterator[None]:
        """What is allocated within the block belongs to `part`."""
        before, self._kind = self._kind, KINDS[part]
        try:
            yield
        finally:
            self._kind = before

    @contextlib.contextmanager
    def optimizer_step(self) -> Iterator[None]:
        """Within: the optimizer's step. What is allocated there and stays is its state, the rest is workspace."""
        self.phase = "optimizer"
        begin = self._order
        with self.part("workspace"):
            yield
        self.phase = ""
        for record in [one for one in self._live.values() if one.order > begin and one.kind == _WORKSPACE]:
            self._move(record, _OPTIMIZER)
            if begin < record.order <= self._peak_order:
                self._peak_parts[_WORKSPACE] -= record.n_bytes
                self._peak_parts[_OPTIMIZER] += record.n_bytes

    # ---------------------------------------------------------------------------------------------------- what came out

    def start(self) -> None:
        """Forget the peak: the next one is counted from here."""
        self._peak = self._peak_results = self.bytes
        self._peak_parts = list(self._parts)
        self._peak_phase: Phase = self.phase
        self._peak_order = self._order
        self._peak_where: str = ""

    def peak(self) -> Peak:
        """The highest count since `start`."""
        parts = dict(zip(PARTS, self._peak_parts, strict=True))
        phase, where = self._peak_phase, self._peak_where
        return Peak(total=self._peak, parts=parts, phase=phase, where=where, results=self._peak_results)

    def part_bytes(self, part: str) -> int:
        """Live bytes of a part now."""
        return self._parts[KINDS[part]]

    def place(self) -> str:
        """The module at work, also in a backward pass; empty where it is not known."""
        return "" if self._modules is None else self._modules.at_work()

    # ---------------------------------------------------------------------------------------------------- the counting

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and torch's guard against it takes a fifth of a trace."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self._high = self.bytes
        out = func(*args, **kwargs) if self._run is None else self._run(func, args, kwargs)
        self.n_ops += 1
        allocates = self._allocates.get(func)
        if allocates is None:
            allocates = self._allocates[func] = any(one.alias_info is None for one in func._schema.returns)
        if allocates:
            if isinstance(out, torch.Tensor):
                self._see(out)
            elif isinstance(out, (tuple, list)):
                for one in out:
                    if isinstance(one, torch.Tensor):
                        self._see(one)
                    elif isinstance(one, (tuple, list)):
                        for inner in one:
                            if isinstance(inner, torch.Tensor):
                                self._see(inner)
            if self.phase in ("forward", "backward") and (count := flop_registry.get(func._overloadpacket)):
                self.flops += count(*args, **kwargs, out_val=out)
        if self.curve is not None:
            self.curve.append(self._high)
            self.places.append((self.phase, self.place()))
        return out

    def workspace(self, n_bytes: int) -> None:
        """What an operation needs for itself while it runs, freed when it is done."""
        self.bytes += n_bytes
        self._parts[_WORKSPACE] += n_bytes
        self._see_peak(of_a_kernel=True)
        self.bytes -= n_bytes
        self._parts[_WORKSPACE] -= n_bytes
        if self.events is not None:
            self._order += 1
            self.events += [(self._order, n_bytes), (self._order, -n_bytes)]

    def _see(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._live:
            self._add(storage, _ACTIVATIONS if self._kind is None else self._kind)

    def _add(self, storage: Any, kind: int) -> None:
        n_bytes = storage.nbytes()
        n_bytes += -n_bytes % self._rounding
        record: Any = Storage(storage, self._freed)
        record.key, record.kind, record.n_bytes = storage._cdata, kind, n_bytes
        self._order += 1
        record.order = self._order
        self._live[record.key] = record
        self.bytes += n_bytes
        self._parts[kind] += n_bytes
        if self.events is not None:
            self.events.append((record.order, n_bytes))
        self._see_peak()

    def _see_peak(self, *, of_a_kernel: bool = False) -> None:
        if self.bytes > self._peak_results and not of_a_kernel:
            self._peak_results = self.bytes
        if self.bytes > self._high:
            self._high = self.bytes
        if self.bytes > self._peak:
            self._peak = self.bytes
            self._peak_parts = self._parts[:]
            self._peak_phase, self._peak_order = self.phase, self._order
            self._peak_where = self.place()

    def _freed(self, record: Storage) -> None:
        if self._live.get(record.key) is record:
            del self._live[record.key]
            self.bytes -= record.n_bytes
            self._parts[record.kind] -= record.n_bytes
            if self.events is not None:
                self.events.append((record.order, -record.n_bytes))

    def _move(self, record: Storage, kind: int) -> None:
        self._parts[record.kind] -= record.n_bytes
        self._parts[kind] += record.n_bytes
        record.kind = kind


class Modules:
    """Which module of a model is at work: in a forward pass by hooks, in a backward pass by the sequence number of the
    autograd node, which says in which module's forward pass it was made.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {id(module): name for name, module in model.named_modules()}
        self._stack = [""]
        self._numbers = [0]
        self._at: list[str] = [""]
        self._handles: list[Any] = []

    def enter(self) -> None:
        """Begin to follow every module's forward pass."""
        from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

        self._handles = [
            register_module_forward_pre_hook(self._begin),
            register_module_forward_hook(self._end, always_call=True),
        ]

    def leave(self) -> None:
        """Stop following."""
        for handle in self._handles:
            handle.remove()

    def at_work(self) -> str:
        """The name of the module whose operation runs now."""
        node = torch._C._current_autograd_node()
        if node is None or len(self._stack) > 1:
            return self._stack[-1]
        at = bisect.bisect_right(self._numbers, node._sequence_nr()) - 1
        return self._at[at]

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        self._stack.append(self._names.get(id(module), self._stack[-1]))
        self._mark()

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if len(self._stack) > 1:
            self._stack.pop()
        self._mark()

    def _mark(self) -> None:
        number = torch._C._autograd._get_sequence_nr()
        if self._numbers[-1] == number:  # nothing of autograd has run since
            self._at[-1] = self._stack[-1]
        else:
            self._numbers.append(number)
            self._at.append(self._stack[-1])
