"""What is left of a run on disk -> columns that checks look at; of voxcli or of the transformers Trainer."""

from __future__ import annotations

from pathlib import Path


class Record:
    """One run."""


def of_run(folder: Path) -> Record:
    """A run's folder."""
    return Record()


def of_trainer(folder: Path) -> Record:
    """A folder that the transformers Trainer wrote."""
    return Record()
