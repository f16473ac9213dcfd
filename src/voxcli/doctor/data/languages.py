"""Which language a recipe or its data say that they are in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from voxcli.data.table import Table
from voxcli.text.scripts import language_name

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


def declared(context: Context) -> str | None:
    """`[text] language`, else that of `[model]`; None without either."""
    if "data" in context.subject.kinds:
        return None
    model: str | None = getattr(context.recipe.model, "language", None)
    return context.recipe.text.language or model


_SAME = {"nb": "no", "nn": "no", "cmn": "zh", "yue": "zh", "iw": "he", "fil": "tl", "jw": "jv", "in": "id"}


def differ(one: str | None, other: str | None) -> bool:
    """Whether two names are of different languages; never where one is a name or code that is not known here."""
    codes = [_code(name) for name in (one, other)]
    return codes[0] != codes[1] and all(len(code) == 2 for code in codes)


def _code(language: str | None) -> str:
    code = language_name(language)
    if len(code) > 3:
        from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

        code = TO_LANGUAGE_CODE.get(code, code)
    return _SAME.get(code, code)


def translates(context: Context) -> bool:
    """Whether the texts are English translations of what is spoken."""
    return "data" not in context.subject.kinds and getattr(context.recipe.model, "generation_task", None) == "translate"


def written(context: Context, table: Table) -> Iterator[tuple[str | None, NDArray[np.int64]]]:
    """(language of the texts, row numbers)."""
    if translates(context):
        yield "en", np.arange(len(table), dtype=np.int64)
    else:
        yield from groups(table, declared(context))


def languages_of(table: Table) -> list[str]:
    """The values of the language column."""
    return sorted(one for one in pc.unique(table.column("language").array).to_pylist() if one)


def groups(table: Table, otherwise: str | None) -> Iterator[tuple[str | None, NDArray[np.int64]]]:
    """(language, row numbers) for each language of the column; rows without one are of `otherwise`."""
    column = table.column("language").array
    values = languages_of(table)
    if not values:
        yield otherwise, np.arange(len(table), dtype=np.int64)
        return
    numbers = pc.fill_null(pc.index_in(column, value_set=pa.array(values)), -1).to_numpy()
    for number, value in enumerate((*values, otherwise), start=0):
        rows = np.flatnonzero(numbers == (number if number < len(values) else -1))
        if len(rows):
            yield value, rows
