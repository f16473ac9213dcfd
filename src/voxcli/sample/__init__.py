"""What ships for a first try without a download: real speech (`speech/`) and a small base model (`model/`).

`sample-speech` is the data set, `sample-model` the checkpoint's name in a recipe or after `--model`.
"""

from __future__ import annotations

from pathlib import Path

SPEECH = Path(__file__).parent / "speech"
MODEL = Path(__file__).parent / "model"
MODEL_NAME = "sample-model"


SPEECH_NAME = "sample-speech"
ALIGNMENT = SPEECH / "alignment.jsonl"
"""Where each letter of the training prompts is spoken: `vox align runs/quickstart`."""


def shipped(checkpoint: str) -> Path | None:
    """The folder of a checkpoint that ships under a name of its own, or None for any other name."""
    return MODEL if checkpoint == MODEL_NAME else None


def shipped_file(key: str, value: str) -> Path | None:
    """What ships under the name that a key of a recipe holds, or None."""
    if key == "checkpoint":
        return shipped(value)
    return ALIGNMENT if (key, value) == ("alignment", SPEECH_NAME) else None
