"""A prediction in; what a person reads and what a script reads out. Sizes are shown in GiB (2^30 bytes)."""

from __future__ import annotations

import dataclasses
import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxcli.memory.cards import GIB, gib
from voxcli.memory.setup import PARTS, Shape
from voxcli.recipe.render import value_text

if TYPE_CHECKING:
    from voxcli.memory.calibration import Error
    from voxcli.memory.candidates import Candidate
    from voxcli.memory.measurement import Measurement
    from voxcli.memory.predict import Phase, Prediction

NAMES = {
    "weights": "weights, frozen",
    "trained weights": "weights, trained",
    "optimizer": "optimizer states",
    "averages": "averaged weights",
    "context": "CUDA context",
    "cuBLAS": "cuBLAS workspaces",
    "fragmentation": "gaps between tensors",
    "process": "Python and libraries",
    "malloc": "malloc's gaps",
}
"""What a part of the memory is called on the screen, where its own name does not say enough."""

WIDTH = 80
ROWS = 8  # of what fits; `--json` has all
_NAME, _FIGURE = 24, 14  # widths of the columns of the first table
_FACT = 13  # width of a fact's name
_LABEL = 48  # width of what a row of the second table changes


def lines(prediction: Prediction) -> list[str]:
    """The screen, at most 80 columns wide but for names."""
    made = [*_facts(prediction), "", *_table(prediction.phases), "", *_verdict(prediction)]
    if prediction.candidates is not None:
        made += ["", *_candidates(prediction)]
    if prediction.notes:
        made += ["", *(line for note in prediction.notes for line in _wrapped(note, "note: "))]
    return made


def _facts(prediction: Prediction) -> Iterator[str]:
    device = prediction.device
    share = prediction.trained_parameters / max(prediction.parameters, 1)
    size = "" if gib(device.total) in device.name else f" of {gib(device.total)}"
    kept = "" if device.usable == device.total else f", of which a run can have {gib(device.usable)}"
    for name, text in (
        ("model", prediction.model),
        ("parameters", f"{prediction.trained_parameters:,} trained of {prediction.parameters:,} ({share:.1%})"),
        ("device", f"{device.name}{size}{kept}"),
        ("data", prediction.data),
        ("batches", prediction.batch_rule),
        ("worst batch", shape_text(prediction.phases[0].shape, prediction.padded_to)),
    ):
        yield f"{name:<{_FACT}}{text}"


def stage_lines(totals: Mapping[str, int]) -> Iterator[str]:
    """What each stage of a run needs, bytes; the one that needs most is what is planned."""
    most = max(totals, key=lambda name: totals[name])
    for name, total in totals.items():
        yield f"stage {name:<20}{gib(total)}" + ("  needs most, and is planned here" if name == most else "")


def shape_text(shape: Shape, padded_to: float) -> str:
    """A batch in words: 8 clips of 7.8 s made 30 s, 112 tokens."""
    clips = f"{shape.n_utterances} clip{'s' if shape.n_utterances > 1 else ''} of {shape.duration:.1f} s"
    if padded_to > shape.duration + 0.05:
        clips += f" made {padded_to:g} s"
    return clips + (f", {shape.n_labels} tokens" if shape.n_labels else "")


def _table(phases: Sequence[Phase]) -> Iterator[str]:
    yield f"{'GiB':<{_NAME}}" + "".join(f"{phase.name:>{_FIGURE}}" for phase in phases)
    for name in PARTS:
        if any(phase.peak.parts.get(name) for phase in phases):
            yield _row(NAMES.get(name, name), [phase.peak.parts.get(name, 0) for phase in phases])
    yield _row("all tensors", [phase.peak.total for phase in phases])
    for name in dict.fromkeys(name for phase in phases for name in phase.beside):
        yield _row(NAMES.get(name, name), [phase.beside.get(name, 0) for phase in phases])
    yield _row("total", [phase.total for phase in phases])
    worst = max(phases, key=lambda phase: phase.total)
    if worst.peak.where:
        place = f"{worst.peak.phase} pass" if worst.peak.phase in ("forward", "backward") else worst.peak.phase
        yield from _wrapped(f"{worst.name} ({place}), at {worst.peak.where}", "highest: ")


def _row(name: str, sizes: Sequence[int]) -> str:
    return f"{name:<{_NAME}}" + "".join(f"{_figure(size):>{_FIGURE}}" for size in sizes)


def _figure(size: int) -> str:
    if not size:
        return "-"
    return f"{size / GIB:.2f}" if size >= GIB / 200 else "<0.01"


def _verdict(prediction: Prediction) -> Iterator[str]:
    need, have = prediction.total, prediction.device.usable
    share = f"{abs(have - need) / max(have, 1):.0%}"
    if need > have:
        yield f"does not fit: {gib(need)} needed, {gib(have)} there, {gib(need - have)} ({share}) too much"
    else:
        fits = "fits narrowly" if prediction.narrow else "fits"
        yield f"{fits}: {gib(need)} needed, {gib(have)} there, {gib(have - need)} ({share}) to spare"


