"""M007: room for checkpoints and for what is downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import AMPLE_DISK, LITTLE_CACHE, LITTLE_DISK, NO_DISK
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


RUNS = Path("runs")  # where `vox train` writes, in the working directory


class LittleDisk:
    """Little is left of the disk where checkpoints or downloaded models are written.

    Why: a checkpoint holds the weights and two states of the optimizer, 12 bytes a parameter: 3 GB for whisper-small
    and 19 GB for whisper-large-v3, and while one is written the one before it is still there. A disk that fills up ends
    the run at its first checkpoint, after all the steps before it. Models are downloaded to the cache of the hub first.

    Repair: free some space; `--run-dir` names another folder for a run, HF_HOME for models, VOX_CACHE for indexes.

    Sources: arXiv 2212.04356, table 1 (parameters); arXiv 1711.05101 (AdamW's two states); "disk full": datasets#6789,
    #7117.
    """

    code: ClassVar[str] = "M007"
    name: ClassVar[str] = "little-disk"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """A finding for each disk, however many of the folders it holds."""
        from voxcli.folders import cache_folder

        told: set[int] = set()
        for what, folder, little, help in (
            ("checkpoints", RUNS, LITTLE_DISK, "free some space, or give `vox train` a --run-dir on another disk"),
            ("downloaded models", hub_cache(), LITTLE_CACHE, "free some space (`hf cache prune`), or set HF_HOME"),
            ("indexes", cache_folder(), LITTLE_CACHE, "free some space, or set VOX_CACHE"),
        ):
            disk = context.machine.disk(folder)
            if disk is None:
                continue
            place, free, total = disk
            device = _device(place)
            if device in told:
                continue
            message = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB are free for {what} in {folder}"
            if what == "checkpoints" and free < NO_DISK:
                message += "; one checkpoint of whisper-tiny trained whole takes 0.5 GB"
                yield Finding("error", message, help)
            elif free < little:
                needs = "whisper-small trained whole takes 3 GB a checkpoint"
                if what != "checkpoints":
                    needs = "a small model takes 0.4 GB"
                yield Finding("warning", f"{message}; {needs}", help)
            elif what == "checkpoints" and free < AMPLE_DISK:
                yield Finding("note", f"{message}; whisper-large-v3 trained whole takes 19 GB a checkpoint", help)
            else:
                continue
            told.add(device)


def hub_cache() -> Path:
    """Where the hub's files are kept: huggingface_hub's constants, without importing it."""
    if given := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(given).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def _device(place: Path) -> int:
    try:
        return place.stat().st_dev
    except OSError:
        return -1
