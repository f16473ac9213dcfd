"""The name under which a setup's traces are kept: a model that was trained once begins its next run a second sooner.

It is a hash of all that a trace depends on: the setup, the checkpoint's small files, the versions of the
libraries and of voxcli's own code. Families and tasks of plugins are traced anew: their code may have changed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.data import kept
from voxcli.errors import VoxError
from voxcli.models.checkpoint import file_of

if TYPE_CHECKING:
    from voxcli.memory.setup import Setup

_FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "vocab.json",
)
_ROOMS = ("memory", "models", "tasks", "train")


def name_of(setup: Setup, described: str) -> str | None:
    """The name in the cache for a setup, of which `described` is all that decides; None where nothing is kept."""
    for part in (setup.family, setup.task):
        if not type(part).__module__.startswith("voxcli."):
            return None
    try:
        files = [*_small_files(setup.family), *_small_files(setup.task)]
    except (OSError, VoxError):
        return None
    told = json.dumps([described, files, sorted(versions().items()), kept.code(*_ROOMS)])
    return f"memory/{hashlib.sha256(told.encode()).hexdigest()[:32]}.npz"


def versions() -> dict[str, str]:
    """Of what decides how much memory a step takes, as far as it is installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("voxcli", "torch", "transformers", "peft", "bitsandbytes"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _small_files(part: Any) -> Iterator[str]:
    """Hashes of the files that a component's keys name, of a checkpoint those that say what model it is."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        found: Iterable[Path | None]
        if isinstance(value, str) and field.name == "checkpoint":
            found = (file_of(value, name) for name in _FILES)
        elif isinstance(value, str) and Path(value).expanduser().exists():
            path = Path(value).expanduser()
            found = (path / name for name in _FILES) if path.is_dir() else [path]
        else:
            continue
        yield from (_hash(path) for path in found if path is not None and path.is_file())


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
