"""Which words a language model knows: read from the file itself, as KenLM's Python module cannot list them.

ARPA: the section `\\1-grams:`. KenLM binary: the words lie at the end of the file in the order of their numbers, each
ended by a zero byte, and the first is `<unk>` (lm/vocab.cc, lm/binary_format.cc).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import mmap
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from voxcli.errors import DataError

SPECIAL = frozenset({"<s>", "</s>", "<unk>", "<UNK>"})
_BINARY = b"mmap lm http://kheafield.com/code"
_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


def packed(path: Path) -> bool:
    """Whether the file is compressed, which the KenLM of the wheels does not read by itself."""
    with path.open("rb") as file:
        head = file.read(8)
    return any(head.startswith(magic) for magic in _COMPRESSED)


def unpacked(path: Path, out: IO[bytes]) -> None:
    """Write what a compressed file holds."""
    with path.open("rb") as file:
        head = file.read(8)
    read = next(how for magic, how in _COMPRESSED.items() if head.startswith(magic))
    with cast("IO[bytes]", read(path, "rb")) as content:
        shutil.copyfileobj(content, out)


def vocabulary(path: Path) -> list[str]:
    """Every word but the special ones. Raises `DataError` where the file is no language model."""
    with path.open("rb") as file:
        head = file.read(len(_BINARY))
    words = _of_binary(path) if head == _BINARY else list(_of_arpa(path, head))
    found = [word for word in words if word not in SPECIAL]
    if not found:
        raise DataError(f"{path} knows no words", help="an ARPA file lists them under \\1-grams:")
    return found


def _of_arpa(path: Path, head: bytes) -> Iterator[str]:
    read = next((how for magic, how in _COMPRESSED.items() if head.startswith(magic)), open)
    try:
        with cast("IO[bytes]", read(path, "rb")) as file:
            began = False
            for raw in file:
                line = raw.decode("utf-8").strip(" \r\n\t\ufeff")
                if not began:
                    if line == "\\1-grams:":
                        began = True
                    elif line and not line.startswith(("\\data\\", "ngram ")):
                        raise _no_model(path)
                elif line.startswith("\\"):
                    return
                elif line:
                    yield line.split()[1]
    except (UnicodeDecodeError, EOFError, OSError, lzma.LZMAError, IndexError) as error:
        raise _no_model(path) from error
    if not began:
        raise _no_model(path)


def _of_binary(path: Path) -> list[str]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.rfind(b"<unk>\x00")
        if at < 0:
            raise DataError(
                f"{path} was built without its list of words, so its alphabet cannot be checked",
                help="make it again with KenLM's build_binary, which keeps the list by default",
            )
        return content[at:].decode("utf-8", "replace").rstrip("\x00").split("\x00")


def _no_model(path: Path) -> DataError:
    return DataError(
        f"{path} is neither an ARPA file nor a KenLM binary",
        help="`vox lm build` writes an ARPA file; KenLM's build_binary makes it quicker to load",
    )
