"""A checkpoint with an adapter -> the model as it was trained: adapter beside the weights, base as it was kept.

In training the base may stand in 8 or 4 bits (`[quantization]`) or in half precision (`train.frozen_dtype`); what the
run itself decodes is that base with the adapter, and not quite what the full-precision base with it decodes.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from voxcli.models.open import OpenModel, open_model
from voxcli.models.settings import read_settings
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.train import frozen, quantized
from voxcli.train.loading import options

_T = TypeVar("_T")


@dataclass(frozen=True)
class Rounding:
    """In what a run kept its frozen base."""

    quantization: Quantization | None = None
    frozen_dtype: str = "float32"
    adapter: Adapter | None = None
    """The run's `[adapter]`: layers that it trains whole are not quantised."""

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
    quantization = _made(Quantization, tables.get("quantization", {}))
    return Rounding(
        quantization if quantized.asked(quantization) else None,
        tables.get("train", {}).get("frozen_dtype", "float32"),
        _made(Adapter, tables.get("adapter", {})),
    )


def unmerged(checkpoint: Path, *, device: torch.device, rounding: Rounding | None = None) -> OpenModel:
    """The checkpoint with its adapter beside the weights; the base in float32, or rounded as it was in training.

    Computed is in float32 whatever the rounding (bitsandbytes has its own ways): what differs is the weights. Raises
    `ModelError` where the base is missing, and where bitsandbytes cannot be used.
    """
    rounding = rounding or Rounding()
    loading = {}
    if rounding.quantization is not None and (settings := read_settings(str(checkpoint))) is not None:
        loading = options(
            train=Train(),
            adapter=rounding.adapter,
            quantization=rounding.quantization,
            device=device,
            family=settings.family(),
        )
    opened = open_model(checkpoint, device=device, dtype=torch.float32, merge=False, loading=loading)
    model = opened.bundle.model
    quantized.make_trainable(model)  # as it is evaluated in training
    if rounding.frozen_dtype != "float32":
        half = getattr(torch, rounding.frozen_dtype)
        frozen.cast(model, half)
        for parameter in model.parameters():
            if parameter.dtype == half:
                parameter.data = parameter.data.float()
    model.requires_grad_(False)
    return opened


def _made(cls: type[_T], table: dict[str, Any]) -> _T:
    """Keys of another version are left out: the table was checked when the run began."""
    known = {one.name for one in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return cls(**{key: value for key, value in table.items() if key in known})
