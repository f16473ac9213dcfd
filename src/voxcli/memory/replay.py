"""An operation on fake tensors that was seen before with the same shapes -> its result, without asking torch again.

A model's layers repeat themselves, and `FakeTensorMode` takes most of a trace's time to find out each time what it has
found out before. Shapes, strides and types of arguments decide the result's; what they do not decide is not kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

_UNKNOWN = object()
_NEVER: tuple[()] = ()  # what is kept of an operation that has to be asked for every time
_IN_PLACE = frozenset(
    f"aten::{name}_"
    for name in ("add", "sub", "mul", "div", "copy", "zero", "fill", "masked_fill", "neg", "sqrt", "clamp", "lerp")
)
_CPU = torch.device("cpu")


class Replay:
    """Results by operation and arguments. One for each `FakeTensorMode`."""

    def __init__(self, mode: Any) -> None:
        self._mode = mode
        self._results: dict[Any, Any] = {}
        self._kinds: dict[Any, str] = {}

    def __call__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `func(*args, **kwargs)` returns."""
        kind = self._kinds.get(func)
        if kind is None:
            kind = self._kinds[func] = _kind(func)
        if kind == "in place" and type(args[0]) is FakeTensor and args[0].dim():
            return args[0]
        if kind not in ("new", "view"):
            return func(*args, **kwargs)
        key: list[Any] = [func]
        if not _describe(args, key) or not _describe(kwargs.items(), key):
            return func(*args, **kwargs)
        known = self._results.get(whole := tuple(key), _UNKNOWN)
        if known is _UNKNOWN:
            out = func(*args, **kwargs)
            self._results[whole] = _result(out, args, kind)
            return out
        if known is _NEVER:
            return func(*args, **kwargs)
        if kind == "view":
            return self._view(args[0], known)
        if type(known) is list:
            return tuple(self._new(one) if type(one) is tuple else one for one in known)
        return self._new(known)

    def _new(self, size: tuple[Any, ...]) -> FakeTensor:
        with torch._C._DisableTorchDispatch():
            made = torch.empty_strided(size[0], size[1], dtype=size[2], device="meta")
            return FakeTensor(self._mode, made, _CPU)

    def _view(self, base: torch.Tensor, size: tuple[Any, ...]) -> FakeTensor:
        with torch._C._DisableTorchDispatch():
            made = torch.empty(0, dtype=size[2], device="meta")
            made.set_(base.untyped_storage(), size[3], size[0], size[1])
            return FakeTensor(self._mode, made, _CPU)


def _kind(func: Any) -> str:
    """ "new": all that it returns is new; "view" of its first argument; its first argument changed "in place"; ""."""
    schema = func._schema
    returns, arguments = schema.returns, schema.arguments
    if not returns or func.namespace != "aten":
        return ""
    if schema.name == "aten::_unsafe_view":
        return "view"
    if not any(one.alias_info for one in returns):
        written = any(one.alias_info is not None and one.alias_info.is_write for one in arguments)
        return "" if written or any("[]" in str(one.type) for one in returns) else "new"
    if len(returns) > 1 or not arguments or arguments[0].alias_info is None:
        return ""
    if returns[0].alias_info.is_write:
        return "in place" if schema.name in _IN_PLACE else ""
    return "view" if str(returns[0].type) == "Tensor" else ""


def _describe(values: Any, key: list[Any]) -> bool:
    """Append all that decides a result; False where there is something else."""
    for value in values:
        kind = type(value)
        if kind is FakeTensor:
            shape = value.shape
            if not shape:  # numbers promote otherwise, and some of them are known
                return False
            key += (shape, value.stride(), value.dtype, value.storage_offset())
        elif kind is list or kind is tuple:
            key.append(len(value))
            if not _describe(value, key):
                return False
        elif isinstance(value, torch.Tensor):
            return False
        else:
            key += (kind, value)
    return True


def _result(out: Any, args: tuple[Any, ...], kind: str) -> Any:
    """What to keep of a result: (shape, strides, type, offset) of every tensor."""
    if kind == "view":
        own = type(out) is FakeTensor and out.untyped_storage()._cdata == args[0].untyped_storage()._cdata
        return _size(out) if own and out.device == args[0].device else _NEVER
    given = {one.untyped_storage()._cdata for one in args if isinstance(one, torch.Tensor)}
    returned = out if type(out) is tuple else (out,)
    if any(one.untyped_storage()._cdata in given for one in returned if isinstance(one, torch.Tensor)):
        return _NEVER
    if type(out) is FakeTensor:
        return _size(out) if _is_plain(out) else _NEVER
    if type(out) is tuple and all(one is None or type(one) is int or _is_plain(one) for one in out):
        return [_size(one) if type(one) is FakeTensor else one for one in out]
    return _NEVER


def _size(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.storage_offset()


def _is_plain(tensor: Any) -> bool:
    """A tensor of a storage of its own that is as large as it needs to be."""
    if type(tensor) is not FakeTensor or tensor.storage_offset() or tensor.fake_device != _CPU:
        return False
    if tensor.constant is not None or not tensor.dim():
        return False
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    needed = 0 if not tensor.numel() else (last + 1) * tensor.itemsize
    return tensor.untyped_storage().nbytes() == needed
