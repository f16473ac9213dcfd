"""Faults of recordings, each in real speech written to real files, and what is as it should be."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import soundfile
from planted import Fault, Healthy, assert_found, assert_healthy, recipe
from recordings import RATE, audio, prompts, speech

from voxcli.testing import Project

Samples = np.ndarray
RNG = np.random.default_rng(0)


def spoiled(*numbers: int, with_: Callable[[Samples], Samples], **more: object) -> Callable[[Project], Sequence[str]]:
    return lambda project: speech(project, dict.fromkeys(numbers, with_), **more)  # type: ignore[arg-type]


def after(plant: Callable[[Project], object]) -> Callable[[Project], Sequence[str]]:
    """Speech whose files are spoiled once they are written."""

    def planted(project: Project) -> Sequence[str]:
        arguments = speech(project)
        plant(project)
        return arguments

    return planted


def names(*numbers: int) -> tuple[str, ...]:
    return tuple(f"u{number:02}" for number in numbers)


# ------------------------------------------------------------------------------------------------------------ the files


def missing(project: Project) -> None:
    audio(project, 3).unlink()
    audio(project, 20).unlink()


def moved(project: Project) -> Sequence[str]:
    speech(project)
    shutil.move(project.path / "data/audio", project.path / "recordings/audio")
    return recipe(project)


def no_audio(project: Project) -> None:
    audio(project, 1).write_bytes(b"")
    audio(project, 2).write_bytes(b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n")
    audio(project, 4).write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 96044\n"
    )
    audio(project, 5).unlink()
    audio(project, 5).mkdir()
    audio(project, 6).write_bytes(bytes(RNG.integers(0, 256, 4000, dtype=np.uint8)))


def halved(project: Project, number: int, suffix: str = ".wav") -> None:
    path = audio(project, number, suffix)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def halved_flac(project: Project) -> Sequence[str]:
    arguments = speech(project, suffix=".flac")
    halved(project, 7, ".flac")
    return arguments


def halved_ogg(project: Project) -> Sequence[str]:
    arguments = speech(project, suffix=".ogg", durations=False)
    halved(project, 7, ".ogg")
    return arguments


# ---------------------------------------------------------------------------------------------------------- the samples


def click(samples: Samples) -> Samples:
    made = np.zeros_like(samples)
    made[len(made) // 2 : len(made) // 2 + 40] = 0.7
    return made


def hiss(samples: Samples) -> Samples:
    return (3e-4 * RNG.standard_normal(len(samples))).astype(np.float32)


def hole(value: float) -> Callable[[Samples], Samples]:
    def made(samples: Samples) -> Samples:
        samples = samples.copy()
        samples[len(samples) // 3] = value
        return samples

    return made


def beside(second: Callable[[Samples], Samples]) -> Callable[[Samples], Samples]:
    return lambda samples: np.stack([samples, second(samples)], axis=1)


FLOAT = {"subtype": "FLOAT"}


# --------------------------------------------------------------------------------------------------------- what is said


def wrong_header(project: Project, *numbers: int) -> None:
    """The rate in the header halved: bytes 24 to 31 of a WAV are the rate and the bytes a second."""
    for number in numbers:
        content = bytearray(audio(project, number).read_bytes())
        content[24:32] = struct.pack("<II", RATE // 2, RATE)
        audio(project, number).write_bytes(content)


def wrong_header_without_durations(project: Project) -> Sequence[str]:
    arguments = speech(project, durations=False)
    wrong_header(project, 2, 9, 14, 16)
    return arguments


CUT = tuple(number for number, (_, samples, _) in enumerate(prompts()[:18]) if len(samples) > 3.2 * RATE)


def one_wrong_header(project: Project) -> Sequence[str]:
    arguments = speech(project, durations=False)
    wrong_header(project, 5)
    return arguments


def twice_the_rate(project: Project) -> Sequence[str]:
    return speech(project, rate=2 * RATE, durations=False)


def cut(project: Project) -> Sequence[str]:
    """The longest end at 2.5 s; their texts go on."""
    return speech(project, dict.fromkeys(CUT, lambda samples: samples[: 5 * RATE // 2]))


def copied(project: Project, source: int, to: int, *, text: bool) -> Sequence[str]:
    rows = {to: {"text": prompts()[source][2]} if text else {}}
    samples = prompts()[source][1]
    return speech(project, {to: lambda _: samples}, rows=rows)


FAULTS = [
    Fault("files-that-are-gone", after(missing), "A001", names(3, 20), fixable=True),
    Fault("a-folder-that-moved", moved, "A001", fixable=True),
    Fault("files-without-audio", after(no_audio), "A002", names(1, 2, 4, 5, 6), fixable=True),
    Fault("half-a-wav", after(lambda project: halved(project, 7)), "A003", names(7), fixable=True),
    Fault("half-a-flac", halved_flac, "A003", names(7), fixable=True),
    Fault("half-an-ogg", halved_ogg, "A003", names(7), fixable=True),
    Fault("digital-silence", spoiled(4, 25, with_=np.zeros_like), "A004", names(4, 25), fixable=True),
    Fault("silence-but-for-a-click", spoiled(4, with_=click), "A004", names(4), fixable=True),
    Fault("a-muted-microphone", spoiled(4, with_=hiss), "A004", names(4), fixable=True),
    Fault("clipped", spoiled(5, 6, with_=lambda x: np.clip(12 * x, -1, 1)), "A005", names(5, 6), fixable=True),
    Fault("clipped-and-then-made-quieter", spoiled(5, with_=lambda x: 0.3 * np.clip(12 * x, -1, 1)), "A005", names(5)),
    Fault(
        "clipped-and-then-compressed",
        spoiled(5, with_=lambda x: np.clip(12 * x, -1, 1), suffix=".ogg"),
        "A005",
        names(5),
    ),
    Fault("a-sample-that-is-nan", spoiled(8, with_=hole(np.nan), format=FLOAT), "A006", names(8), fixable=True),
    Fault("a-sample-that-is-infinite", spoiled(8, with_=hole(np.inf), format=FLOAT), "A006", names(8)),
    Fault("an-amplitude-of-1e30", spoiled(9, with_=lambda x: x * 1e30, format=FLOAT), "A007", names(9), fixable=True),
    Fault("integers-as-floats", spoiled(9, with_=lambda x: x * 32768, format=FLOAT), "A007", names(9)),
    Fault(
        "channels-of-opposite-phase",
        lambda project: speech(project, {10: beside(np.negative), 11: beside(np.negative)}),
        "A008",
        names(10, 11),
        fixable=True,
    ),
    Fault(
        "a-header-with-half-the-rate", after(lambda p: wrong_header(p, 2, 9, 14)), "A011", names(2, 9, 14), fixable=True
    ),
    Fault("such-headers-and-no-durations", wrong_header_without_durations, "A011", names(2, 9, 14, 16), fixable=True),
    Fault("one-such-header-and-no-durations", one_wrong_header, "A011", names(5)),
    Fault("all-headers-with-twice-the-rate", twice_the_rate, "A011"),
    Fault("a-duration-too-long", lambda p: speech(p, rows={12: {"duration": "9.3"}}), "A012", names(12), fixable=True),
    Fault("a-duration-too-short", lambda p: speech(p, rows={12: {"duration": "0.7"}}), "A012", names(12), fixable=True),
    Fault(
        "a-duration-twice-as-long",
        lambda p: speech(p, rows={12: {"duration": f"{2 * len(prompts()[12][1]) / RATE}"}}),
        "A012",
        names(12),
    ),
    Fault("audio-cut-at-two-and-a-half-seconds", cut, "A013", names(*CUT), fixable=True),
    Fault("one-recording-in-two-splits", lambda p: copied(p, 3, 22, text=False), "A014", names(22), fixable=True),
    Fault("one-recording-with-two-texts", lambda p: copied(p, 3, 7, text=False), "A014", names(3, 7), fixable=True),
]


def quiet(project: Project) -> Sequence[str]:
    return speech(project, lambda samples: 0.01 * samples)


def at_8_khz(project: Project) -> Sequence[str]:
    import soxr

    return speech(project, lambda samples: soxr.resample(samples, RATE, 8000), rate=8000)


def music(project: Project) -> Sequence[str]:
    """Loud, with tops that are limited and not cut."""
    return speech(project, lambda samples: np.tanh(2.0 * samples / np.abs(samples).max()) * 0.99 / np.tanh(2.0))


def stretches(project: Project) -> Sequence[str]:
    """One long file, and rows that read a stretch of it."""
    speech(project)
    folder = project.path / "data"
    lines, at, pieces = ["path,offset,duration,text,split"], 0.0, []
    for number, (_, samples, text) in enumerate(prompts()):
        duration = len(samples) / RATE
        lines.append(f'long.wav,{at:.4f},{duration:.4f},"{text}",{"train" if number < 20 else "test"}')
        pieces.append(samples)
        at += duration
    soundfile.write(folder / "long.wav", np.concatenate(pieces), RATE)
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["data/manifest.csv"]


def channels(second: Callable[[Samples], Samples]) -> Callable[[Project], Sequence[str]]:
    return lambda project: speech(project, beside(second))


HEALTHY = [
    Healthy("speech", speech),
    Healthy("quiet-speech", quiet),
    Healthy("loud-speech", music),
    Healthy("speech-at-8-khz", at_8_khz),
    Healthy("speech-in-stereo", channels(lambda x: np.roll(x, 3))),
    Healthy("stereo-with-one-silent-channel", channels(np.zeros_like)),
    Healthy("mp3", lambda project: speech(project, suffix=".mp3")),
    Healthy("opus", lambda project: speech(project, suffix=".ogg", format={"format": "OGG", "subtype": "OPUS"})),
    Healthy("flac-without-durations", lambda project: speech(project, suffix=".flac", durations=False)),
    Healthy("24-bits", lambda project: speech(project, format={"subtype": "PCM_24"})),
    Healthy("stretches-of-one-long-file", stretches),
    Healthy("a-constant-offset", lambda project: speech(project, lambda samples: samples * 0.9 + 0.05)),
    Healthy("tones", lambda project: recipe(project)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    assert_found(fault, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())
