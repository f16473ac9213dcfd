"""A folder of packages, or an unpacked one -> where the recordings and the texts of a language are.

Packages are unpacked once into `$VOX_CACHE/debian-prompts` (default ~/.cache/voxcli): only what is needed of them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vox_debian_prompts import deb
from voxcli.errors import DataError

PACKAGE = "asterisk-core-sounds"
SOUNDS = "usr/share/asterisk/sounds"
_DOCUMENTS = "usr/share/doc"


@dataclass(frozen=True)
class Place:
    """One language on the disk."""

    language: str
    sounds: Path
    """The folder of a voice: en_US_f_Allison."""
    texts: Path
    """core-sounds-LANG.txt, gzipped or not."""
    identity: tuple[str, ...]
    """What changes when the files do."""


def packages(language: str, codec: str) -> tuple[str, str]:
    """Names of the packages that hold the recordings and the texts of a language."""
    return f"{PACKAGE}-{language}-{codec}", f"{PACKAGE}-{language}"


def find(root: Path, languages: Sequence[str], codec: str) -> list[Place]:
    """Where each language is. Raises `DataError` that lists what is missing and the command that brings it."""
    found, missing = [], []
    for language in languages:
        sounds, texts = _sounds(root, language, codec), _texts(root, language, codec)
        missing += [name for name, one in zip(packages(language, codec), (sounds, texts), strict=True) if one is None]
        if sounds is not None and texts is not None:
            found.append(Place(language, sounds[0], texts[0], (*sounds[1], *texts[1])))
    if missing:
        raise DataError(
            f"{root} has nothing of {', '.join(missing)}: neither packages (NAME_VERSION_all.deb) nor their files",
            help=f"cd FOLDER && apt-get download {' '.join(missing)}   and root = FOLDER; or `vox debian-prompts fetch "
            "FOLDER`, which does it",
        )
    return found


Found = tuple[Path, tuple[str, ...]]


def _sounds(root: Path, language: str, codec: str) -> Found | None:
    if package := _newest(root, packages(language, codec)[0]):
        root = _unpacked(package)
    for folder in (root, root / SOUNDS):
        voices = [one for one in (*sorted(folder.glob(f"{language}_*")), folder / language) if one.is_dir()]
        for voice in voices:
            if next(voice.rglob(f"*.{codec}"), None) is not None:
                files = [path.stat() for path in recordings(voice, codec)]
                return voice, (str(voice.resolve()), str(len(files)), str(max(one.st_mtime_ns for one in files)))
    return None


def _texts(root: Path, language: str, codec: str) -> Found | None:
    if package := _newest(root, packages(language, codec)[1]):
        root = _unpacked(package)
    here = (root, root / language, root.parents[1] / "doc" if len(root.parents) > 1 else root, root / _DOCUMENTS)
    for folder in (*here[:2], *(one / packages(language, codec)[1] for one in here[2:])):
        for name in (f"core-sounds-{language}.txt.gz", f"core-sounds-{language}.txt"):
            if (path := folder / name).is_file():
                return path, (str(path.resolve()), str(path.stat().st_mtime_ns))
    return None


def recordings(voice: Path, codec: str) -> Iterator[Path]:
    """The files of a voice, sorted by their path."""
    return iter(sorted(voice.rglob(f"*.{codec}")))


def _newest(root: Path, package: str) -> Path | None:
    """The package's file; of several the one that was downloaded last."""
    return max(root.glob(f"{package}_*.deb"), key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)


def _unpacked(package: Path) -> Path:
    """The folder that a package is unpacked in; done once for each file. Raises `DataError`."""
    status = package.stat()
    cache = Path(os.environ.get("VOX_CACHE") or _cache()).expanduser() / "debian-prompts"
    folder = cache / f"{package.stem}-{status.st_size}-{status.st_mtime_ns}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=cache, prefix=".unpacking-"))
        try:
            for name, content in deb.files(package):
                if name.startswith(f"{SOUNDS}/") or (
                    name.startswith(f"{_DOCUMENTS}/") and "core-sounds-" in Path(name).name
                ):
                    (beside / name).parent.mkdir(parents=True, exist_ok=True)
                    (beside / name).write_bytes(content)
            beside.chmod(0o755)
            if not folder.is_dir():  # another process may have been quicker
                beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        if folder.is_dir():
            return folder
        raise DataError(
            f"{package} cannot be unpacked into {cache}: {error.strerror or error}",
            help=f"set VOX_CACHE to a folder with room, or unpack it yourself: dpkg-deb -x {package} FOLDER",
        ) from error
    return folder


def _cache() -> str:
    home = os.environ.get("XDG_CACHE_HOME")
    return str(Path(home) / "voxcli") if home else "~/.cache/voxcli"
