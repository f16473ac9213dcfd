"""What a manifest says of the times within a clip -> segments: JSON, or the nested lists of jsonl and parquet.

    [{"start": 0.0, "end": 1.4, "text": "Good morning."}, {"start": 1.9, "end": 3.0, "text": "Come in."}]
    [{"start": 0.0, "end": 0.3, "word": "Good"}, {"start": 0.3, "end": 0.9, "word": "morning."}]

Times are seconds from the beginning of the clip. Words become segments that end at a pause.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from voxcli.api import Segment

PAUSE = 0.5  # s between two words that end a segment
LONGEST = 8.0  # s of words in one segment; whisper.cpp and faster-whisper show subtitles of about this length


def read(value: Any) -> str | None:
    """A manifest's value -> JSON of [start, end, text] rows as an index keeps it; None where it says nothing."""
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if hasattr(value, "tolist"):  # a column of numpy
        value = value.tolist()
    if isinstance(value, Mapping):  # {"start": [...], "end": [...], "text": [...]}, how datasets writes lists of tables
        keys = list(value)
        value = [dict(zip(keys, row, strict=False)) for row in zip(*value.values(), strict=False)]
    if not isinstance(value, list) or not value:
        return None
    try:
        rows = [_row(one) for one in value]
    except (TypeError, ValueError, KeyError, IndexError):
        return None
    if isinstance(value[0], Mapping) and "text" not in value[0]:
        rows = _joined(rows)
    rising = [time for start, end, _ in rows for time in (start, end)]
    if rising != sorted(rising) or rising[0] < 0:
        return None
    return json.dumps(rows, ensure_ascii=False)


def stored(value: str | None) -> tuple[Segment, ...]:
    """The segments that an index keeps."""
    if not value:
        return ()
    return tuple(Segment(text=text, start=start, end=end) for start, end, text in json.loads(value))


def kept(segments: tuple[Segment, ...]) -> str | None:
    """Segments as an index keeps them; None where there are none."""
    rows = [(one.start, one.end, one.text) for one in segments]
    return json.dumps(rows, ensure_ascii=False) if rows else None


def _row(one: Any) -> tuple[float, float, str]:
    if isinstance(one, Mapping):
        text = one["text"] if "text" in one else one["word"]
        return float(one["start"]), float(one["end"]), str(text).strip()
    start, end, text = one
    return float(start), float(end), str(text).strip()


def _joined(words: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Words -> stretches that end where nobody speaks, or where they become long."""
    rows = [words[0]]
    for start, end, text in words[1:]:
        begun, last, said = rows[-1]
        if start - last >= PAUSE or end - begun > LONGEST:
            rows.append((start, end, text))
        else:
            rows[-1] = (begun, end, f"{said} {text}")
    return rows
