"""Tables -> what a data set holds: hours, durations, texts, characters, speakers, languages, sampling rates.

Arrow columns throughout; headers are read of HEADERS recordings, spread over each split, or of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from voxcli.api import Split
from voxcli.audio.decode import header
from voxcli.data.measure import THREADS
from voxcli.data.table import Table
from voxcli.doctor.data.speech_rate import letters_of
from voxcli.errors import DataError
from voxcli.progress import NULL, Bar, Progress
from voxcli.survey.histogram import summary
from voxcli.text.codepoints import CodePoints

HEADERS = 2000  # of a split


def statistics(
    tables: Mapping[Split, Table], *, every_header: bool = False, progress: Progress = NULL
) -> dict[Split, dict[str, Any]]:
    """The figures of each split, as JSON-able tables."""
    found: dict[Split, dict[str, Any]] = {}
    number = sum(len(table) if every_header else min(len(table), HEADERS) for table in tables.values())
    with progress.task("reading headers", total=number, unit="files") as bar:
        for split, table in tables.items():
            found[split] = {
                "utterances": len(table),
                "unusable": int(pc.sum(pc.is_valid(table.column("problem").array)).as_py() or 0),
                "seconds": round(table.duration, 3),
                "duration": summary(table.durations),
                **_texts(table),
                "speakers": _groups(table, "speaker"),
                "languages": _groups(table, "language"),
                "labels": _groups(table, "label"),
                "audio": _audio(table, every_header, bar),
            }
    return found


def _texts(table: Table) -> dict[str, Any]:
    column = table.texts.array
    present = np.asarray(pc.is_valid(column).to_numpy(), np.bool_)
    if not present.any():
        return {"texts": {"with_text": 0}, "characters": {}}
    points = CodePoints(column)
    lengths, letters, durations = points.lengths, letters_of(points), table.durations.astype(np.float64)
    spoken = present & (lengths > 0) & (durations > 0)
    with np.errstate(invalid="ignore"):
        rates = letters[spoken] / durations[spoken]
    return {
        "texts": {
            "with_text": int(present.sum()),
            "empty": int((present & (lengths == 0)).sum()),
            "different": int(pc.count_distinct(column, mode="only_valid").as_py()),
            "words": int(pc.sum(pc.count_substring_regex(column, r"\S+")).as_py() or 0),
            "length": summary(lengths[present]),
            "letters_per_second": summary(rates),
        },
        "characters": dict(sorted(points.counts.items(), key=lambda one: (-one[1], one[0]))),
    }


def _groups(table: Table, name: str) -> dict[str, dict[str, Any]]:
    """Value -> utterances and seconds, the one of most seconds first; rows without a value are not counted."""
    encoded = pc.dictionary_encode(table.column(name).array).combine_chunks()
    numbers = np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False))
    known = numbers >= 0
    values = encoded.dictionary.to_pylist()
    counts = np.bincount(numbers[known], minlength=len(values))
    seconds = np.bincount(
        numbers[known], weights=np.nan_to_num(table.durations[known].astype(np.float64)), minlength=len(values)
    )
    order = sorted(range(len(values)), key=lambda one: (-seconds[one], values[one]))
    return {values[one]: {"utterances": int(counts[one]), "seconds": round(float(seconds[one]), 3)} for one in order}


def _audio(table: Table, every: bool, bar: Bar) -> dict[str, Any]:
    """Formats of all files; sampling rates and channels of those whose header is read."""
    rows = np.arange(len(table))
    if not every and len(rows) > HEADERS:
        rows = np.unique(np.linspace(0, len(rows) - 1, HEADERS).astype(np.int64))
    paths = table.column("audio")
    formats = Counter(Path(path).suffix.lstrip(".").lower() if path else "stored" for path in paths)
    rates: Counter[int] = Counter()
    channels: Counter[int] = Counter()
    with ThreadPoolExecutor(THREADS, "vox-headers") as threads:
        for found in threads.map(lambda row: _header(table, int(row)), rows):
            bar.advance(1)
            if found is not None:
                rates[found[0]] += 1
                channels[found[1]] += 1
    return {
        "formats": dict(formats.most_common()),
        "headers_read": sum(rates.values()),
        "sampling_rates": {str(rate): count for rate, count in rates.most_common()},
        "channels": {str(number): count for number, count in channels.most_common()},
    }


def _header(table: Table, row: int) -> tuple[int, int] | None:
    audio = table.utterance(row).audio
    stored = getattr(audio, "encoded", None)
    try:
        source = audio if not callable(audio) else None if stored is None else stored()
        found = None if source is None else header(source)
    except DataError:
        return None
    return None if found is None else (found.sampling_rate, found.channels)
