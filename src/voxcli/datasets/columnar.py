"""A table file (CSV, TSV, JSONL, Parquet) -> its wanted columns as Arrow arrays, where they are sure to hold what
`voxcli.datasets.rows` reads row by row.

Arrow's readers (https://arrow.apache.org/docs/python/csv.html) are some ten times as fast and see a few things in
another way: stray quotes, single carriage returns, two objects in a line. The bytes are looked through for these first;
a file that has one is refused with `NotImplementedError`, and read row by row.
"""

from __future__ import annotations

import codecs
import csv
import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.datasets.rows import LOOK, NAMED, Bad, table

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 1 << 24  # bytes read at once
LONGEST_FIELD = 1 << 17  # bytes: beyond, Python's csv module refuses the field
NEWLINE, QUOTE = 10, 34


@dataclass(frozen=True)
class Wanted:
    """Which columns of a file are read."""

    columns: Sequence[str]
    """All that there are, in order."""
    places: Sequence[int]
    """Those that are wanted, by number."""
    numbers: frozenset[int] = frozenset()
    """Of these, the ones that should hold numbers."""


def batches(path: Path, format: str, wanted: Wanted) -> Iterator[list[pa.Array]]:
    """The wanted columns: arrays of strings, or of float64 where a file's own type says that they are numbers.

    Rows and warnings are those of `rows.table`. Raises `NotImplementedError`, at any point, where that is not certain.
    """
    import pyarrow as pa

    readers = {"csv": _csv, "tsv": _tsv, "jsonl": _jsonl, "parquet": _parquet}
    try:
        yield from readers[format](path, wanted)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise NotImplementedError(f"{path}: {error}") from error


# ------------------------------------------------------------------------------------------------------------ csv, tsv


def _csv(path: Path, wanted: Wanted) -> Iterator[list[pa.Array]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    delimiter = "," if "," in first else next((mark for mark in ";\t|" if mark in first), ",")
    if first.count('"') % 2:
        raise NotImplementedError("a column's name spans lines")
    return _separated(path, delimiter, wanted, quoted=_looked_through(path, delimiter))


def _tsv(path: Path, wanted: Wanted) -> Iterator[list[pa.Array]]:
    import pyarrow.compute as pc

    from voxcli.datasets.rows import _unquoted

    _looked_through(path, None)
    for arrays in _separated(path, "\t", wanted, quoted=False):
        for place, array in enumerate(arrays):
            enclosed = pc.and_(pc.starts_with(array, '"'), pc.ends_with(array, '"'))
            if pc.any(enclosed).as_py():
                import pyarrow as pa

                bare = [_unquoted(field) for field in array.filter(enclosed).to_pylist()]
                arrays[place] = pc.replace_with_mask(array, enclosed, pa.array(bare, pa.string()))
        yield arrays


def _separated(path: Path, delimiter: str, wanted: Wanted, *, quoted: bool) -> Iterator[list[pa.Array]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as arrow_csv

    if len(wanted.columns) < 2:
        raise NotImplementedError("blank lines of a single column are rows or none")
    uneven = 0

    def skip(row: Any) -> str:
        nonlocal uneven
        uneven += not (quoted and row.text == '""')
        return "skip"

    names = [str(number) for number in range(len(wanted.columns))]
    reader = arrow_csv.open_csv(
        path,
        read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1, block_size=BLOCK),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if quoted else False,
            newlines_in_values=quoted,
            invalid_row_handler=skip,
        ),
        convert_options=arrow_csv.ConvertOptions(
            include_columns=[names[place] for place in wanted.places],
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
        ),
    )
    for batch in reader:
        longest = (pc.max(pc.binary_length(array)).as_py() or 0 for array in batch.columns)
        if max(longest, default=0) >= LONGEST_FIELD:
            raise NotImplementedError("a field may be longer than csv takes")
        yield list(batch.columns)
    if uneven:
        bad = Bad(path)
        bad.count, bad.named = (
            uneven,
            list(itertools.islice(_uneven(path, delimiter, len(wanted.columns), quoted), NAMED)),
        )
        bad.tell()


