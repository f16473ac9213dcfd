"""The texts of indexed splits -> the same after `[text]`; those of a large split once, then mapped from the cache.

A file for each index and each `[text]`. One without rows says that the rules leave every text as it is.
"""

from __future__ import annotations

import hashlib
import logging
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from voxcli.data import kept
from voxcli.data.cache import places, scratch, settle
from voxcli.data.strings import blocks, by_lines, chunked
from voxcli.errors import VoxError
from voxcli.progress import NULL, Bar, Progress

log = logging.getLogger(__name__)

Normalize = Callable[[str], str]
"""A `voxcli.text.normalize.Normalizer`, or any other function of one text."""


def normalized(sources: Sequence[Any], normalize: Normalize, *, progress: Progress = NULL) -> pa.ChunkedArray:
    """The column "text" of several sources (`voxcli.data.table.Source`) after the rules, one after the other.

    What the rules leave alone is not copied.
    """
    chunks: list[pa.Array] = []
    rows = sum(map(len, sources))
    with progress.task("normalising transcripts", total=rows, unit="utterances") as bar:
        for source in sources:
            chunks += _of(source, normalize, bar).chunks
    return pa.chunked_array(chunks, type=pa.string())


def _of(source: Any, normalize: Normalize, bar: Bar) -> pa.ChunkedArray:
    texts = chunked([source.column("text")])
    name = _name(source, normalize)
    if name is None:
        return _made(texts, normalize, bar)
    found = _read(name, texts)
    if found is not None:
        bar.advance(len(texts))
        return found
    made = _made(texts, normalize, bar)
    _write(name, texts.slice(0, 0) if made is texts else made)
    mapped = _read(name, texts)
    return made if mapped is None else mapped


def _name(source: Any, normalize: Normalize) -> str | None:
    """The file's name in the cache; None where there is none: no index, a small one, rules without a key."""
    made, rules = getattr(source, "made", None), getattr(normalize, "key", None)
    if made is None or rules is None or len(source) < kept.LARGE:
        return None
    told = repr((made, rules, unicodedata.unidata_version, kept.code("data", "text")))
    return f"texts/{hashlib.sha256(told.encode()).hexdigest()[:32]}.arrow"


def _made(texts: pa.ChunkedArray, normalize: Normalize, bar: Bar) -> pa.ChunkedArray:
    chunks = []
    changed = False
    for block in blocks(texts):
        chunks.append(by_lines(block, getattr(normalize, "lines", None), normalize))
        changed |= chunks[-1] is not block
        bar.advance(len(block))
    if not changed:
        return texts  # mapped, not copied
    # few large chunks: a row is then found by a short search
    return pa.chunked_array([pa.chunked_array(chunks, type=pa.string()).combine_chunks()], type=pa.string())


def _read(name: str, texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
    for place in places(name):
        try:
            with pa.ipc.open_file(pa.memory_map(str(place))) as reader:
                table = reader.read_all()
            table.validate()
            if table.num_rows in (0, len(texts)):
                return table.column("text") if table.num_rows else texts
        except FileNotFoundError:
            continue
        except (pa.ArrowException, OSError, KeyError) as error:
            log.info("%s is made anew: %s", place, error)
    return None


def _write(name: str, texts: pa.ChunkedArray) -> None:
    """A disk that does not take them is no reason to stop."""
    table = pa.table({"text": texts})
    try:
        with scratch(name) as beside:
            with pa.OSFile(str(beside), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
            settle(beside)
    except (OSError, VoxError) as error:
        log.info("%s is not kept: %s", name, error)
