"""A merged folder, its base and its adapter -> how far the weights are from what merging makes of the two.

Read from the files, tensor by tensor: no model is built. W' = W + scale * B A (LoRA, arXiv 2106.09685, section 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxcli.doctor.checkpoint.adapter_parts import Part, parts, weight_of
from voxcli.doctor.checkpoint.folder import ADAPTER, CheckpointFolder
from voxcli.doctor.checkpoint.weights import Tensor, Weights
from voxcli.errors import ModelError
from voxcli.progress import NULL, Progress
from voxcli.train.folder import CHECKPOINTS

_ROUNDING = {"F32": 1e-5, "F16": 2e-3, "BF16": 1.6e-2}
"""Relative to the largest value: what storing in that type costs, and the order of float32 sums."""
_SAMPLED = 12


@dataclass(frozen=True)
class Merge:
    """What was merged into what."""

    merged: Weights
    base: Weights
    adapter: Path
    settings: Mapping[str, Any]
    parts: list[Part]
    saved: tuple[str, ...]
    """Names of the layers that were trained whole, as the adapter's file has them."""

    @classmethod
    def of(cls, folder: CheckpointFolder) -> Merge | None:
        """None where the folder is no merge whose base and adapter are here, or is one of a kind that cannot be told
        from the files (DoRA, a base in 8 or 4 bits).
        """
        adapter = _adapter_of(folder)
        base = folder.base
        if folder.adapter is not None or adapter is None:
            return None
        try:
            source = CheckpointFolder.open(adapter)
        except ModelError:
            return None
        base = source.base or base
        settings = source.adapter or {}
        if base is None or settings.get("use_dora") or source.config.get("quantization_config") is not None:
            return None
        found = parts(source.weights.tensors)
        tensors = Weights.of(base)
        if not found or not tensors.tensors:
            return None
        saved = tuple(name for name in source.weights.tensors if ".lora_" not in name)
        return cls(folder.weights, tensors, adapter, settings, found, saved)

    def chosen(self, *, full: bool) -> list[Part]:
        """All layers, or some over the whole depth."""
        if full or len(self.parts) <= _SAMPLED:
            return self.parts
        return [self.parts[int(at)] for at in np.unique(np.linspace(0, len(self.parts) - 1, _SAMPLED).astype(int))]

    def compare(self, *, full: bool, progress: Progress = NULL) -> list[Layer]:
        """The layers of which all three weights are there."""
        made = self._untouched(full=full)
        chosen = self.chosen(full=full)
        with progress.task("comparing merged weights", total=len(chosen), unit="layers") as bar:
            for part in chosen:
                bar.advance(1)
                merged, base = weight_of(part.module, self.merged.tensors), weight_of(part.module, self.base.tensors)
                if merged is None or base is None or merged.shape != base.shape:
                    continue
                layer = _layer(part, merged, base, self.settings)
                if layer is not None:
                    made.append(layer)
        return made

    def _untouched(self, *, full: bool) -> list[Layer]:
        """Weights that the adapter does not change: they are those of the base."""
        changed = {part.module for part in self.parts}
        whole = {name.removeprefix("base_model.model.").replace(".modules_to_save", "") for name in self.saved}
        names = [
            name
            for name in self.merged.tensors
            if name.removesuffix(".weight") not in changed and not any(name == one for one in whole)
        ]
        if not full and len(names) > _SAMPLED:
            names = [names[int(at)] for at in np.unique(np.linspace(0, len(names) - 1, _SAMPLED).astype(int))]
        made = []
        for name in names:
            merged = self.merged.tensors[name]
            base = self.base.tensors.get(name)
            if base is None or base.shape != merged.shape or not merged.floating or not base.floating:
                continue
            before, after = base.values(), merged.values()
            moved = float(np.abs(after - before).max(initial=0.0))
            allowed = float(np.abs(before).max(initial=0.0)) * _ROUNDING.get(merged.dtype, 0.0)
            made.append(Layer(name, moved, moved, 0.0, allowed))
        return made


@dataclass(frozen=True)
class Layer:
    """One layer, in largest absolute differences."""

    name: str
    off: float
    """Merged weights from base + adapter."""
    moved: float
    """Merged weights from the base."""
    added: float
    """What the adapter adds."""
    allowed: float
    """What rounding explains."""


def _layer(part: Part, merged: Tensor, base: Tensor, settings: Mapping[str, Any]) -> Layer | None:
    added = part.added(settings)
    if added is None or not merged.floating or not base.floating:
        return None
    before, after = base.values(), merged.values()
    if added.shape != before.shape:
        added = added.T  # peft's fan_in_fan_out
    if added.shape != before.shape:
        return None
    wanted = before + added
    largest = float(np.abs(wanted).max(initial=0.0))
    return Layer(
        part.module,
        float(np.abs(after - wanted).max(initial=0.0)),
        float(np.abs(after - before).max(initial=0.0)),
        float(np.abs(added).max(initial=0.0)),
        largest * _ROUNDING.get(merged.dtype, 0.0),
    )


def _adapter_of(folder: CheckpointFolder) -> Path | None:
    """The adapter that was merged: vox.json names it; an export within a run says it by its place."""
    named = (folder.vox or {}).get("merged_from")
    if isinstance(named, str) and (Path(named) / ADAPTER).is_file():
        return Path(named)
    path = folder.path.resolve()
    run = path.parent.parent
    step = path.name.partition("-")[2]  # runs/NAME/export/merged-step-000100
    found = run / CHECKPOINTS / step
    return found if path.parent.name == "export" and step and (found / ADAPTER).is_file() else None
