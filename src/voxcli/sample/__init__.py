"""What ships for a first try without a download: real speech (`speech/`) and a small base model (`model/`).

`sample-speech` is the data set, `sample-model` the checkpoint's name in a recipe or after `--model`.
"""

from __future__ import annotations

from pathlib import Path

SPEECH = Path(__file__).parent / "speech"
MODEL = Path(__file__).parent / "model"
MODEL_NAME = "sample-model"


def shipped(checkpoint: str) -> Path | None:
    """The folder of a checkpoint that ships under a name of its own, or None for any other name."""
    return MODEL if checkpoint == MODEL_NAME else None
