"""A data set and what is left out of it -> a manifest without that, a table of drops, a list for `[filter] exclude`.

A single manifest keeps its columns, in its own format; of anything else the columns of a manifest are written.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from voxcli.api import SPLITS, Split
from voxcli.datasets.manifest import Manifest, _Row
from voxcli.datasets.rows import format_of
from voxcli.datasets.rows import table as rows_of
from voxcli.errors import DataError, UsageError
from voxcli.survey.reasons import REASONS, Drop
from voxcli.survey.sources import Source

COLUMNS = ("id", "path", "offset", "duration", "text", "label", "speaker", "language", "split")
DROPPED = ("id", "split", "reason", "detail", "duration", "text", "label", "path")
SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".parquet": "parquet"}

Row = dict[str, Any]


def manifest_of(source: Source) -> Path | None:
    """The one manifest that holds the whole data set, with all its splits; None where there is no such file."""
    one = source.datasets[0]
    if len(source.datasets) != 1 or not isinstance(one, Manifest) or isinstance(one.path, tuple):
        return None
    return None if one.path is None or any(getattr(one, split) is not None for split in SPLITS) else Path(one.path)


def write_manifest(source: Source, drops: Sequence[Drop], out: Path) -> int:
    """Write the rows that stay to `out`, in the format of its name; how many these are.

    Raises `UsageError` for another format, `DataError` where audio lies in no file, or `out` cannot be written.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{out}: its name does not tell the format", help=f"end it in {', '.join(SUFFIXES)}")
    manifest = manifest_of(source)
    columns, rows = _own(source, manifest, drops, out) if manifest is not None else _made(source, drops, out)
    return _write(out, columns, rows)


def write_drops(source: Source, drops: Sequence[Drop], out: Path) -> None:
    """One row a drop: who, why, what was measured, and what it says. CSV, TSV, JSONL or Parquet by the name."""
    known = source.known

    def rows() -> Iterator[Row]:
        for drop in drops:
            table = known[drop.split]
            utterance = table.utterance(drop.row)
            yield {
                "id": utterance.id,
                "split": drop.split,
                "reason": drop.reason,
                "detail": drop.detail,
                "duration": utterance.duration,
                "text": table.originals[drop.row],
                "label": utterance.label,
                "path": "" if callable(utterance.audio) else str(utterance.audio),
            }

    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{out}: its name does not tell the format", help=f"end it in {', '.join(SUFFIXES)}")
    _write(out, DROPPED, rows())


def write_exclude(source: Source, drops: Sequence[Drop], out: Path) -> None:
    """The list that `[filter] exclude` names, reason by reason."""
    known = source.known
    rows = ["# vox data clean"]
    for reason, meaning in REASONS.items():
        some = [drop for drop in drops if drop.reason == reason]
        rows += [f"# {reason}: {meaning}"] if some else []
        for drop in some:
            split = "" if source.holds_out else f"\t{drop.split}"
            rows.append(f"{known[drop.split].ids[drop.row]}{split}")
    _put(out, "\n".join(rows) + "\n")


def _own(source: Source, path: Path, drops: Sequence[Drop], out: Path) -> tuple[Sequence[str], Iterator[Row]]:
    """The manifest's own rows; a relative path is made to hold in the folder of `out`."""
    manifest: Any = source.datasets[0]
    gone = {(drop.split, source.known[drop.split].ids[drop.row]) for drop in drops}
    format = format_of(path, manifest.format)
    with rows_of(path, format) as (columns, _):
        names = list(columns)
    row_of = _Row(manifest, names, path)
    belongs = {split: row_of.filter(split, manifest.splits) for split in SPLITS}
    here = os.path.abspath(out.parent)
    audio = names[row_of.at["audio"]]

    def rows() -> Iterator[Row]:
        seen: Counter[tuple[Split, str]] = Counter()
        taken = {split: set(table.ids) for split, table in source.listed.items()}
        with rows_of(path, format) as (_, found):
            for fields in found:
                utterance = row_of(fields)
                splits = [split for split in SPLITS if belongs[split](fields)] if row_of.has_split else ["train"]
                if utterance is None or not splits:
                    continue
                split: Split = splits[0]  # type: ignore[assignment]
                seen[split, utterance.id] += 1
                number = seen[split, utterance.id]
                name = utterance.id if number == 1 else f"{utterance.id}#{number}"
                while number > 1 and name not in taken.get(split, ()):  # that name was taken: the index went on
                    number += 1
                    name = f"{utterance.id}#{number}"
                    seen[split, utterance.id] = number
                    if number > len(taken.get(split, ())) + 1:
                        break
                if (split, name) in gone:
                    continue
                row = dict(zip(names, fields, strict=True))
                if here != row_of.root and not os.path.isabs(str(row[audio]).strip()):
                    row[audio] = str(utterance.audio)
                yield row

    return names, rows()


def _made(source: Source, drops: Sequence[Drop], out: Path) -> tuple[Sequence[str], Iterator[Row]]:
    here = Path(os.path.abspath(out.parent))
    gone = {(drop.split, drop.row) for drop in drops}
    known = source.known
    stored = [split for split, table in known.items() if table.column("audio").array.null_count]
    if stored:
        raise DataError(
            f"{source.name} holds its audio inside its own files, and a manifest names files of audio",
            help="--exclude LIST.txt writes a list for `[filter] exclude` instead",
        )

    def rows() -> Iterator[Row]:
        for split, table in known.items():
            for number in range(len(table)):
                if (split, number) in gone:
                    continue
                utterance = table.utterance(number)
                path = Path(str(utterance.audio))
                inside = path.is_relative_to(here)
                yield {
                    "id": utterance.id,
                    "path": str(path.relative_to(here) if inside else path),
                    "offset": utterance.offset,
                    "duration": utterance.duration,
                    "text": table.originals[number],
                    "label": utterance.label,
                    "speaker": utterance.speaker,
                    "language": utterance.language,
                    "split": split,
                }

    return COLUMNS, rows()


def _write(out: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    format, count = SUFFIXES[out.suffix.lower()], 0
    beside = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if format == "parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            whole = list(rows)
            pq.write_table(pa.table({name: [row.get(name) for row in whole] for name in columns}), beside)
            count = len(whole)
        else:
            with beside.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter="\t" if format == "tsv" else ",", lineterminator="\n")
                if format != "jsonl":
                    writer.writerow(columns)
                for row in rows:
                    count += 1
                    if format == "jsonl":
                        kept = {name: row.get(name) for name in columns if row.get(name) is not None}
                        file.write(json.dumps(kept, ensure_ascii=False) + "\n")
                    else:
                        writer.writerow(["" if row.get(name) is None else row.get(name) for name in columns])
        os.replace(beside, out)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror or error}", help="name another place") from error
    finally:
        beside.unlink(missing_ok=True)
    return count


def _put(out: Path, text: str) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror or error}", help="name another place") from error