def _candidates(prediction: Prediction) -> Iterator[str]:
    found = prediction.candidates or []
    if not found:
        yield "nothing that was tried fits: a larger device, a smaller model, or shorter clips"
        return
    yield f"{'what fits, the quickest first':<{_LABEL + 4}} {'needs':>9} {'spare':>6} {'speed':>6}"
    numbered = list(enumerate(found, start=1))
    shown = [pair for pair in numbered if pair[0] <= ROWS or pair[1] is prediction.recommended]
    for number, candidate in shown:
        mark = ">" if candidate is prediction.recommended else " "
        first, *more = textwrap.wrap(described(candidate), _LABEL)
        figures = f"{gib(candidate.total):>9} {candidate.margin:>6.0%} {candidate.speed:>6.2f}"
        yield f"{mark}{number:>2} {first:<{_LABEL}} {figures}"
        yield from (f"{'':4}{line}" for line in more)
    if len(found) > len(shown):
        yield f"    and {len(found) - len(shown)} more: --json has them"
    helps = prediction.helps_most
    if helps is not None and helps.changes and not (prediction.fits and not prediction.narrow):
        changes = ", ".join(change_text(key, value) for key, value in helps.changes.items())
        yield from _wrapped(f"{changes} ({gib(prediction.total)} -> {gib(helps.total)})", "saves most by itself: ")


def described(candidate: Candidate) -> str:
    """What a candidate does, and what it costs in data."""
    lost = f", {1 - candidate.data_kept:.1%} of the audio left out" if candidate.data_kept < 1 else ""
    return f"{candidate.label}{lost}"


def change_text(key: str, value: Any) -> str:
    """A change as a person writes it: train.optim = "sgd"; [adapter] r = 8; no [quantization]."""
    if value is None:
        return f"no [{key}]" if "." not in key else f"no {key}"
    if isinstance(value, dict):
        return f"[{key}] " + ", ".join(f"{name} = {value_text(inner)}" for name, inner in value.items())
    return f"{key} = {value_text(value)}"


def _wrapped(text: str, prefix: str) -> list[str]:
    indent = " " * min(len(prefix), 6)
    return textwrap.wrap(prefix + text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def table(prediction: Prediction) -> dict[str, Any]:
    """The prediction as a JSON-able table; sizes in bytes."""
    device = prediction.device
    recommended = prediction.recommended
    found = prediction.candidates
    return {
        "fits": prediction.fits,
        "total": prediction.total,
        "margin": round(prediction.margin, 4),
        "model": prediction.model,
        "parameters": {"total": prediction.parameters, "trained": prediction.trained_parameters},
        "device": {name: getattr(device, name) for name in ("name", "total", "usable", "kind", "capability", "here")},
        "constants": prediction.constants.source,
        "data": prediction.data,
        "phases": {
            phase.name: {
                "batch": dataclasses.asdict(phase.shape),
                "tensors": phase.peak.total,
                "tensors_without_kernels": phase.peak.results or None,
                "parts": dict(phase.peak.parts),
                "beside": dict(phase.beside),
                "total": phase.total,
                "highest_in": {"pass": phase.peak.phase, "module": phase.peak.where},
            }
            for phase in prediction.phases
        },
        "candidates": None if found is None else [_candidate(one) for one in found],
        "recommended": found.index(recommended) + 1 if found and recommended is not None else None,
        "saves_most": None if prediction.helps_most is None else _candidate(prediction.helps_most),
        "notes": list(prediction.notes),
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "label": described(candidate),
        "changes": dict(candidate.changes),
        "total": candidate.total,
        "margin": round(candidate.margin, 4),
        "speed": round(candidate.speed, 3),
        "data_kept": round(candidate.data_kept, 4),
    }


def measured_lines(found: Sequence[Measurement]) -> list[str]:
    """What `--measure` counted, beside what was predicted; of tensors alone."""
    rows = [(one.name, gib(one.predicted), gib(one.counted), f"{one.error:+.2%}") for one in found]
    header = ("tensors, this device", "predicted", "counted", "error")
    return [
        f"{name:<{_NAME}}{predicted:>12}{counted:>12}{error:>10}" for name, predicted, counted, error in [header, *rows]
    ]


def measured_table(found: Sequence[Measurement]) -> dict[str, dict[str, float]]:
    """The same for a script: phase -> bytes and the relative error."""
    return {
        one.name: {"predicted": one.predicted, "counted": one.counted, "error": round(one.error, 5)} for one in found
    }


def calibration_lines(found: Sequence[Error]) -> list[str]:
    """Past runs, one a line, and how far off they were together."""
    rows = [("ended", "device", "model", "of", "predicted", "measured", "error")]
    for one in found:
        figures = (gib(one.predicted), gib(one.measured), f"{one.relative:+.1%}")
        rows.append((one.row.time[:16].replace("T", " "), one.row.device, one.row.model, one.what, *figures))
    widths = [max(len(row[column]) for row in rows) for column in range(7)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    sizes = [abs(one.relative) for one in found]
    return [*lines, f"{len(found)} runs: off by {statistics.median(sizes):.1%} in the median, {max(sizes):.1%} at most"]


def calibration_table(found: Sequence[Error]) -> list[dict[str, Any]]:
    """The same for a script; sizes in bytes."""
    return [
        {
            **dataclasses.asdict(one.row),
            "what": one.what,
            "error": round(one.relative, 5),
        }
        for one in found
    ]
