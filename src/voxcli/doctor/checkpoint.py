"""The folder of a trained model, its files read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder with config.json or adapter_config.json."""

    path: Path
