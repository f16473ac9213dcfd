"""A checkpoint -> one ordinary model that `from_pretrained` loads: an adapter is merged into its full-precision base.

The folder holds config and weights (safetensors), the generation config, tokenizer and feature extractor (also as
preprocessor_config.json, which converters read) and vox.json. A checkpoint without an adapter is copied unless another
type of weights is asked for.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar, Literal

from voxcli.api import config
from voxcli.errors import ModelError
from voxcli.models.checkpoint import quietly, read_config, read_json
from voxcli.models.settings import FILE

_NOT_THE_MODEL = ("training_state", ".*", "*.partial")


@config
class Merged:
    """One ordinary transformers folder."""

    ordinary: ClassVar[bool] = True

    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Type of the weights that are written. The half types take half the room; merging is done in float32."""

    def export(self, checkpoint: Path, out: Path) -> Path:
        """Write the model into the new folder `out`. Raises `ModelError` where the base of an adapter is missing."""
        if read_json(str(checkpoint), "adapter_config.json") is None:
            read_config(str(checkpoint))
            if self.dtype == "float32" and any(checkpoint.glob("*.safetensors")):
                return _copy(checkpoint, out)
        return self._write(checkpoint, out)

    def _write(self, checkpoint: Path, out: Path) -> Path:
        import torch

        from voxcli.models.open import open_model
        from voxcli.train.loading import save_pretrained

        opened = open_model(checkpoint, device="cpu", dtype="float32")
        if getattr(opened.bundle.model.config, "quantization_config", None) is not None:
            raise ModelError(
                f"the base of {checkpoint} is itself stored in 8 or 4 bits, into which nothing can be merged exactly",
                help="write the place of the full-precision base into vox.json (base) of the checkpoint",
            )
        save_pretrained(opened.bundle, out, dtype=getattr(torch, self.dtype))
        if (settings := read_json(str(checkpoint), FILE)) is not None:
            adapter = read_json(str(checkpoint), "adapter_config.json") is not None
            made_of = {"merged_from": str(checkpoint.resolve())} if adapter else {}
            _write_json(out / FILE, {**settings, "base": None, **made_of})
        return out


def _copy(checkpoint: Path, out: Path) -> Path:
    """The files of the model, without the state of its training."""
    shutil.copytree(checkpoint, out, ignore=shutil.ignore_patterns(*_NOT_THE_MODEL), dirs_exist_ok=True)
    if not (out / "preprocessor_config.json").is_file():
        from transformers import AutoFeatureExtractor

        with quietly():
            AutoFeatureExtractor.from_pretrained(out).save_pretrained(out)
    return out


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
