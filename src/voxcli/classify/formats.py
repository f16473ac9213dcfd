"""A result of `vox classify` -> the lines of one format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from voxcli.api import Classification
from voxcli.classify.run import Result

NOTHING = "nothing"  # where no class is probable enough


def txt(result: Result, *, top_k: int, threshold: float | None) -> Iterator[str]:
    """The path, and the most probable classes in percent; then the same for each window."""
    assert result.classification is not None
    yield f"{result.source.name}  {_said(result.classification, top_k, threshold)}"
    width = max((len(f"{window.end:.2f}") for window in result.windows), default=0)
    for window in result.windows:
        times = f"{window.start:{width}.2f}-{window.end:{width}.2f} s"
        yield f"  {times}  {_said(window.classification, top_k, threshold)}"


def tsv(result: Result, *, top_k: int, threshold: float | None) -> Iterator[str]:
    """A row for each class: path, start and end in s, label, probability, whether it is taken to hold (1 or 0).

    The windows' rows stand in place of the recording's where they were asked for.
    """
    assert result.classification is not None
    whole = (0.0, result.classification.duration, result.classification)
    parts = [(one.start, one.end, one.classification) for one in result.windows] or [whole]
    for start, end, found in parts:
        for label, score in ranked(found, top_k, threshold):
            cells = (result.source.name, f"{start:.3f}", f"{end:.3f}", label, f"{score:.6f}", label in found.chosen)
            yield "\t".join(_cell(cell) for cell in cells)


def as_json(result: Result, *, top_k: int, threshold: float | None) -> dict[str, Any]:
    """One object a recording; with `error` where it could not be classified."""
    if result.classification is None:
        return {"path": result.source.name, "error": result.problem}
    found = result.classification
    made: dict[str, Any] = {
        "path": result.source.name,
        "duration": round(found.duration, 3),
        "labels": list(found.chosen),
        "scores": _scores(found, top_k, threshold),
    }
    if result.windows:
        made["windows"] = [
            {
                "start": round(one.start, 3),
                "end": round(one.end, 3),
                "labels": list(one.classification.chosen),
                "scores": _scores(one.classification, top_k, threshold),
            }
            for one in result.windows
        ]
    return made


def json_line(result: Result, *, top_k: int, threshold: float | None) -> Iterator[str]:
    """`as_json` in one line."""
    yield json.dumps(as_json(result, top_k=top_k, threshold=threshold), ensure_ascii=False)


def ranked(found: Classification, top_k: int, threshold: float | None) -> list[tuple[str, float]]:
    """The `top_k` most probable classes (0: all) that are not below the threshold."""
    pairs = list(zip(found.labels, found.scores, strict=True))[: top_k or None]
    return [(label, score) for label, score in pairs if threshold is None or score >= threshold]


def _scores(found: Classification, top_k: int, threshold: float | None) -> dict[str, float]:
    return {label: round(score, 6) for label, score in ranked(found, top_k, threshold)}


def _said(found: Classification, top_k: int, threshold: float | None) -> str:
    return ", ".join(f"{label} {100 * score:.1f} %" for label, score in ranked(found, top_k, threshold)) or NOTHING


def _cell(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else " ".join(str(value).split("\t"))


FORMATS = {"txt": txt, "tsv": tsv, "json": json_line}
