"""What `--model` names and an engine -> a folder that the engine opens: exported already, or exported now, once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxcli.errors import ModelError
from voxcli.evaluate.target import run_of
from voxcli.export.options import configured
from voxcli.export.origin import FILE, origin
from voxcli.export.run import export, place
from voxcli.folders import cache_folder
from voxcli.models.checkpoint import read_json, source
from voxcli.models.open import locate
from voxcli.plugins.manager import manager
from voxcli.progress import NULL, Progress

_WEIGHTS = ("*.safetensors", "*.bin")


def folder_for(
    engine: Any,
    name: str,
    model: str,
    *,
    device: str | None = None,
    batch_duration: float = 120.0,
    progress: Progress = NULL,
) -> str:
    """The folder, or hub id, that `engine.open` gets for `model`; `engine` is the class and `name` what it is called.

    An engine without `exporter` opens every model itself. A folder in the engine's own format is opened as it is. Of a
    run, a checkpoint, an adapter or a transformers model on the hub, the newest export of that checkpoint is taken that
    is not older than it; where there is none, one is made with the exporter's defaults, checked, and kept: in the run's
    `export`, or in the cache where there is no run to write to.

    Raises `ModelError` where there is no such model, where the folder is another engine's, and where the exported model
    fails its check; `PluginError` where the exporter is not installed.
    """
    to = getattr(engine, "exporter", None)
    if to is None:
        return model
    name, to = name.rpartition("/")[2], str(to)
    checkpoint = _checkpoint(engine, name, to, model)
    if checkpoint is None:
        return model
    run = run_of(checkpoint)
    first = place(checkpoint, run, to)
    cached = cache_folder() / "exports" / f"{to}-{_key(checkpoint)}"
    made = [folder for at in (first, cached) for folder in _made(at, checkpoint, to)]
    if made:
        newest = max(made, key=lambda folder: (folder / FILE).stat().st_mtime_ns)
        progress.say(f"{newest}, exported from {checkpoint}")
        return str(newest)
    out = _free(first if run is not None and os.access(run, os.W_OK) else cached)
    progress.say(f"the engine '{name}' has no export of {checkpoint} yet: making {out}, once")
    exporter = configured(manager().registry.load("exporter", to), to, [])
    exported = export(
        model if Path(locate(model)).is_dir() else str(checkpoint),
        exporter,
        to=to,
        out=out,
        device=device,
        batch_duration=batch_duration,
        progress=progress,
    )
    found = exported.check
    if found is None or (found.comparison is None and found.classified is None):
        progress.say(f"not compared with the checkpoint: {'no check' if found is None else found.probe.name}")
    return str(exported.folder)


def _checkpoint(engine: Any, name: str, to: str, model: str) -> Path | None:
    """The folder of the checkpoint to export; None where the engine opens `model` as it is."""
    located = locate(model)
    folder = Path(located)
    if not folder.is_dir():
        config = read_json(located, "config.json")  # raises where there is no such model
        return _from_hub(located) if config is not None and "model_type" in config else None
    if (stored := origin(folder)) is not None:
        if stored.get("to") != to:
            other = stored.get("engine")
            raise ModelError(
                f"{model} was exported for the engine '{other}', and the engine asked for is '{name}'",
                help=f"--engine {other}, or the run that it was made of as --model",
            )
        return None
    opens = getattr(engine, "opens", None)
    if opens is not None and opens(folder):
        return None
    if read_json(located, "adapter_config.json") is not None:
        return folder
    config = read_json(located, "config.json")
    return folder if config is not None and "model_type" in config else None


def _from_hub(model: str) -> Path:
    """The snapshot of a transformers model on the hub: config, safetensors, tokenizer."""
    import huggingface_hub

    wanted = ["*.json", "*.safetensors", "*.txt", "*.model"]
    return Path(huggingface_hub.snapshot_download(model, allow_patterns=wanted, **source(model)))


def _made(at: Path, checkpoint: Path, to: str) -> Iterator[Path]:
    """Exports of the checkpoint at `at` and beside it (`at-2`, `at-int8`) that are not older than its weights."""
    weights = [path for pattern in _WEIGHTS for path in checkpoint.glob(pattern)]
    changed = max((path.stat().st_mtime_ns for path in weights), default=0)
    for folder in sorted(at.parent.glob(f"{at.name}*")):
        stored = origin(folder)
        if stored is None or stored.get("to") != to:
            continue
        of = Path(str(stored.get("checkpoint", "")))
        same = of == checkpoint or of.name == checkpoint.resolve().name  # the whole run may have moved
        if same and (folder / FILE).stat().st_mtime_ns >= changed:
            yield folder


def _free(out: Path) -> Path:
    """`out`, or `out-2` and so on where something stands there: an export of weights that have changed since."""
    number, free = 1, out
    while free.exists() or free.is_symlink():
        number += 1
        free = out.with_name(f"{out.name}-{number}")
    return free


def _key(checkpoint: Path) -> str:
    """A short name for a checkpoint that belongs to no run: that of its folder, and a hash of its path."""
    path = checkpoint.resolve()
    return f"{path.name}-{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
