"""Small recordings of known content, and the same ones damaged."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 16000


def chirp(seconds: float, rate: int = RATE) -> np.ndarray:
    """A rising tone with a little noise: every moment of it is different. float32 (N,)."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.3 * np.sin(2 * np.pi * (200 * time + 40 * time**2)) + 0.01 * noise).astype(np.float32)


def write(path: Path, audio: np.ndarray, rate: int = RATE, **settings: str) -> Path:
    """Write with libsndfile, the format by the name's end."""
    formats = {".opus": ("OGG", "OPUS"), ".ogg": ("OGG", "VORBIS"), ".mp3": ("MP3", None)}
    format, subtype = formats.get(path.suffix, (None, None))
    soundfile.write(path, audio, rate, format=format, subtype=settings.get("subtype", subtype))
    return path


def encode(
    path: Path, audio: np.ndarray, codec: str, *, rate: int = RATE, container: str | None = None, **options: str
) -> Path:
    """Write with PyAV; `options` go to the container."""
    settings = {name: value for name, value in options.items() if not name.startswith("codec_")}
    with av.open(str(path), "w", format=container, options=settings) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        stream.options = {name[6:]: value for name, value in options.items() if name.startswith("codec_")}
        frame = av.AudioFrame.from_ndarray(audio[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, 0  # without a time, AAC's priming is taken for audio
        resampler = av.AudioResampler(format=stream.format.name, layout="mono", rate=rate)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    """The first part of a file, as an interrupted copy leaves it."""
    data = path.read_bytes()
    short = path.with_name(f"cut-{path.name}")
    short.write_bytes(data[: int(len(data) * share)])
    return short
