"""The figures of a data set -> lines for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxcli.api import Split
from voxcli.data.corpus import clock
from voxcli.survey.histogram import bars

GROUPS = 8  # speakers, languages, labels that are named
CHARACTERS = 60  # of the most frequent ones
RARE = 5  # times, below which a character is rare
_NOUNS = {"speakers": "speaker", "languages": "language", "labels": "label"}


def lines(name: str, found: Mapping[Split, Mapping[str, Any]], notes: Sequence[str] = ()) -> list[str]:
    """All splits one after the other, each with its histograms."""
    total = sum(one["seconds"] for one in found.values())
    count = sum(one["utterances"] for one in found.values())
    rows = [f"{name}: {count:,} utterances, {clock(total)}"]
    for split, figures in found.items():
        rows += ["", f"{split}: {figures['utterances']:,} utterances, {clock(figures['seconds'])}"]
        if figures["unusable"]:
            rows.append(f"unusable: the audio of {figures['unusable']:,} utterances; `vox doctor` says why")
        rows += bars(figures["duration"], "duration", "s")
        rows += _texts(figures)
        for key, noun in _NOUNS.items():
            rows += _groups(noun, figures[key], figures["utterances"])
        rows += _audio(figures["audio"], figures["utterances"])
    return rows + (["", *notes] if notes else [])


def _texts(figures: Mapping[str, Any]) -> list[str]:
    texts = figures["texts"]
    if not texts["with_text"]:
        return ["texts: none"]
    missing = figures["utterances"] - texts["with_text"]
    parts = [f"{texts['words']:,} words", f"{texts['different']:,} different texts"]
    parts += [f"{texts['empty']:,} empty"] if texts["empty"] else []
    parts += [f"{missing:,} utterances without one"] if missing else []
    rows = [f"texts: {', '.join(parts)}"]
    rows += bars(texts["length"], "text", "characters")
    rows += bars(texts["letters_per_second"], "rate", "letters a second")
    counts = figures["characters"]
    often = [f"{_shown(one)} {count:,}" for one, count in counts.items() if count >= RARE]
    dots = " …" if len(often) > CHARACTERS else ""
    rows.append(f"characters: {len(counts)} different: {'  '.join(often[:CHARACTERS])}{dots}")
    rare = [f"{_shown(one)} {count}" for one, count in counts.items() if count < RARE]
    if rare:
        rows.append(f"rare (fewer than {RARE} times): {'  '.join(rare[:CHARACTERS])}")
    return rows


def _groups(noun: str, groups: Mapping[str, Mapping[str, Any]], utterances: int) -> list[str]:
    if not groups:
        return []
    named = [f"{value} {one['utterances']:,} ({clock(one['seconds'])})" for value, one in list(groups.items())[:GROUPS]]
    more = f", … {len(groups) - GROUPS:,} more" if len(groups) > GROUPS else ""
    without = utterances - sum(one["utterances"] for one in groups.values())
    rest = f"; {without:,} utterances name none" if without else ""
    return [f"{noun}s: {len(groups):,}: {', '.join(named)}{more}{rest}"]


def _audio(audio: Mapping[str, Any], utterances: int) -> list[str]:
    def counted(values: Mapping[str, int], unit: str) -> str:
        return ", ".join(f"{value}{unit} {count:,}" for value, count in values.items())

    read = audio["headers_read"]
    sampled = "" if read == utterances else f" ({read:,} headers read)"
    rows = [f"files: {counted(audio['formats'], '')}"]
    if read:
        rows.append(
            f"sampling rate: {counted(audio['sampling_rates'], ' Hz')}; "
            f"channels: {counted(audio['channels'], '')}{sampled}"
        )
    return rows


def _shown(character: str) -> str:
    """A character that can be seen."""
    if character == " ":
        return "space"
    return character if character.isprintable() else f"U+{ord(character):04X}"
