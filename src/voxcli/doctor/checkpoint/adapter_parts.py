"""The file of a LoRA adapter -> what it adds to which layer (arXiv 2106.09685, section 4.1)."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxcli.doctor.checkpoint.weights import Tensor

_UP = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<kind>embedding_)?B(?:\.\w+)?(?:\.weight)?")


@dataclass(frozen=True)
class Part:
    """What an adapter adds to one layer: up @ down, scaled."""

    module: str
    """Its name in the base model."""
    down: Tensor
    """A, (rank, in, …)."""
    up: Tensor
    """B, (out, rank, …)."""

    @property
    def n_in(self) -> int:
        """Width of its input; of an embedding its vocabulary."""
        return self.down.shape[1]

    @property
    def n_out(self) -> int:
        """Width of its output."""
        return self.up.shape[0]

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a weight of that shape is the one that it belongs to; an embedding's is the other way round."""
        return shape[:2] in ((self.n_out, self.n_in), (self.n_in, self.n_out))

    def added(self, adapter: Mapping[str, Any]) -> NDArray[np.float32] | None:
        """What merging adds to the weight; None for layers that are no plain matrices."""
        if len(self.down.shape) != 2 or len(self.up.shape) != 2 or "embedding" in self.up.name:
            return None
        made: NDArray[np.float32] = self.scale(adapter) * (self.up.values() @ self.down.values())
        return made

    def scale(self, adapter: Mapping[str, Any]) -> float:
        """lora_alpha / r, or over the square root of r; with the ranks and scales that patterns set."""
        rank = self.down.shape[0]
        alpha = _by_pattern(adapter.get("alpha_pattern"), self.module, adapter.get("lora_alpha", rank))
        return float(alpha) / (math.sqrt(rank) if adapter.get("use_rslora") else rank)


def parts(tensors: Mapping[str, Tensor]) -> list[Part]:
    """The layers of an adapter's file, in its order."""
    found = []
    for name, up in tensors.items():
        match = _UP.fullmatch(name)
        if match is None:
            continue
        start = name.rindex("lora_" + (match["kind"] or "") + "B")
        letter = start + len("lora_" + (match["kind"] or ""))
        down = tensors.get(name[:letter] + "A" + name[letter + 1 :])
        if down is not None and len(down.shape) > 1 and len(up.shape) > 1:
            found.append(Part(match["module"], down, up))
    return found


def weight_of(module: str, tensors: Mapping[str, Tensor]) -> Tensor | None:
    """The weight of a layer; the file of a model without a head leaves the first part of its names out."""
    return tensors.get(f"{module}.weight") or tensors.get(f"{module.partition('.')[2]}.weight")


def targets_nothing(adapter: Mapping[str, Any], names: Collection[str]) -> str | None:
    """`target_modules` in words, where it matches no layer of a model."""
    targets = adapter.get("target_modules")
    modules = [name.removesuffix(".weight") for name in names if name.endswith(".weight")]
    if isinstance(targets, str) and targets != "all-linear":
        try:
            return None if any(re.fullmatch(targets, module) for module in modules) else f"'{targets}'"
        except re.error:
            return f"'{targets}'"
    if isinstance(targets, list) and targets:
        ends = tuple(f".{one}" for one in targets)
        return None if any(f".{module}".endswith(ends) for module in modules) else ", ".join(map(str, targets))
    return None


def _by_pattern(patterns: Any, module: str, otherwise: Any) -> Any:
    """As peft looks them up: the first pattern that the end of the name matches."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return otherwise
