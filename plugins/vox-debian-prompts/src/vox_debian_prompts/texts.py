"""core-sounds-LANG.txt of the packages -> what is said in each prompt: {"digits/1": "one", …}.

The file has a line "NAME: TEXT" for each prompt, and comments after semicolons. Some texts are none, or hold more than
what is said; `spoken` says what is made of them.
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from voxcli.errors import DataError

# by name, because the Italian texts describe some of them without brackets
_SOUNDS = (
    "ascending-2tone",
    "beep",
    "beeperr",
    "confbridge-join",
    "confbridge-leave",
    "descending-2tone",
    "tt-monkeys",
)
_SILENCE = "silence/"
_WHOLE = re.compile(r"\s*(\[[^]]*\]|\([^)]*\)|<[^>]*>)\s*")  # [ascending tones], (10 seconds of silence), <beep>
_LETTERLESS = re.compile(r"\[[^\w\]]*\]")  # dash [-], space [ ]
_REMARK = re.compile(r"\s*\([^()]*\)\s*\.?\s*$")  # IAX (note: does not say "2")
_EMPHASIS = re.compile(r"\(enfatico\)")  # the one remark that stands within a sentence


def read(path: Path) -> dict[str, str]:
    """The texts of a file, gzipped or not, by the name of the prompt; prompts without speech are not among them.

    Of two texts of one name the first is taken. Raises `DataError`.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", help="download the package again") from error
    found: dict[str, str] = {}
    for line in lines:
        name, colon, text = line.partition(":")
        name = name.strip()
        if not colon or line.startswith(";") or name in _SOUNDS or name.startswith(_SILENCE):
            continue
        if said := spoken(text):
            found.setdefault(name, said)
    return found


def spoken(text: str) -> str:
    """What is said; "" where nothing is.

    Nothing is said where all of it stands in brackets: tones, silence, monkeys. A symbol in brackets and a remark in
    parentheses at the end are left out; words in brackets within a sentence are said, as far as anybody has listened.
    """
    if _WHOLE.fullmatch(text):
        return ""
    text = _EMPHASIS.sub("", _REMARK.sub("", _LETTERLESS.sub("", text)))
    return " ".join(re.sub(r"[\[\]()<>]", "", text).split())
