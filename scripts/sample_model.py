"""Pack a trained run as the base model that ships: its best checkpoint in half precision, without training state.

In: a run folder of `vox train sample-model`. Out: src/voxcli/sample/model/{model.safetensors, config.json, …}.

    python scripts/sample_model.py runs/sample-model
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

OUT = Path(__file__).resolve().parents[1] / "src" / "voxcli" / "sample" / "model"
LARGEST = 10_000_000  # bytes of weights in the package
AS_THEY_ARE = ("generation_config.json", "preprocessor_config.json", "processor_config.json", "tokenizer_config.json")


def main(run: Path) -> None:
    """Write the weights in float16 and copy what else `from_pretrained` needs."""
    best = run / "best"
    OUT.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.half() if value.dtype == torch.float32 else value
        for name, value in load_file(best / "model.safetensors").items()
    }
    save_file(weights, OUT / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((best / "config.json").read_text(encoding="utf-8"))
    _write(OUT / "config.json", {**config, "dtype": "float16"})
    for name in (*AS_THEY_ARE, "vocab.json"):
        shutil.copyfile(best / name, OUT / name)
    settings = json.loads((best / "vox.json").read_text(encoding="utf-8"))
    # sizes and classes stand in config.json and vocab.json; the run's own paths mean nothing elsewhere
    _write(OUT / "vox.json", {**settings, "model": {"type": "ctc"}, "base": None})
    size = (OUT / "model.safetensors").stat().st_size
    print(f"{OUT}: {sum(value.numel() for value in weights.values()):,} parameters, {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"larger than {LARGEST:,} bytes")


def _write(path: Path, table: dict[str, object]) -> None:
    path.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
