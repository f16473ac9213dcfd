"""A checkpoint with an adapter -> the model as it was trained: adapter beside the weights, base as it was kept.

In training the base may stand in 8 or 4 bits (`[quantization]`) or in half precision (`train.frozen_dtype`); what the
run itself decodes is that base with the adapter, and not quite what the full-precision base with it decodes.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

import torch

from voxcli.models.open import OpenModel, open_model
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.train import frozen
from voxcli.train.loading import options


@dataclass(frozen=True)
class Rounding:
    """In what a run kept its frozen base."""

    quantization: Quantization | None = None
    frozen_dtype: str = "float32"

    def __bool__(self) -> bool:
        return self.quantization is not None or self.frozen_dtype != "float32"

    def __str__(self) -> str:
        if self.quantization is None:
            return self.frozen_dtype
        return "int8" if self.quantization.load_in_8bit else self.quantization.bnb_4bit_quant_type


def rounding_of(run: Path | None) -> Rounding:
    """What the run's recipe says; no rounding where there is no run."""
    if run is None:
        return Rounding()
    tables = tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))
    known = {one.name for one in dataclasses.fields(Quantization)}
    keys = {key: value for key, value in tables.get("quantization", {}).items() if key in known}
    quantization = Quantization(**keys)
    rounded = quantization.load_in_8bit or quantization.load_in_4bit
    return Rounding(quantization if rounded else None, tables.get("train", {}).get("frozen_dtype", "float32"))


def unmerged(checkpoint: Path, *, device: torch.device, rounding: Rounding | None = None) -> OpenModel:
    """The checkpoint with its adapter beside the weights; the base in float32, or rounded as it was in training.

    Computed is in float32 whatever the rounding (bitsandbytes has its own ways): what differs is the weights. Raises
    `ModelError` where the base is missing, and where bitsandbytes cannot be used.
    """
    rounding = rounding or Rounding()
    loading = {}
    if rounding.quantization is not None:
        loading = options(train=Train(), adapter=Adapter(), quantization=rounding.quantization, device=device)
    opened = open_model(checkpoint, device=device, dtype=torch.float32, merge=False, loading=loading)
    model = opened.bundle.model
    if rounding.frozen_dtype != "float32":
        half = getattr(torch, rounding.frozen_dtype)
        frozen.cast(model, half)
        for parameter in model.parameters():
            if parameter.dtype == half:
                parameter.data = parameter.data.float()
    model.requires_grad_(False)
    return opened
