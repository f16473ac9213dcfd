"""Spectrograms under each other at one scale of time, as a PNG: what there was, and what each epoch hears."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voxcli.errors import VoxError

INSTALL = "install it: pip install 'voxcli[augment]'"

_WINDOW, _HOP = 0.032, 0.008  # s
_RANGE = 80.0  # dB from the loudest to black
_HEIGHT, _WIDEST, _SECOND = 140, 1500, 160  # pixels: of a panel, of all, of a second
_LEFT, _TOP, _BOTTOM = 46, 18, 16  # pixels around a panel
_COLOURS = np.array(  # from silence to loud: black, violet, red, orange, pale yellow
    [[0, 0, 4], [60, 15, 110], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]], dtype=np.float64
)


class NoPillow(VoxError):
    """Pillow is not installed."""


def write(path: Path, clips: Sequence[tuple[str, np.ndarray]], sampling_rate: int) -> None:
    """One panel for each (title, samples). Raises `NoPillow`."""
    try:
        from PIL import Image, ImageDraw
    except ImportError as error:
        raise NoPillow("the picture needs Pillow", help=INSTALL) from error
    seconds = max(len(audio) for _, audio in clips) / sampling_rate
    width = int(min(_WIDEST, max(300.0, seconds * _SECOND)))
    panel = _TOP + _HEIGHT + _BOTTOM
    canvas = Image.new("RGB", (_LEFT + width + 10, panel * len(clips) + 4), "white")
    draw = ImageDraw.Draw(canvas)
    loudest = max(float(_levels(audio, sampling_rate).max()) for _, audio in clips)
    for number, (title, audio) in enumerate(clips):
        top = number * panel + _TOP
        draw.text((_LEFT, top - _TOP + 3), title, fill="black")
        levels = _levels(audio, sampling_rate)
        shown = Image.fromarray(_coloured(levels - loudest))
        wide = max(1, round(width * len(audio) / sampling_rate / seconds))
        canvas.paste(shown.resize((wide, _HEIGHT), Image.Resampling.BILINEAR), (_LEFT, top))
        _scales(draw, top, width, seconds, sampling_rate)
    canvas.save(path)


def _levels(audio: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Samples (N,) -> dB, shape (frames, bins)."""
    size, hop = int(_WINDOW * sampling_rate), int(_HOP * sampling_rate)
    padded = np.pad(audio, (size // 2, size // 2 + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(size))))
    return np.asarray(10.0 * np.log10(power + 1e-10))


def _coloured(levels: np.ndarray) -> np.ndarray:
    """dB below the loudest (T, F) -> an image (F, T, 3), high frequencies on top."""
    place = np.clip(1.0 + levels.T[::-1] / _RANGE, 0.0, 1.0) * (len(_COLOURS) - 1)
    below = np.minimum(place.astype(int), len(_COLOURS) - 2)
    part = (place - below)[..., None]
    return np.asarray((1 - part) * _COLOURS[below] + part * _COLOURS[below + 1], dtype=np.uint8)


def _scales(draw: Any, top: int, width: int, seconds: float, sampling_rate: int) -> None:
    """kHz at the left, s below."""
    top_khz = sampling_rate / 2000.0
    for khz in np.arange(0, top_khz + 0.01, 2.0 if top_khz <= 12 else 4.0):
        at = top + _HEIGHT - round(_HEIGHT * khz / top_khz)
        draw.line([(_LEFT - 4, at), (_LEFT - 1, at)], fill="black")
        draw.text((4, at - 6), f"{khz:g} kHz", fill="black")
    step = next(one for one in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 600) if seconds / one <= 15 or one == 600)
    for second in np.arange(0, seconds + 1e-6, step):
        at = _LEFT + round(width * second / seconds)
        draw.line([(at, top + _HEIGHT), (at, top + _HEIGHT + 3)], fill="black")
        draw.text((at - 6, top + _HEIGHT + 3), f"{second:g} s", fill="black")
