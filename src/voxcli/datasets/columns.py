"""The names of a table's columns -> which of them holds the audio, the transcript, the duration.

A key of the recipe decides where it is set; else the names that are usual are looked for, whatever their case. Nothing
is guessed beyond that.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence

from voxcli.errors import DataError

log = logging.getLogger(__name__)

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "audio": ("audio", "path", "audio_path", "audio_filepath", "audio_file", "file", "file_name", "filename", "wav"),
    "text": ("text", "sentence", "transcript", "transcription"),
    "id": ("id", "utterance_id", "utt_id"),
    "duration": ("duration", "audio_duration", "duration_ms", "duration[ms]"),
    "offset": ("offset",),
    "label": ("label",),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "language": ("language", "lang", "locale"),
    "split": ("split",),
    "segments": ("segments", "words"),
}
NEEDED = "audio"
CLOSE = 0.75  # of 1, the likeness from which on a name is taken for a slip of the pen


def assign(columns: Sequence[str], asked: dict[str, str | None], source: str) -> dict[str, str]:
    """Meaning -> column, for the columns there are.

    `asked` holds the recipe's keys `audio_column`, `text_column` … under "audio", "text" …, None where one is not set.
    Raises `DataError` for a column that was asked for and is missing, for no audio column, and for a transcript's
    column that looks misspelt.
    """
    present = {column.strip().lower(): column for column in reversed(columns)}
    found: dict[str, str] = {}
    for meaning, usual in USUAL_NAMES.items():
        name = asked.get(meaning)
        if name is not None:
            if name not in columns and name.lower() not in present:
                raise _missing(name, columns, f"{source} has no column '{name}'", f"correct `{meaning}_column`")
            found[meaning] = name if name in columns else present[name.lower()]
        else:
            taken = {column for column in asked.values() if column}
            free = (present[name] for name in usual if name in present and present[name] not in taken)
            if (column := next(free, None)) is not None:
                found[meaning] = column
    if NEEDED not in found:
        raise _missing("audio", columns, f"no column of {source} holds the audio's path", "set `audio_column`")
    if "text" not in found:
        left = [column for column in columns if column not in found.values()]
        for usual_name in USUAL_NAMES["text"]:
            if close := difflib.get_close_matches(usual_name, left, n=1, cutoff=CLOSE):
                help = f"if it is '{close[0]}': text_column = \"{close[0]}\". Its columns: {', '.join(columns)}"
                raise DataError(f"no column of {source} holds the transcripts", help=help)
        if "label" not in found:
            log.warning(
                "no column of %s holds transcripts or labels: set `text_column`; its columns: %s. Pre-training needs "
                "neither",
                source,
                ", ".join(columns),
            )
    return found


def milliseconds(column: str) -> bool:
    """Whether a column of durations counts ms, by its name."""
    return column.lower().endswith(("_ms", "[ms]"))


def _missing(name: str, columns: Sequence[str], message: str, repair: str) -> DataError:
    close = difflib.get_close_matches(name, columns, n=1, cutoff=0.6)
    meant = f"did you mean '{close[0]}'? " if close else ""
    return DataError(message, help=f"{meant}{repair}; its columns: {', '.join(columns) or 'none'}")
