"""Scores of a classifier -> the lines a person reads: figures, a row for each class, who is taken for whom."""

from __future__ import annotations

from collections.abc import Iterator

from voxcli.evaluate.classes import ClassRow, ClassScores
from voxcli.evaluate.report import MAX_GROUPS, percent, table

MATRIX = 20  # classes of a confusion matrix that is shown; beyond, the pairs say more
SHOWN_CLASSES = 40  # rows; scores.json holds all
SHOWN_PAIRS = 10
SHOWN_WORST = 20
WIDTH = 8  # of a column's name in the matrix


def lines(scores: ClassScores) -> Iterator[str]:
    """The report, in percent."""
    figures = [
        ["accuracy", "accuracy"],
        ["macro F1", "macro_f1"],
        *([["mean average precision", "mean_average_precision"]] if scores.multi_label else []),
    ]
    rows = [
        [said, percent(scores.figures[name]), "–".join(percent(one) for one in scores.intervals.get(name) or ()) or "-"]
        for said, name in figures
    ]
    yield from table(["", "%", "95 %"], rows)
    yield ""
    yield from _classes(scores)
    yield from _confusion(scores)
    for kind, groups in scores.breakdowns().items():
        yield ""
        shown = list(groups.items())
        if kind == "speaker":
            shown.sort(key=lambda item: item[1][1])
        group_rows = [[name, str(count), percent(value)] for name, (count, value) in shown[:MAX_GROUPS]]
        yield from table([f"by {kind}", "utterances", "accuracy %"], group_rows)
        if len(shown) > MAX_GROUPS:
            yield f"… and {len(shown) - MAX_GROUPS} more"
    yield from _mistakes(scores)


def _classes(scores: ClassScores) -> Iterator[str]:
    shown = [row for row in scores.rows if row.support or row.predicted]
    left_out = len(scores.rows) - len(shown)
    if len(shown) > SHOWN_CLASSES:
        shown = sorted(shown, key=lambda row: (row.f1, row.name))[:SHOWN_CLASSES]
    header = ["class", "utterances", "precision %", "recall %", "F1 %", *(["AP %"] if scores.multi_label else [])]
    yield from table(header, [_row(row, scores.multi_label) for row in shown])
    more = sum(bool(row.support or row.predicted) for row in scores.rows) - len(shown)
    if more:
        yield f"… and {more} classes with a higher F1"
    if left_out:
        yield f"{left_out} of the model's classes neither hold nor are chosen here"
    if unknown := [row.name for row in scores.rows if not row.known]:
        yield f"the model does not know {', '.join(unknown[:SHOWN_PAIRS])}: each of these utterances is wrong"


def _row(row: ClassRow, multi_label: bool) -> list[str]:
    cells = [row.name, str(row.support), percent(row.precision), percent(row.recall), percent(row.f1)]
    return [*cells, percent(row.average_precision)] if multi_label else cells


def _confusion(scores: ClassScores) -> Iterator[str]:
    if scores.multi_label:
        return
    wrong = [(pair, count) for pair, count in scores.confusion.most_common() if pair[0] != pair[1]]
    names = [row.name for row in scores.rows if row.support or row.predicted]
    if wrong and 2 <= len(names) <= MATRIX:
        yield ""
        short = [name if len(name) <= WIDTH else name[: WIDTH - 1] + "…" for name in names]
        cells = [[held, *(_cell(scores.confusion[held, chosen]) for chosen in names)] for held in names]
        yield from table(["is / taken for", *short], cells)
    if wrong:
        yield ""
        pairs = [f"{held} → {chosen} ({count})" for (held, chosen), count in wrong[:SHOWN_PAIRS]]
        yield "most often confused: " + ", ".join(pairs)


def _cell(count: int) -> str:
    return str(count) if count else "."


def _mistakes(scores: ClassScores) -> Iterator[str]:
    if not scores.mistakes:
        return
    wrong = sum(not clip.right for clip in scores.clips)
    shown = scores.mistakes[:SHOWN_WORST]
    yield ""
    yield f"wrong: {wrong} of {len(scores.clips)}, the surest first"
    rows = []
    for clip in shown:
        said = ", ".join(clip.prediction.chosen) or "nothing"
        held = ", ".join(clip.held) or "nothing"
        rows.append([clip.utterance.id, held, said, percent(clip.sureness)])
    yield from table(["", "is", "taken for", "sure %"], rows)
