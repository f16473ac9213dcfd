"""What was exported and how it compares -> the lines a person reads, and the JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from voxcli.evaluate.compare import Comparison
from voxcli.evaluate.report import percent, table
from voxcli.export.check import Check, Logits
from voxcli.export.parity import Parity
from voxcli.export.run import Exported


def lines(exported: Exported, *, to: str) -> Iterator[str]:
    """Place and size, the logits, and the error rates of the run itself and of what was exported."""
    width = max(len("checkpoint"), len(to))

    def line(label: str, content: str) -> str:
        return f"{label:<{width}}  {content}"

    yield line("checkpoint", f"{_near(exported.checkpoint)}")
    if exported.address is not None:
        yield line("uploaded", exported.address)
    found = exported.check
    if exported.base is not None:
        kept = f"; trained over {found.rounding}" if found is not None and found.rounding else ""
        yield line("base", f"{_near(Path(exported.base))}{kept}")
    yield line(to, f"{exported.folder}, {exported.size / 1e6:,.1f} MB")
    if found is None:
        yield line("check", "none")
        return
    if isinstance(found, Check):
        yield line("logits", _logits(found.logits, adapter=exported.base is not None))
    if found.classified is not None:
        same = "all classified alike" if not found.changed else f"{found.changed} classified otherwise"
        yield line("classes", f"{found.classified} utterances of {found.probe.name}: {same}")
        return
    if found.comparison is None:
        yield line("texts", f"not compared: {found.probe.name}")
        return
    count = found.comparison.after.utterances
    same = "all transcribed alike" if not found.changed else f"{found.changed} transcribed otherwise"
    if isinstance(found, Parity) and found.changed:
        same += f", {found.moved.errors} other words of {found.moved.length}"
    yield line("texts", f"{count} utterances of {found.probe.name}: {same}")
    yield ""
    if isinstance(found, Parity):
        over = " with its adapter over the exact base" if found.rounding else ""
        yield f"before: the checkpoint{over}, by the engine 'transformers'"
        yield f"after:  {exported.folder}, by the engine '{found.engine}'"
    else:
        yield f"before: {f'the adapter over its {found.rounding} base' if found.rounding else 'the checkpoint'}"
        yield f"after:  {exported.folder}"
    yield from table(["", "before %", "after %", "change"], list(_rates(found.comparison)))


def as_json(exported: Exported, *, model: str, to: str) -> dict[str, Any]:
    """The same for a script."""
    content: dict[str, Any] = {
        "model": model,
        "checkpoint": str(exported.checkpoint),
        "to": to,
        "folder": str(exported.folder),
        "bytes": exported.size,
        "base": exported.base,
        "address": exported.address,
    }
    found = exported.check
    return content | {"check": None if found is None else _check(found)}


def _near(path: Path) -> Path:
    """A path as it is seen from the working directory, where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _check(found: Check | Parity) -> dict[str, Any]:
    return {
        "trained_over": str(found.rounding),
        **({"logits": _measured(found.logits)} if isinstance(found, Check) else {"engine": found.engine}),
        "probe": _classified(found)
        if found.comparison is None
        else {
            "name": found.probe.name,
            "utterances": found.comparison.after.utterances,
            "changed": found.changed,
            **({"other_words": found.moved.errors} if isinstance(found, Parity) else {}),
            **found.comparison.as_json(),
        },
    }


def _measured(logits: Logits) -> dict[str, Any]:
    return {
        "difference": logits.difference,
        "tolerance": logits.tolerance,
        "largest": logits.largest,
        "adapter": logits.effect,
        "audio": logits.audio,
    }


def _classified(found: Check | Parity) -> dict[str, Any] | None:
    if found.classified is None:
        return None
    return {"name": found.probe.name, "utterances": found.classified, "changed": found.changed}


def _logits(logits: Logits, *, adapter: bool) -> str:
    what = "differ from those of base + unmerged adapter" if adapter else "differ from the checkpoint's"
    shown = f"{what} by up to {logits.difference:.2g} of {logits.largest:.3g} (allowed {logits.tolerance:.2g}"
    return shown + (f"; the adapter moves them by {logits.effect:.2g})" if logits.effect is not None else ")")


def _rates(comparison: Comparison) -> Iterator[list[str]]:
    for (text, metric), change in comparison.differences.items():
        before, after = (scores.rates[text, metric].value for scores in (comparison.before, comparison.after))
        moved = "-" if change is None else f"{100 * change.value:+.1f}"
        yield [f"{metric.upper()} {text}", percent(before), percent(after), moved]
