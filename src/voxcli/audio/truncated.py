"""A file -> whether its end is missing, for the formats whose reader does not tell.

libsndfile takes a WAV, AIFF or Ogg file that was cut off for a shorter one. RIFF says how long its data chunk has to be
(https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html), an Ogg page says it of itself (RFC 3533,
section 6).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

LONGEST_PAGE = 27 + 255 + 255 * 255  # bytes: header, segment table, segments
UNKNOWN_LENGTHS = (0, 0x7FFFFFFF, 0xFFFFFFFF)  # what a recorder writes that cannot go back to the header
STREAMED = 0x7FFFF000  # sox and ffmpeg write lengths from here on into a pipe


def truncated(file: BinaryIO, format: str) -> bool:
    """Whether `file`, which libsndfile calls `format`, ends before it should. False where nothing is known."""
    if format in ("WAV", "WAVEX", "AIFF"):
        return _chunks(file)
    return _ogg(file) if format == "OGG" else False


def _chunks(file: BinaryIO) -> bool:
    """RIFF is little-endian; AIFF (same site, AIFF) has the same layout big-endian."""
    size = file.seek(0, 2)
    file.seek(0)
    order, audio = {b"RIFF": ("<", b"data"), b"FORM": (">", b"SSND")}.get(file.read(12)[:4], ("", b""))
    at = 12
    while order and at + 8 <= size:  # RIFX and RF64 are left to libsndfile
        file.seek(at)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name == audio:
            return length not in UNKNOWN_LENGTHS and length < STREAMED and at + 8 + length > size
        at += 8 + length + length % 2
    return False


def _ogg(file: BinaryIO) -> bool:
    size = file.seek(0, 2)
    start = max(0, size - 2 * LONGEST_PAGE)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0:
        return start > 0  # no page begins in twice the length of a page
    page = tail[at:]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    return len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])
