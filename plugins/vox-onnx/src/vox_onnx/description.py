"""onnx.json of an exported folder: what the graph takes and gives, and how it was made and compared.

{"format": 1,
 "file": "model.onnx",
 "task": "ctc",
 "sampling_rate": 16000,                    Hz
 "stride": 640,                             samples of audio per frame of the logits
 "inputs": {"input_features": {"type": "float32", "axes": ["batch", "time", 80]},
            "attention_mask": {"type": "int64", "axes": ["batch", "time"]}},
 "output": "logits",
 "quantization": "none",
 "opset": 17,
 "hears_padding": false,                    whether logits of a clip change with the padding behind it
 "compared": {…}}                           with the checkpoint: see logits
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxcli.errors import ModelError

FILE = "onnx.json"
GRAPH = "model.onnx"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Description:
    """What stands in onnx.json."""

    format: int = FORMAT
    file: str = GRAPH
    task: str
    sampling_rate: int
    stride: int
    inputs: dict[str, dict[str, Any]]
    output: str = "logits"
    quantization: str
    opset: int
    hears_padding: bool
    compared: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Write onnx.json into the folder."""
        text = json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2)
        (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Description:
    """onnx.json of a folder. Raises `ModelError` where there is none, or none that this version understands."""
    if not (folder / FILE).is_file():
        raise ModelError(
            f"{folder} was not exported for onnxruntime: it has no {FILE}",
            help=f"make a folder that is: vox export {folder} --to onnx",
        )
    try:
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
        made = Description(**stored)
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{folder / FILE} cannot be read: {error}", help="export the model again, or update vox-onnx"
        ) from error
    if made.format != FORMAT:
        raise ModelError(
            f"{folder / FILE} is of format {made.format}, and this vox-onnx reads {FORMAT}",
            help="update vox-onnx, or export the model again",
        )
    return made
