"""An MP3 file without a length in it -> the same with one.

A variable bit rate needs the Xing header to tell how long the audio is. Where it is missing, libmpg123 (inside
libsndfile) computes the length from the first frame's bit rate, and libsndfile reads no further than that: 20 s of
audio became 8 in a measured case. Counting the frames and writing the missing header repairs it.

Frame layout: ISO 11172-3, section 2.4; Xing header: http://gabriel.mp3-tech.org/mp3infotag.html
"""

from __future__ import annotations

import struct

BIT_RATES = {  # kbit/s of layer III by index
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz by version and index
HEAD = 4  # bytes of a frame's header


def tag_length(head: bytes) -> int:
    """Bytes of the ID3v2 tag at the start of a file; `head` holds its first 10 bytes."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = (head[6] << 21) | (head[7] << 14) | (head[8] << 7) | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def has_length(frame: bytes) -> bool:
    """Whether the first frame (2 kB are enough) tells the length of the file."""
    return any(name in frame[:256] for name in (b"Xing", b"Info", b"VBRI"))


def with_length(data: bytes) -> bytes | None:
    """The file with a Xing header in front, or None where it needs none: a constant bit rate, or not layer III."""
    at = start = tag_length(data[:10])
    frames, bit_rates = 0, set()
    while (found := _frame(data, at)) is not None:
        length, bit_rate = found
        bit_rates.add(bit_rate)
        frames += 1
        at += length
    if frames < 2 or len(bit_rates) < 2:
        return None
    first = data[start : start + HEAD]
    version_1 = (first[1] >> 3) & 3 == 3
    single = first[3] >> 6 == 3
    side = (17 if single else 32) if version_1 else (9 if single else 17)  # bytes of side information
    # the same kind of frame at a bit rate that holds the header; "no CRC", so that none has to be computed
    made = bytes([first[0], first[1] | 1, (first[2] & 0x0C) | (9 << 4), first[3]])
    length, _ = _frame(made + bytes(2000), 0) or (0, 0)
    xing = b"Xing" + struct.pack(">III", 0b11, frames, at - start)
    frame = (made + bytes(side) + xing).ljust(length, b"\0")
    return frame + data[start:at]


def _frame(data: bytes, at: int) -> tuple[int, int] | None:
    """(bytes, kbit/s) of the layer III frame that begins at `at`; None where there is none."""
    if at + HEAD > len(data) or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = (data[at + 1] >> 3) & 3, (data[at + 1] >> 1) & 3
    index, rate = data[at + 2] >> 4, (data[at + 2] >> 2) & 3
    if version == 1 or layer != 1 or rate == 3 or index in (0, 15):
        return None
    bit_rate = BIT_RATES[1 if version == 3 else 2][index]
    samples = 1152 if version == 3 else 576
    return samples // 8 * bit_rate * 1000 // RATES[version][rate] + ((data[at + 2] >> 1) & 1), bit_rate
