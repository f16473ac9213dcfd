"""An exporter on tiny checkpoints: it writes into its folder alone, leaves the checkpoint be, and refuses others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxcli.contract import material
from voxcli.contract.bench import Bench, Component, said
from voxcli.contract.rules import Rule, rule
from voxcli.errors import ModelError, PluginError, VoxError


def _rule(name: str, expected: str, repair: str) -> Rule:
    return rule("exporter", name, expected, repair)


OUT = _rule("out", "it writes into the folder `out` and returns it", "return out")
ELSEWHERE = _rule("writes-elsewhere", "nothing outside of `out` changes", "use `out`, or tempfile.TemporaryDirectory()")
NO_MODEL = _rule(
    "no-model", "ModelError for a folder that is no checkpoint, and for a model of a kind it does not export",
    "raise ModelError(..., help=...)",
)  # fmt: skip
ORDINARY = _rule("ordinary", "where `ordinary` is True, voxcli opens what it wrote", "leave `ordinary` out")
ENGINE = _rule(
    "engine", "where `engine` names an engine, that engine opens what it wrote", "correct `engine`, or the files"
)


def try_exporter(bench: Bench, component: Component) -> None:
    """All of it, where the component could be made."""
    if component.made is None:
        return
    with bench.trial(component, "folders that hold no model"):
        empty = bench.folder / "no-checkpoint"
        empty.mkdir(exist_ok=True)
        for number, source in enumerate((empty, bench.folder / "not-there")):
            _refused(bench, component, source, f"nothing-{number}")
    with bench.trial(component, "tiny models"):
        done, refused = [], []
        for name, checkpoint in _models(component):
            try:
                done.append(_exported(bench, component, name, checkpoint))
            except ModelError as error:
                refused.append(f"{name}: {error.message}")
            except VoxError as error:
                bench.remark(component, NO_MODEL, f"{name}: it raises {said(error)}")
        if not done and refused:
            why = f"it exports none of the tiny models: {'; '.join(refused)}"
            bench.untried(component, why, repair=bench.how_to_give(component, '"checkpoint": "FOLDER"'))
    for folder in done:
        _opened(bench, component, folder)


def _models(component: Component) -> Iterator[tuple[str, Path]]:
    if component.source is not None:
        yield str(component.source), component.source
        return
    for name in ("whisper", "ctc", "classifier"):
        yield f"the tiny {name}", material.model(name)


def _place(bench: Bench, component: Component, name: str) -> Path:
    """A new empty folder, alone in a folder of its own."""
    out = bench.folder / f"export-{component.registration.name}-{name}" / "out"
    out.mkdir(parents=True)
    return out


def _refused(bench: Bench, component: Component, source: Path, name: str) -> None:
    try:
        component.made.export(source, _place(bench, component, name))
    except ModelError:
        return
    except Exception as error:  # third-party code: what it raises is what is asked for
        bench.remark(component, NO_MODEL, f"{source.name}: it raises {said(error)}")
    else:
        bench.remark(component, NO_MODEL, f"{source.name}: it exports something")


def _exported(bench: Bench, component: Component, name: str, checkpoint: Path) -> Path:
    out = _place(bench, component, checkpoint.name)
    before = _content(checkpoint)
    made = component.made.export(checkpoint, out)
    if not isinstance(made, Path) or made.resolve() != out or not any(out.iterdir()):
        bench.remark(
            component, OUT, f"of {name} it returns {made!r:.120}, and wrote {len(list(out.iterdir()))} files there"
        )
    if beside := [one.name for one in out.parent.iterdir() if one != out]:
        bench.remark(component, ELSEWHERE, f"beside `out` there is {', '.join(sorted(beside))}")
    if _content(checkpoint) != before:
        bench.remark(component, ELSEWHERE, f"files of the checkpoint have changed ({name})")
    return out


def _opened(bench: Bench, component: Component, folder: Path) -> None:
    """Whoever is to run it opens it."""
    name = getattr(component.cls, "engine", None)
    with bench.trial(component, "opening what it wrote"):
        if getattr(component.made, "ordinary", False):
            from voxcli.models.open import open_model

            try:
                open_model(folder, device="cpu")
            except VoxError as error:
                bench.remark(component, ORDINARY, said(error))
        if name is not None:
            try:
                engine: Any = bench.registry.load("engine", name)
            except PluginError as error:
                bench.untried(component, error.message, repair=error.help or "")
                return
            try:
                engine.open(folder, device="cpu")
            except VoxError as error:
                bench.remark(component, ENGINE, f"{name}: {said(error)}")


def _content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
