"""What `vox export` says in vox.json of a folder that an engine runs: of what it was made, how, and for which engine.

    "exported": {"to": "ctranslate2", "engine": "ctranslate2",
                 "checkpoint": "/…/runs/mine/checkpoints/step-000500", "keys": {…KEY=VALUE of the exporter…},
                 "weights": [["model.safetensors", bytes, mtime in ns], …]}

Beside it stands all that vox.json of the checkpoint says: keys of `[model]`, text rules, decoding.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import voxcli
from voxcli.errors import ModelError

FILE = "vox.json"
DEFAULT = "transformers"


def origin(folder: Path) -> dict[str, Any] | None:
    """The table `exported` of a folder; None where it was not exported, or is no folder at all."""
    stored = (_read(folder) or {}).get("exported")
    return stored if isinstance(stored, dict) else None


def engine_of(model: str) -> str:
    """The engine that a folder was exported for; that of all other models where it was not exported."""
    return str((origin(Path(model).expanduser()) or {}).get("engine") or DEFAULT)


def require_openable(model: str, name: str, engine: Any) -> None:
    """Raise `ModelError` where `model` was exported for another engine than `name`, one that opens no such folder."""
    name, folder = name.rpartition("/")[2], Path(model).expanduser()
    stored = origin(folder) or {}
    other, opens = stored.get("engine"), getattr(engine, "opens", None)
    same = other == name or stored.get("to") == getattr(engine, "exporter", None)
    if other and not same and not (opens is not None and opens(folder)):
        raise ModelError(
            f"{model} was exported for the engine '{other}', and the engine asked for is '{name}'",
            help=f"--engine {other}, or the run that it was made of as --model",
        )


def require_checkpoint(model: str) -> None:
    """Raise `ModelError` where `model` was exported for an engine: what is scored are checkpoints."""
    if (other := (origin(Path(model).expanduser()) or {}).get("engine")) is not None:
        raise ModelError(
            f"{model} was exported for the engine '{other}', and what is scored is a checkpoint",
            help="name the run that it was made of: `vox export` has compared both",
        )


def describe(
    folder: Path, checkpoint: Path, exporter: Any, *, to: str, engine: str, weights: list[list[Any]] | None = None
) -> None:
    """Write vox.json of an exported folder. What the exporter has written there itself is kept.

    `weights` is what `weights.state` said of the checkpoint when it was exported.
    """
    keys = {one.name: getattr(exporter, one.name) for one in dataclasses.fields(exporter)}
    content = {
        **(_read(folder) or _read(checkpoint) or {"voxcli": voxcli.__version__}),
        "base": None,
        "exported": {
            "to": to,
            "engine": engine,
            "checkpoint": str(checkpoint.resolve()),
            "keys": keys,
            "weights": weights,
        },
    }
    text = json.dumps(content, ensure_ascii=False, indent=2, default=str)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
