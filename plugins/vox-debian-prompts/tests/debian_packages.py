"""A Debian package, an apt repository and prompts in each of Asterisk's codings, written by hand and small."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import soundfile

VOICES = {"en": "en_US_f_Allison", "it": "it_IT_m_Carlo"}
SOUNDS = "usr/share/asterisk/sounds"


def ar(members: Mapping[str, bytes]) -> bytes:
    """An ar archive as dpkg-deb writes it."""
    made = b"!<arch>\n"
    for name, content in members.items():
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        made += b"\n" * (len(content) % 2)
    return made


def tar(files: Mapping[str, bytes], *, compression: str = "xz", links: Mapping[str, str] | None = None) -> bytes:
    """A tar with folders, files and symbolic links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as archive:
        folder = tarfile.TarInfo("./usr")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(f"./{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return out.getvalue()


def package(folder: Path, name: str, files: Mapping[str, bytes], *, compression: str = "xz", **more) -> Path:
    """NAME_1.0-1_all.deb with the given files."""
    control = f"Package: {name}\nVersion: 1.0-1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: prompts\n"
    suffix = {"xz": ".xz", "gz": ".gz", "": ""}[compression]
    content = ar(
        {
            "debian-binary": b"2.0\n",
            "control.tar.xz": tar({"control": control.encode()}),
            f"data.tar{suffix}": tar(files, compression=compression, **more),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}_1.0-1_all.deb"
    path.write_bytes(content)
    return path


def sine(frequency: float, seconds: float, rate: int) -> np.ndarray:
    """int16 (N,)."""
    return (9000 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def coded(frequency: float, seconds: float, codec: str) -> bytes:
    """A tone as a file of Asterisk."""
    out = io.BytesIO()
    if codec == "g722":
        with av.open(out, "w", format="g722") as container:
            stream = container.add_stream("g722", rate=16000, layout="mono")
            frame = av.AudioFrame.from_ndarray(sine(frequency, seconds, 16000)[None], format="s16", layout="mono")
            frame.sample_rate = 16000
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
        return out.getvalue()
    subtype = {"gsm": "GSM610", "ulaw": "ULAW", "alaw": "ALAW", "wav": "PCM_16"}[codec]
    kind = "WAV" if codec == "wav" else "RAW"
    soundfile.write(out, sine(frequency, seconds, 8000), 8000, format=kind, subtype=subtype)
    return out.getvalue()


def prompts(names: Mapping[str, float], codec: str = "g722", *, language: str = "en") -> dict[str, bytes]:
    """{path in the package: content} of {name: pitch in Hz}, each 0.4 s."""
    return {f"{SOUNDS}/{VOICES[language]}/{name}.{codec}": coded(hz, 0.4, codec) for name, hz in names.items()}


def texts(lines: str, *, language: str = "en") -> dict[str, bytes]:
    """{path in the package: content} of core-sounds-LANG.txt.gz."""
    name = f"usr/share/doc/asterisk-core-sounds-{language}/core-sounds-{language}.txt.gz"
    return {name: gzip.compress(lines.encode())}


def repository(folder: Path) -> None:
    """Packages, the list that apt reads of a folder."""
    entries = []
    for path in sorted(folder.glob("*.deb")):
        content = path.read_bytes()
        name, version, _ = path.stem.split("_")
        entries.append(
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: prompts\n"
            f"Filename: ./{path.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        )
    (folder / "Packages").write_text("\n".join(entries))
