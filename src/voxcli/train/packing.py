"""Nested training state -> one safetensors file and one JSON file, and back. No pickle in between.

The state of an optimizer, a scheduler or a random generator is a tree of dicts, lists, tuples, numbers and tensors.
Tensors go to safetensors under running numbers, everything else to JSON in which `{"$tensor": "3"}` stands for them.
Reading it runs no code, unlike torch.load (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch


def write(tree: Any, path: Path) -> None:
    """Write `path`.safetensors and `path`.json. Raises `TypeError` for a leaf that is neither data nor tensor."""
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    skeleton = _pack(tree, tensors)
    save_file(tensors, path.with_suffix(".safetensors"))
    path.with_suffix(".json").write_text(json.dumps(skeleton), encoding="utf-8")


def read(path: Path) -> Any:
    """The tree that `write` was given; its tensors are on the CPU."""
    from safetensors.torch import load_file

    tensors = load_file(path.with_suffix(".safetensors"))
    return _unpack(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")), tensors)


def _pack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        # a copy of its own: safetensors refuses tensors that share memory
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"$tensor": name}
    if isinstance(value, np.ndarray):
        kept = torch.from_numpy(value.astype(np.int64) if value.dtype.kind == "u" else value)
        return {"$array": _pack(kept, tensors), "dtype": str(value.dtype)}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {"$dict": [[_pack(key, tensors), _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [_pack(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_pack(item, tensors) for item in value]
    raise TypeError(f"{type(value).__name__} cannot be part of a training state")


def _unpack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        # a copy of its own: safetensors maps the file, and the file of an old checkpoint will be deleted
        return tensors[value["$tensor"]].clone()
    if "$array" in value:
        return _unpack(value["$array"], tensors).numpy().astype(value["dtype"])
    if "$tuple" in value:
        return tuple(_unpack(item, tensors) for item in value["$tuple"])
    return {_unpack(key, tensors): _unpack(item, tensors) for key, item in value["$dict"]}
