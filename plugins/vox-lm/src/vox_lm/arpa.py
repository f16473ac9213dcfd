"""A model -> an ARPA file, the text format that KenLM, SRILM and others read."""

from __future__ import annotations

import os
from pathlib import Path

from vox_lm.kneser_ney import Model


def write(model: Model, path: Path) -> None:
    """Write the file beside its place and rename it: it is whole or not there."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write("\\data\\\n")
            for length, table in enumerate(model.orders, start=1):
                file.write(f"ngram {length}={len(table)}\n")
            for length, table in enumerate(model.orders, start=1):
                file.write(f"\n\\{length}-grams:\n")
                last = length == len(model.orders)
                for ngram, (chance, weight) in sorted(table.items()):
                    tail = "" if last else f"\t{weight:.7g}"
                    file.write(f"{chance:.7g}\t{' '.join(ngram)}{tail}\n")
            file.write("\n\\end\\\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
