"""A report -> a text to paste into an issue: versions, device, command, findings, the resolved recipe.

Utterances are counted, not named; what `masks` knows as secret or personal is taken out of all of it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import voxcli
from voxcli.api import SPLITS
from voxcli.doctor.context import Context, Unavailable
from voxcli.doctor.examine import Report
from voxcli.doctor.masks import Masks
from voxcli.doctor.report import HEADINGS, counted, summary
from voxcli.plugins.registry import BUILTIN
from voxcli.recipe.render import source, toml
from voxcli.train.lock import PACKAGES

if TYPE_CHECKING:
    from voxcli.data.table import Table

MOST = 10_000  # transcripts of named utterances that are looked for
BESIDE = ("pyarrow", "huggingface-hub", "torchaudio", "torchcodec", "typer", "pydantic")
"""Packages that runs are not recorded with and diagnoses may need."""
VARIABLES = ("VOX_", "CUDA_", "PYTORCH_", "OMP_NUM_THREADS", "HF_HUB_OFFLINE", "HF_HOME", "TRANSFORMERS_OFFLINE")
"""Beginnings of the names of the environment's variables that are told."""


def text(report: Report, command: str) -> str:
    """The whole text, Markdown."""
    masks = _masks(report)
    parts = [
        "### vox doctor",
        _block([command, *_variables()], "sh"),
        _block([*_versions(report.context), f"device        {_device()}"]),
        "### Findings",
        masks.findings(_block([*_findings(report), *summary(report)])),
    ]
    recipe = _recipe(report.context, masks)
    if recipe:
        parts += ["### Recipe, resolved", _block(recipe.rstrip("\n").split("\n"), "toml")]
    return masks("\n\n".join(parts) + "\n")


def _block(lines: Sequence[str], language: str = "") -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def _variables() -> Iterator[str]:
    for name, value in sorted(os.environ.items()):
        if name.startswith(VARIABLES):
            yield f"# {name}={'<path>' if value.startswith(('/', '~')) else value}"


def _versions(context: Context) -> Iterator[str]:
    yield f"voxcli        {voxcli.__version__}"
    yield f"python        {platform.python_version()}"
    yield f"system        {platform.platform()}, {platform.machine()}, {os.cpu_count()} processors"
    for name in (*PACKAGES, *BESIDE):
        try:
            yield f"{name:<13} {version(name)}"
        except PackageNotFoundError:
            yield f"{name:<13} not installed"
    for plugin in context.plugins.plugins:
        if plugin.distribution != BUILTIN:
            state = plugin.state + (f": {plugin.reason}" if plugin.reason else "")
            yield f"plugin        {plugin.name} of {plugin.distribution} {plugin.version}, {state}"


def _device() -> str:
    from voxcli.memory import machine

    try:
        found = machine.device()
    except (ImportError, OSError, RuntimeError) as error:  # a torch that does not load is what the report may be about
        return f"not known: {type(error).__name__}: {error}"
    return f"{found.name}, {found.usable / 2**30:.1f} of {found.total / 2**30:.1f} GiB"


def _findings(report: Report) -> Iterator[str]:
    for about, found in report.groups():
        yield f"{HEADINGS[about]}:"
        for finding in found:
            yield f"{finding.level}[{finding.code}]: {finding.message}"
            if finding.where:
                yield f"  --> {finding.where}"
            place = report.place(finding)
            if place is not None:
                yield from source(place)
            if finding.utterances:
                yield f"   = {counted(len(finding.utterances), 'utterance')}"
            if finding.help:
                yield f"   = help: {finding.help}"
        yield ""


def _recipe(context: Context, masks: Masks) -> str:
    try:
        return toml(masks.values(context.recipe.tables))
    except Unavailable:
        return ""


def _masks(report: Report) -> Masks:
    """What these data add to what is masked: ids, speakers, transcripts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array(sorted({name for finding in report.findings for name in finding.utterances}), type=pa.string())
    names = {one: "<utterance>" for one in found.to_pylist() if re.search(r"[^\W\d]", one)}  # 12 is also a figure
    columns: list[Any] = []
    for table in _tables(report.context):
        speakers = pc.unique(table.column("speaker").array).to_pylist()
        names |= {one: "<speaker>" for one in speakers if one is not None and re.search(r"[^\W\d]{2}", one)}
        texts = table.texts.array, table.originals.array
        named = pc.is_in(table.ids.array, value_set=found)
        said = {text for column in texts for text in column.filter(named).slice(0, MOST).to_pylist()}
        names |= {text: "<text>" for text in said if text is not None and len(text) > 3}
        columns += texts
    return Masks(names, columns)


def _tables(context: Context) -> Iterator[Table]:
    """The splits, where checks have listed them."""
    if context.opened("data") is None:
        return
    for split in SPLITS:
        with contextlib.suppress(Unavailable):
            if len(table := context.data.listed(split)):
                yield table
