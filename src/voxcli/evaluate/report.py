"""Scores -> the lines a person reads: rates with intervals, breakdowns, confusions, the worst utterances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxcli.api import Decoding
from voxcli.evaluate.align import Alignment
from voxcli.evaluate.scores import Group, Rate, Scored, Scores

MAX_GROUPS = 12  # lines of one breakdown; scores.json holds all
SHOWN_CONFUSIONS = 10


def describe(decoding: Decoding) -> str:
    """The decoding configuration in one line."""
    parts = ["greedy" if decoding.num_beams == 1 else f"{decoding.num_beams} beams"]
    if decoding.decoder is not None:
        named = [
            f"{key} {value}" for key, value in decoding.decoder.items() if key != "type" and value not in ([], None)
        ]
        parts = [" ".join([f"decoder {decoding.decoder['type']}", f"({', '.join(named)})" if named else ""]).strip()]
    parts.append(f"language {decoding.language}" if decoding.language else "language as the model has it")
    if decoding.task != "transcribe":
        parts.append(decoding.task)
    if decoding.max_new_tokens is not None:
        parts.append(f"at most {decoding.max_new_tokens} tokens")
    if decoding.no_repeat_ngram_size:
        parts.append(f"no {decoding.no_repeat_ngram_size}-gram twice")
    if decoding.timestamps != "none":
        parts.append(f"times by {decoding.timestamps}")
    return ", ".join(parts)


def lines(scores: Scores) -> Iterator[str]:
    """The report. Rates are in percent; a rate is errors per reference word or character."""
    yield from table(
        ["", "WER %", "95 %", "CER %", "95 %", "words", "sub", "del", "ins"],
        [_rates(scores, text) for text in ("normalised", "raw")],
    )
    for of, groups in scores.breakdowns.items():
        yield ""
        shown = list(groups.items())
        if of == "speaker":
            shown.sort(key=lambda item: -(item[1].counts["normalised", "wer"].rate or 0.0))
        rows = [_group(name, group) for name, group in shown[:MAX_GROUPS]]
        yield from table([f"by {of}", "utterances", "minutes", "WER %", "CER %", "raw WER %"], rows)
        if len(shown) > MAX_GROUPS:
            yield f"… and {len(shown) - MAX_GROUPS} more"
    if scores.confusions:
        yield ""
        pairs = [f"{one} → {other} ({count})" for one, other, count in scores.confusions[:SHOWN_CONFUSIONS]]
        yield "most often confused: " + ", ".join(pairs)
    if scores.worst:
        yield ""
        yield f"worst {len(scores.worst)} of {scores.utterances} (WER %, normalised; capitals are errors)"
        for scored in scores.worst:
            yield from worst(scored)


def examples(scores: Scores) -> Iterator[str]:
    """The examples as they were scored raw: reference and hypothesis."""
    for scored in scores.examples:
        yield ""
        yield scored.utterance.id
        yield f"  reference   {scored.reference}"
        yield f"  hypothesis  {scored.hypothesis}"


def worst(scored: Scored) -> Iterator[str]:
    """One utterance: its rate, its id, and both texts one above the other."""
    yield f"{percent(scored.normalised.words.rate):>7}  {scored.utterance.id}"
    reference, hypothesis = aligned(scored.normalised)
    yield f"         ref  {reference}"
    yield f"         hyp  {hypothesis}"


def aligned(alignment: Alignment) -> tuple[str, str]:
    """Both texts with each word above its counterpart; errors in capitals, `***` where a word is missing."""
    above: list[str] = []
    below: list[str] = []
    for chunk in alignment.chunks:
        length = max(len(chunk.reference), len(chunk.hypothesis))
        for at in range(length):
            one = chunk.reference[at] if at < len(chunk.reference) else ""
            other = chunk.hypothesis[at] if at < len(chunk.hypothesis) else ""
            if chunk.kind != "equal":
                one, other = one.upper(), other.upper()
            width = max(len(one), len(other), 3 if not (one and other) else 0)
            above.append((one or "*" * width).ljust(width))
            below.append((other or "*" * width).ljust(width))
    return " ".join(above).rstrip(), " ".join(below).rstrip()


def percent(rate: float | None) -> str:
    """A rate in percent with one decimal."""
    return "-" if rate is None else f"{100 * rate:.1f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _rates(scores: Scores, text: str) -> list[str]:
    words, characters = scores.rates[text, "wer"], scores.rates[text, "cer"]
    counts = words.counts
    return [
        text,
        percent(words.value),
        _interval(words),
        percent(characters.value),
        _interval(characters),
        str(counts.length),
        str(counts.substitutions),
        str(counts.deletions),
        str(counts.insertions),
    ]


def _interval(rate: Rate) -> str:
    return "-" if rate.interval is None else "–".join(percent(bound) for bound in rate.interval)


def _group(name: str, group: Group) -> list[str]:
    return [
        name,
        str(group.utterances),
        f"{group.duration / 60:.1f}",
        percent(group.counts["normalised", "wer"].rate),
        percent(group.counts["normalised", "cer"].rate),
        percent(group.counts["raw", "wer"].rate),
    ]
