"""A run's name and an exporter -> its folder, checked against the run before it takes its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from voxcli.api import Exporter, Split
from voxcli.errors import ModelError
from voxcli.evaluate.target import run_of
from voxcli.export import card, folder, origin, probe, publish, weights
from voxcli.export.check import Check, check
from voxcli.export.original import Rounding, rounding_of
from voxcli.export.parity import Parity, parity
from voxcli.models.checkpoint import read_json
from voxcli.models.classifier_config import classifies
from voxcli.models.open import device_of, locate
from voxcli.models.settings import read_settings
from voxcli.plugins.manager import manager
from voxcli.progress import NULL, Progress
from voxcli.recipe.schema import TextRules

PROBE = 20  # utterances


@dataclass(frozen=True)
class Exported:
    """What was written."""

    checkpoint: Path
    folder: Path
    size: int
    """Bytes."""
    base: str | None
    """The checkpoint that an adapter was merged into; None where there was none."""
    check: Check | Parity | None
    """None where it was not asked for, or the format is neither a transformers folder nor run by an engine."""
    address: str | None = None
    """Where it was uploaded to."""


def export(
    model: str,
    exporter: Exporter,
    *,
    to: str,
    out: Path | None = None,
    checked: bool = True,
    n_probe: int = PROBE,
    data: str | None = None,
    split: Split | None = None,
    device: str | None = None,
    batch_duration: float = 120.0,
    repository: str | None = None,
    private: bool = False,
    progress: Progress = NULL,
) -> Exported:
    """Export a run (its best checkpoint), a checkpoint or an adapter's folder.

    `to` is the format's name, part of the default place. `repository`: upload it there, when it is checked. Raises
    `UsageError` where `out` exists, `ModelError` where the checkpoint or its base is missing and where what was written
    turns out to be another model: nothing is kept then; and where the hub does not take it: the folder is kept;
    `PluginError` where the engine is not installed that runs what the exporter writes.
    """
    checkpoint = _local(model)
    engine: str | None = getattr(exporter, "engine", None)
    runtime = manager().registry.load("engine", engine) if engine is not None and checked else None
    if repository is not None:
        publish.check(repository)
    run = run_of(checkpoint)
    out = out or place(checkpoint, run, to)
    folder.require_new(out)
    adapter = read_json(str(checkpoint), "adapter_config.json")
    settings = read_settings(str(checkpoint))
    base = None if adapter is None else (settings and settings.base) or adapter.get("base_model_name_or_path")
    chosen = probe.Probe(None, "not asked for")
    checked = checked and (getattr(exporter, "ordinary", False) or runtime is not None)
    if checked:  # before the long work: what is asked for by name has to be there
        text = settings.text_rules() if settings is not None else TextRules()
        task = settings.family().task if settings is not None else ""
        chosen = probe.choose(
            data,
            run,
            split=split,
            most=n_probe,
            text=text,
            labels=task == "classification" or (settings is None and _classifies(checkpoint)),
            model=model,
            progress=progress,
        )
    what = f"merging the adapter {checkpoint} into {base}" if base else f"exporting {checkpoint}"
    progress.say(what)
    result: Check | Parity | None = None
    torch_device = device_of(device)
    with folder.new_folder(out) as partial:
        state = weights.state(checkpoint)
        exporter.export(checkpoint, partial)
        if engine is not None:
            origin.describe(partial, checkpoint, exporter, to=to, engine=engine, weights=state)
        if checked and runtime is not None:
            assert engine is not None
            result = parity(
                checkpoint,
                partial,
                runtime,
                name=engine,
                probe=chosen,
                rounding=rounding_of(run) if adapter is not None else Rounding(),
                device=device,
                torch_device=torch_device,
                batch_duration=batch_duration,
                progress=progress,
            )
            result.require(model, repair=getattr(exporter, "repair", None))
        elif checked:
            result = check(
                checkpoint,
                partial,
                adapter=adapter is not None,
                probe=chosen,
                rounding=rounding_of(run),
                device=torch_device,
                dtype=getattr(torch, getattr(exporter, "dtype", "float32")),
                batch_duration=batch_duration,
                progress=progress,
            )
            result.require(model)
        if getattr(exporter, "ordinary", False) and settings is not None:
            name = repository.rpartition("/")[2] if repository else out.name if run is None else run.name
            described = card.card(checkpoint, run, task=settings.family().task, name=name)
            (partial / card.FILE).write_text(described, encoding="utf-8")
    address = None
    if repository is not None:
        progress.say(f"uploading {out} to {repository}")
        address = publish.publish(out, repository, private=private)
    return Exported(checkpoint, out, folder.size(out), base, result, address)


def place(checkpoint: Path, run: Path | None, to: str) -> Path:
    """Where an export goes unless told: into the run, or into `export/NAME` of the working directory."""
    if run is None:
        return Path("export") / checkpoint.name / to
    run = run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
    return run / "export" / f"{to}-{checkpoint.resolve().name}"


def _classifies(checkpoint: Path) -> bool:
    """Whether a checkpoint that voxcli did not write is a classifier."""
    config = read_json(str(checkpoint), "config.json")
    return config is not None and classifies(config)


def _local(model: str) -> Path:
    located = locate(model)
    if not Path(located).is_dir():
        raise ModelError(
            f"there is no run or folder '{model}'",
            help="give a run, a checkpoint or an adapter's folder; "
            "a model on the hub comes here with `hf download ID --local-dir FOLDER`",
        )
    stored = origin.origin(Path(located)) or {}
    if stored.get("engine"):
        raise ModelError(
            f"{model} was exported for the engine '{stored['engine']}', and is no checkpoint to export",
            help=f"export what it was made of: {stored.get('checkpoint')}",
        )
    return Path(located)
