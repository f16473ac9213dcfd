"""What `load_splits` has found in large indexes -> the same again, without reading a text.

A file in the cache for each combination of indexes and of what was asked: a bit for each row of a split, and in JSON
what was said. An index that is written anew is another one, whatever its name, so a changed source is never answered
from here. Clips that were cut or padded are no rows of an index: such splits are loaded each time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from voxcli.api import SPLITS, Corpus, Finding, Fix, Split
from voxcli.data import kept
from voxcli.data.filters import Drop
from voxcli.data.table import Table

if TYPE_CHECKING:
    from voxcli.data.corpus import Splits

log = logging.getLogger(__name__)

Whole = Mapping[Split, Table]
"""Every row of the splits that were read, before any filter."""


def name_of(whole: Whole, *asked: object, exclude: str | None) -> str | None:
    """The name in the cache for what `asked` makes of the rows; None where there is little to save, or no knowing.

    `asked` is told apart by its `repr`; `exclude` is the file whose content counts too.
    """
    if sum(map(len, whole.values())) < kept.LARGE:
        return None
    sources = {split: table.made_of for split, table in whole.items()}
    if None in sources.values():
        return None
    try:
        listed = b"" if exclude is None else Path(exclude).read_bytes()
    except OSError:
        return None
    told = repr((sources, asked, unicodedata.unidata_version, kept.code("data", "text")))
    return f"splits/{hashlib.sha256(told.encode() + listed).hexdigest()[:32]}.npz"


def read(name: str, whole: Whole) -> dict[str, Any] | None:
    """The fields of `Splits`; None where they are not known."""
    found = kept.read(name)
    if found is None:
        return None
    try:
        about = kept.value(found["about"])
        tables = {split: _restored(found[split], whole, about["tables"][split]) for split in about["tables"]}
        return {
            "corpus": Corpus(**{key: _tuples(value) for key, value in about["corpus"].items()}),
            "drops": [Drop(**{key: _tuples(value) for key, value in one.items()}) for one in about["drops"]],
            "problems": [tuple(one) for one in about["problems"]],
            "unknown_characters": about["unknown_characters"],
            "findings": [_finding(one) for one in about["findings"]],
            **tables,
        }
    except (KeyError, TypeError, ValueError) as error:
        log.info("%s is made anew: %s", name, error)
        return None


def write(name: str, splits: Splits, whole: Whole) -> None:
    """Keep what has been found. Nothing is kept where a split is no selection of the rows that were read."""
    arrays, tables = {}, {}
    for split in SPLITS:
        table = splits.split(split)
        if not len(table):
            continue
        origin = split if split in whole and len(whole[split]) else "train"  # what `[holdout]` made
        mask = table.mask_in(whole[origin]) if origin in whole else None
        if mask is None:
            return
        arrays[split] = np.packbits(mask)
        tables[split] = (origin, table.fingerprint)
    about = {
        "tables": tables,
        "corpus": dataclasses.asdict(splits.corpus),
        "drops": [dataclasses.asdict(one) for one in splits.drops],
        "problems": splits.problems,
        "unknown_characters": splits.unknown_characters,
        "findings": [dataclasses.asdict(one) for one in splits.findings],
    }
    kept.write(name, arrays | {"about": kept.text(about)})


def _restored(bits: NDArray[np.uint8], whole: Whole, told: tuple[Split, str]) -> Table:
    origin, fingerprint = told
    return whole[origin].restored(np.unpackbits(bits, count=len(whole[origin])).astype(np.bool_), fingerprint)


def _finding(told: dict[str, Any]) -> Finding:
    fix = told.pop("fix")
    found = Finding(**{key: _tuples(value) for key, value in told.items()})
    return found if fix is None else dataclasses.replace(found, fix=Fix(fix["changes"], tuple(fix["leave_out"])))


def _tuples(value: Any) -> Any:
    """What JSON has made a list of."""
    return tuple(value) if isinstance(value, list) else value
