"""A plugin's name or file and example keys in, the report of everything that was tried out."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from voxcli.contract import registration
from voxcli.contract.augmentation import try_augmentation
from voxcli.contract.backend import try_backend
from voxcli.contract.bench import Bench, Component, example_of
from voxcli.contract.check import try_check
from voxcli.contract.dataset import try_dataset
from voxcli.contract.decoder import try_decoder
from voxcli.contract.documentation import try_documentation
from voxcli.contract.engine import try_engine
from voxcli.contract.exporter import try_exporter
from voxcli.contract.families import give_tiny
from voxcli.contract.keys import try_keys
from voxcli.contract.model import try_model
from voxcli.contract.report import Report
from voxcli.contract.target import find, registered, registry_of
from voxcli.contract.task import try_task
from voxcli.contract.weight import try_weight
from voxcli.errors import UsageError
from voxcli.progress import NULL, Progress

OF_KIND: dict[str, Callable[[Bench, Component], None]] = {
    "dataset": try_dataset,
    "augmentation": try_augmentation,
    "model": try_model,
    "task": try_task,
    "backend": try_backend,
    "decoder": try_decoder,
    "engine": try_engine,
    "exporter": try_exporter,
    "check": try_check,
}

SOURCES = {"exporter": "checkpoint", "engine": "model"}
"""Example keys that are no keys of the component: what it is tried on."""

Examples = Mapping[str, Mapping[str, Any]]
""" "KIND/NAME" -> keys of the component's table with their values, as TOML has them."""


def examine(
    plugin: str | Path, *, examples: Examples | None = None, only: str = "", progress: Progress = NULL
) -> Report:
    """Try everything that a plugin brings.

    `only`: the beginning of a component's "KIND/NAME": the others are not tried. Raises `PluginError` where there is no
    such plugin, `UsageError` where `examples` names a component that it does not have.
    """
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory(prefix="vox-contract-") as folder:
        target = find(plugin)
        recorder, failed = registered(target)
        _refuse_unknown(examples or {}, [f"{one.kind}/{one.name}" for one in recorder.added])
        report = Report(target.name, target.distribution, target.version)
        bench = Bench(target, report, registry_of(recorder.added), Path(folder).resolve(), examples or {}, progress)
        registration.try_registration(bench, recorder, failed)
        try_weight(bench)
        for component in registration.components(bench, recorder, only=only):
            progress.say(f"trying {component.label}")
            _give(bench, component)
            _try(bench, component)
        return report


def _give(bench: Bench, component: Component) -> None:
    """Its example keys, and what it is to export or to open."""
    given = dict(bench.examples.get(component.label, example_of(component.cls)))
    source = SOURCES.get(component.kind)
    if source in given and source not in getattr(component.cls, "__dataclass_fields__", {}):
        component.source = Path(given.pop(source))
    component.given = given
    if component.kind == "model":
        with bench.trial(component, "tiny model"):
            give_tiny(component)


def _try(bench: Bench, component: Component) -> None:
    """All trials of one component. What a trial needs stands in the file of its kind."""
    try_documentation(bench, component)
    try_keys(bench, component)
    OF_KIND[component.kind](bench, component)


def _refuse_unknown(examples: Examples, labels: list[str]) -> None:
    for name in examples:
        if name not in labels:
            raise UsageError(
                f"examples: the plugin has no component '{name}'",
                help=f"KIND/NAME of one of these: {', '.join(sorted(labels)) or 'it registers none'}",
            )
