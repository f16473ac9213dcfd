"""Samples written in another coding and read back, in memory, by libsndfile: what a codec does to speech.

MP3 is made by LAME and read by mpg123, Opus by libopus, Vorbis by libvorbis, G.711 and GSM 06.10 by libsndfile itself;
all of them are within soundfile's wheel.
"""

from __future__ import annotations

import io
from typing import Any, Literal, NamedTuple

import numpy as np
import soundfile

from voxcli.audio.level import of_length
from voxcli.audio.resample import resample
from voxcli.audio.spectrum import quick_size

Coding = Literal["mp3", "opus", "vorbis", "gsm", "mu-law", "a-law"]

_FORMATS: dict[Coding, tuple[str, str]] = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
    "vorbis": ("OGG", "VORBIS"),
    "gsm": ("WAV", "GSM610"),
    "mu-law": ("WAV", "ULAW"),
    "a-law": ("WAV", "ALAW"),
}
_RATES = {  # Hz
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "opus": (8000, 12000, 16000, 24000, 48000),
}
_SHIFT = 0.1  # s by which a decoded clip may lie beside the original


class Coded(NamedTuple):
    """Audio after a codec."""

    audio: np.ndarray
    """(N,) float32, as long as what went in and at its place in time."""
    size: int
    """Bytes of the coded file, its header with it."""


def coded(audio: np.ndarray, sampling_rate: int, coding: Coding, bitrate: float | None = None) -> Coded:
    """(N,) through a codec and back. `bitrate` in kbit/s, for mp3, opus and vorbis (there, about).

    GSM and G.711 are codecs of the telephone: 8 kHz, whatever the rate of the samples.
    """
    rate = _rate(sampling_rate, coding)
    samples = np.clip(resample(audio, sampling_rate, rate), -1.0, 1.0)
    container, subtype = _FORMATS[coding]
    file = io.BytesIO()
    keys: dict[str, Any] = {} if bitrate is None else _keys(coding, rate, bitrate)
    with soundfile.SoundFile(file, "w", rate, 1, subtype=subtype, format=container, **keys) as out:
        for begin in range(
            0, len(samples), rate
        ):  # ten minutes in one write end the process: libvorbis keeps them on its stack
            out.write(samples[begin : begin + rate])
    size = file.tell()
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    if len(decoded) != len(samples):
        decoded = _in_place(decoded, samples, int(_SHIFT * rate))
    return Coded(of_length(resample(decoded, rate, sampling_rate), len(audio)), size)


def _rate(sampling_rate: int, coding: Coding) -> int:
    """The rate the codec works at, Hz."""
    if coding in ("gsm", "mu-law", "a-law"):
        return 8000
    if coding in _RATES:
        return next((rate for rate in _RATES[coding] if rate >= sampling_rate), _RATES[coding][-1])
    return sampling_rate


def _keys(coding: Coding, rate: int, bitrate: float) -> dict[str, Any]:
    """libsndfile's compression level, 0 (large) to 1 (small), that gives a bit rate; from its sources 1.2."""
    if coding == "mp3":  # MPEG-1, MPEG-2, MPEG-2.5
        low, high = (32.0, 320.0) if rate >= 32000 else (8.0, 160.0) if rate >= 16000 else (8.0, 64.0)
        return {"bitrate_mode": "CONSTANT", "compression_level": _level(bitrate, low, high)}
    if coding == "opus":
        return {"compression_level": _level(bitrate, 6.0, 256.0)}
    if coding == "vorbis":  # quality decides, and bits follow the sound: about 28 to 73 kbit/s at 16 kHz
        return {"compression_level": _level(bitrate, 28.0, 73.0)}
    return {}


def _level(bitrate: float, low: float, high: float) -> float:
    return float(np.clip((high - bitrate) / (high - low), 0.0, 1.0))


def _in_place(decoded: np.ndarray, samples: np.ndarray, most: int) -> np.ndarray:
    """What an encoder put before the first sample, up to `most`, taken away where it is found by correlation."""
    size = quick_size(len(decoded) + len(samples))
    match = np.fft.irfft(np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(samples, size)), size)
    late = int(np.argmax(match[: most + 1]))
    return of_length(decoded[late:], len(samples))
