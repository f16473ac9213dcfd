"""A table file (CSV, TSV, JSONL, Parquet) -> its column names and its rows, one after the other.

CSV follows RFC 4180. A TSV field never spans lines, and its quotes are literal unless they enclose it whole with inner
ones doubled, as pandas writes it: a stray quote in a transcript must not swallow the rows below it.
"""

from __future__ import annotations

import codecs
import csv
import functools
import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from voxcli.errors import DataError

log = logging.getLogger(__name__)

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
LOOK = 100  # JSONL rows whose keys make up the columns
NAMED = 3  # bad rows that are named in a warning
BATCH = 8192  # Parquet rows read at once
LARGE = 1 << 22  # bytes of a file whose hash is worth remembering


def format_of(path: Path, asked: str | None) -> str:
    """The format asked for, else the one the name ends in. Raises `DataError` where it ends in none."""
    if asked is not None:
        return asked
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in FORMATS:
        return FORMATS[suffixes[-1]]
    raise DataError(
        f"{path}: its name does not tell the format", help='set `format` to "csv", "tsv", "jsonl" or "parquet"'
    )


@contextmanager
def table(path: Path, format: str, *, quoting: bool = True) -> Iterator[tuple[list[str], Iterator[Sequence[Any]]]]:
    """The columns and the rows, each row in the order of the columns. `quoting=False`: every quote is literal.

    Rows that cannot be parsed are left out and named in one warning. Raises `DataError` for a file that is missing,
    empty, or not in the format.
    """
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}", help="name the manifest itself: a CSV, TSV, JSONL or Parquet file")
    try:
        if format == "parquet":
            yield _parquet(path)
            return
        with path.open(encoding=_encoding(path), newline="") as file:
            yield {"csv": _csv, "tsv": _tsv if quoting else _literal_tsv, "jsonl": _jsonl}[format](file, path)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text: byte 0x{error.object[error.start]:02x} cannot be read",
            help="save it as UTF-8; `iconv -f ISO-8859-1 -t UTF-8` converts the usual other one",
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}", help="check its permissions") from error


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _empty(path: Path) -> DataError:
    return DataError(f"{path} is empty", help="the first line has to name the columns")


def _csv(file: TextIO, path: Path) -> tuple[list[str], Iterator[Sequence[str]]]:
    first = file.readline()
    if not first.strip():
        raise _empty(path)
    delimiter = "," if "," in first else next((mark for mark in ";\t|" if mark in first), ",")
    reader = csv.reader(itertools.chain([first], file), delimiter=delimiter, strict=True)

    def lines() -> Iterator[list[str]]:
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(
                    f"{path}:{reader.line_num}: {error}",
                    help='a quote inside a field is written twice (""), and the field is put in quotes',
                ) from error
            yield row

    rows = lines()
    columns = next(rows)
    return columns, _even(rows, columns, path)


def _tsv(file: TextIO, path: Path) -> tuple[list[str], Iterator[Sequence[str]]]:
    columns, rows = _literal_tsv(file, path)
    return [_unquoted(column) for column in columns], ([_unquoted(field) for field in row] for row in rows)


def _literal_tsv(file: TextIO, path: Path) -> tuple[list[str], Iterator[Sequence[str]]]:
    rows = (line.rstrip("\r\n").split("\t") for line in file)
    columns = next(rows, [""])
    if columns == [""]:
        raise _empty(path)
    return columns, _even(rows, columns, path)


def _unquoted(field: str) -> str:
    if len(field) < 2 or field[0] != '"' or field[-1] != '"':
        return field
    inner = field[1:-1].replace('""', "\0")
    return field if '"' in inner else inner.replace("\0", '"')


def _even(rows: Iterator[list[str]], columns: Sequence[str], path: Path) -> Iterator[list[str]]:
    """Rows with as many fields as there are columns; blank lines are passed over."""
    bad = Bad(path)
    for number, row in enumerate(rows, 2):
        if len(row) == len(columns):
            yield row
        elif row not in ([], [""]):
            bad.add(f"row {number} has {len(row)} fields instead of {len(columns)}")
    bad.tell()


def _jsonl(file: TextIO, path: Path) -> tuple[list[str], Iterator[Sequence[Any]]]:
    bad = Bad(path)

    def objects() -> Iterator[dict[str, Any]]:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                bad.add(f"line {number} is not JSON ({error})")
                continue
            if isinstance(row, dict):
                yield row
            else:
                bad.add(f"line {number} is not an object")
        bad.tell()

    rows = objects()
    start = list(itertools.islice(rows, LOOK))
    if not start:
        if not bad.count:
            raise _empty(path)
        raise DataError(
            f"{path} holds no JSON objects: {bad.named[0]}", help="write one object a line: JSON Lines, not one array"
        )
    columns = list(dict.fromkeys(key for row in start for key in row))
    return columns, ([row.get(column) for column in columns] for row in itertools.chain(start, rows))


def _parquet(path: Path) -> tuple[list[str], Iterator[Sequence[Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, memory_map=True)
    except pa.ArrowException as error:
        raise DataError(f"{path} is not a Parquet file: {error}", help="copy it again, or set `format`") from error
    nested = [field.name for field in file.schema_arrow if pa.types.is_struct(field.type)]
    if nested:
        raise DataError(
            f"{path} holds audio itself, in column '{nested[0]}', not the paths of audio files",
            help='`type = "huggingface"` with `path` set to its folder reads such files',
        )
    columns = list(file.schema_arrow.names)
    batches = file.iter_batches(batch_size=BATCH)
    return columns, (row for batch in batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True))


def digest_of(path: Path) -> bytes:
    """Hash of a file's content; remembered for large files, which are asked for once a split."""
    status = path.stat()
    return (_digest if status.st_size > LARGE else _digest.__wrapped__)(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _digest(path: Path, size: int, modified: int) -> bytes:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


class Bad:
    """Rows that were left out: counted, the first few named."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.named = path, 0, [""][:0]

    def add(self, what: str) -> None:
        """One more row."""
        self.count += 1
        if len(self.named) < NAMED:
            self.named.append(what)

    def tell(self) -> None:
        """Warn about all of them, in one line."""
        if self.count:
            more = " …" if self.count > len(self.named) else ""
            log.warning("%s: %d rows are left out: %s%s", self.path, self.count, "; ".join(self.named), more)
