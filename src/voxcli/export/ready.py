"""What `--model` names and an engine -> a folder that the engine opens: exported already, or exported now, once."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from voxcli.errors import ModelError, UsageError
from voxcli.evaluate.target import run_of
from voxcli.export import weights
from voxcli.export.options import configured
from voxcli.export.origin import FILE, origin, require_openable
from voxcli.export.run import export, place
from voxcli.folders import cache_folder
from voxcli.models.checkpoint import read_json, source
from voxcli.models.open import locate
from voxcli.plugins.manager import manager
from voxcli.progress import NULL, Progress


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

    An engine without `exporter` opens every model itself, but none that was exported for another one. A folder in the
    engine's own format is opened as it is. Of a run, a checkpoint, an adapter or a transformers model on the hub, the
    newest export of that checkpoint is taken that was made of its weights as they are; where there is none, one is made
    with the exporter's defaults, checked, and kept: in the run's `export`, or in the cache where there is no run to
    write to. Of several processes one makes it, and the others wait.

    Raises `ModelError` where there is no such model, where the folder is another engine's, and where the exported model
    fails its check; `PluginError` where the exporter is not installed.
    """
    to = getattr(engine, "exporter", None)
    require_openable(model, name, engine)
    if to is None:
        return model
    name, to = name.rpartition("/")[2], str(to)
    checkpoint = _checkpoint(engine, model)
    if checkpoint is None:
        located = locate(model)
        return located if Path(located).is_dir() else model
    run = run_of(checkpoint)
    first = place(checkpoint, run, to)
    cached = cache_folder() / "exports" / f"{to}-{_key(checkpoint)}"
    places = (first, cached)
    if (there := _newest(places, checkpoint, run, to)) is None:
        with _alone(cache_folder() / "locks" / f"export-{cached.name}", progress):
            if (there := _newest(places, checkpoint, run, to)) is None:
                out = _free(first if run is not None and os.access(run, os.W_OK) else cached)
                progress.say(f"the engine '{name}' has no export of {checkpoint} yet: making {out}, once")
                own = model if Path(locate(model)).is_dir() else str(checkpoint)
                return _exported(own, to, out, device=device, batch_duration=batch_duration, progress=progress)
    progress.say(f"{there}, exported from {checkpoint}")
    return str(there)


def _exported(model: str, to: str, out: Path, *, progress: Progress, **keys: Any) -> str:
    """The folder `out` with the model, by the exporter's defaults."""
    exporter = configured(manager().registry.load("exporter", to), to, [])
    try:
        exported = export(model, exporter, to=to, out=out, progress=progress, **keys)
    except (UsageError, ModelError) as error:
        if "--no-check" in (error.help or ""):
            raise type(error)(error.message, help=f"with `vox export {model} --to {to}`: {error.help}") from error
        if "--out" not in (error.help or ""):
            raise
        help = (
            f"set VOX_CACHE to a folder that can be written, or `vox export {model} --to {to} --out FOLDER` and name "
            "that folder as --model"
        )
        raise type(error)(error.message, help=help) from error
    found = exported.check
    if found is None or (found.comparison is None and found.classified is None):
        progress.say(f"not compared with the checkpoint: {'no check' if found is None else found.probe.name}")
    return str(exported.folder)


@contextlib.contextmanager
def _alone(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of an export, however long another process takes. Where there are no locks it is done without."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
            stack.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.say("waiting for another process, which exports the same model")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _checkpoint(engine: Any, model: str) -> Path | None:
    """The folder of the checkpoint to export; None where the engine opens `model` as it is."""
    located = locate(model)
    folder = Path(located)
    if not folder.is_dir():
        config = read_json(located, "config.json")  # raises where there is no such model
        return _from_hub(located) if config is not None and "model_type" in config else None
    if origin(folder) is not None:
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


def _newest(places: Iterable[Path], checkpoint: Path, run: Path | None, to: str) -> Path | None:
    """The newest export of the checkpoint at any of the places; None where there is none."""
    made = [folder for at in places for folder in _made(at, checkpoint, run, to)]
    return max(made, key=lambda folder: (folder / FILE).stat().st_mtime_ns, default=None)


def _made(at: Path, checkpoint: Path, run: Path | None, to: str) -> Iterator[Path]:
    """Exports of the checkpoint's weights, as they are, at `at` and beside it (`at-2`, `at-int8`)."""
    own = checkpoint.resolve()
    changed = max((path.stat().st_mtime_ns for path in weights.files(checkpoint)), default=0)
    inside = run is not None and at.parent.resolve() == (run / "export").resolve()
    for folder in sorted(at.parent.glob(f"{glob.escape(at.name)}*")):
        stored = origin(folder)
        if stored is None or stored.get("to") != to:
            continue
        of = Path(str(stored.get("checkpoint", "")))
        if of.resolve() != own and not (inside and of.name == own.name):  # the whole run may have moved
            continue
        then = stored.get("weights")
        current = (folder / FILE).stat().st_mtime_ns >= changed if then is None else weights.same(then, checkpoint)
        if current:
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