def _uneven(path: Path, delimiter: str, expected: int, quoted: bool) -> Iterator[str]:
    """The rows that `rows.table` leaves out, in its words; for the few that are named."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = (line.rstrip("\r\n") for line in file)
        rows = csv.reader(file, delimiter=delimiter, strict=True) if quoted or delimiter != "\t" else None
        for number, row in enumerate(rows or (line.split(delimiter) for line in lines), 1):
            if len(row) != expected and row not in ([], [""]):
                yield f"row {number} has {len(row)} fields instead of {expected}"


def _looked_through(path: Path, delimiter: str | None) -> bool:
    """`_quoted`, once a process for each state of a file: a split after the other is read from it."""
    status = path.stat()
    return _quoted(path, delimiter, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _quoted(path: Path, delimiter: str | None, size: int, modified: int) -> bool:
    """Whether a file has quotes, all of them around whole fields; None takes them as they are.

    Raises `NotImplementedError` where the two readers may part: UTF-16, null bytes, carriage returns that end no line,
    quotes inside a bare field or behind a closing one.
    """
    import numpy as np

    decoder = codecs.getincrementaldecoder("utf-8")()
    edges = None if delimiter is None else np.frombuffer(f'"{delimiter}\r\n'.encode(), np.uint8)
    parity, quoted = 0, False
    start = len(codecs.BOM_UTF8) if _head(path).startswith(codecs.BOM_UTF8) else 0
    with path.open("rb") as file:
        for at in range(start, size, BLOCK):
            # one byte more on either side: what stands beside a quote decides
            piece = _read(file, at - 1, BLOCK + 2, size) if at > start else b"\n" + _read(file, at, BLOCK + 1, size)
            piece += b"\n" if at + BLOCK >= size else b""
            inner = piece[1:-1]
            decoder.decode(inner)
            bare = inner.count(b"\r") != piece[1:].count(b"\r\n") or (at + BLOCK >= size and inner.endswith(b"\r"))
            if bare or b"\0" in inner:
                raise NotImplementedError("null bytes, or carriage returns within a line")
            if edges is None or b'"' not in inner:
                continue
            quoted = True
            codes = np.frombuffer(piece, np.uint8)
            quotes = np.flatnonzero(codes[1:-1] == QUOTE) + 1
            opening = (np.arange(len(quotes)) + parity) % 2 == 0
            beside = np.where(opening, codes[quotes - 1], codes[quotes + 1])
            if not np.isin(beside, edges).all():
                raise NotImplementedError("a quote within a field")
            parity = (parity + len(quotes)) % 2
    decoder.decode(b"", final=True)
    if parity:
        raise NotImplementedError("a quote is never closed")
    return quoted


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise NotImplementedError("UTF-16")
    return head


def _read(file: Any, at: int, count: int, size: int) -> bytes:
    file.seek(at)
    found: bytes = file.read(min(count, size - at))
    return found


# --------------------------------------------------------------------------------------------------------------- jsonl


def _jsonl(path: Path, wanted: Wanted) -> Iterator[list[pa.Array]]:
    import pyarrow as pa
    import pyarrow.json as arrow_json

    if not hasattr(arrow_json, "open_json"):
        raise NotImplementedError("this pyarrow reads JSON in one piece only")
    lines = _lines(path)
    with table(path, "jsonl") as (_, rows):
        start = list(itertools.islice(rows, LOOK))
    names = [wanted.columns[place] for place in wanted.places]
    types = {
        wanted.columns[place]: _type([row[place] for row in start], number=place in wanted.numbers)
        for place in wanted.places
    }
    parse = arrow_json.ParseOptions(explicit_schema=pa.schema(types), unexpected_field_behavior="ignore")
    count = 0
    for batch in arrow_json.open_json(path, arrow_json.ReadOptions(block_size=BLOCK), parse):
        count += len(batch)
        yield [_plain(batch.column(name)) for name in names]
    if count != lines:
        raise NotImplementedError("a line holds more than one object")


def _lines(path: Path) -> int:
    """Lines of a file in which every line is `{…}`. Raises `NotImplementedError` for any other file."""
    _looked_through(path, None)
    lines = opened = closed = 0
    size = path.stat().st_size
    start = len(codecs.BOM_UTF8) if _head(path).startswith(codecs.BOM_UTF8) else 0
    with path.open("rb") as file:
        for at in range(start, size, BLOCK):
            # two bytes before each piece, where "}", "\r" and the newline may lie apart
            piece = _read(file, at - 2, BLOCK + 2, size) if at > start else b"\n" + _read(file, at, BLOCK, size)
            whole = at + BLOCK >= size
            if whole and not piece.endswith(b"\n"):
                piece += b"\n"
            lines += piece[2 if at > start else 1 :].count(b"\n")
            opened += piece[1 if at > start else 0 :].count(b"\n{")
            closed += piece[1 if at > start else 0 :].count(b"}\n") + piece.count(b"}\r\n")
    if not lines == opened == closed:
        raise NotImplementedError("a line that is no object, or blank")
    return lines


def _type(values: Sequence[Any], *, number: bool) -> pa.DataType:
    """What a column seems to hold; where it does not go on so, Arrow says so and the file is read row by row."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return pa.string()
    if number and kinds <= {int, float}:
        return pa.float64()
    if kinds == {int}:
        return pa.int64()
    raise NotImplementedError("a column holds neither text nor numbers")


# ------------------------------------------------------------------------------------------------------------- parquet


def _parquet(path: Path, wanted: Wanted) -> Iterator[list[pa.Array]]:
    import pyarrow.parquet as pq

    if len(set(wanted.columns)) < len(wanted.columns):
        raise NotImplementedError("two columns of one name")
    names = [wanted.columns[place] for place in wanted.places]
    with pq.ParquetFile(path, memory_map=os.name != "nt") as file:
        for batch in file.iter_batches(batch_size=1 << 16, columns=names):
            yield [_plain(batch.column(name)) for name in names]


def _plain(array: pa.Array) -> pa.Array:
    """Strings, or float64."""
    import pyarrow as pa

    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if pa.types.is_floating(kind):
        return array.cast(pa.float64())
    if (
        pa.types.is_integer(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_null(kind)
    ):
        return array.cast(pa.string())
    raise NotImplementedError(f"a column of {array.type}")
