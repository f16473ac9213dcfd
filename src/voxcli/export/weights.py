"""A checkpoint -> the state of its weights: which files, how large, of when. An export of another state is stale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxcli.models.checkpoint import read_json

_PATTERNS = ("*.safetensors", "*.bin")


def files(checkpoint: Path) -> Iterator[Path]:
    """The files with its weights."""
    for pattern in _PATTERNS:
        yield from sorted(checkpoint.glob(pattern))


def state(checkpoint: Path) -> list[list[Any]]:
    """[name, bytes, mtime in ns] of each file; for an adapter also of its base, where that is a local folder."""
    base = _base(checkpoint)
    return [
        [before + path.name, path.stat().st_size, path.stat().st_mtime_ns]
        for before, folder in (("", checkpoint), ("base/", base))
        if folder is not None
        for path in files(folder)
    ]


def same(then: list[list[Any]], checkpoint: Path) -> bool:
    """Whether the weights are those of `then`, a state. A base that has gone since is taken for the one it was."""
    now = state(checkpoint)
    if not any(str(name).startswith("base/") for name, *_ in now):
        then = [one for one in then if not str(one[0]).startswith("base/")]
    return then == now


def _base(checkpoint: Path) -> Path | None:
    adapter = read_json(str(checkpoint), "adapter_config.json")
    if adapter is None:
        return None
    named = (read_json(str(checkpoint), "vox.json") or {}).get("base") or adapter.get("base_model_name_or_path")
    return Path(str(named)) if named and Path(str(named)).is_dir() else None
