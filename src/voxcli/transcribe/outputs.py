"""Where each recording's files go, whether they can be written, and writing them whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from voxcli.api import Transcript
from voxcli.audio.formats import is_audio
from voxcli.errors import UsageError
from voxcli.transcribe.formats import FORMATS
from voxcli.transcribe.inputs import Source


def under(folder: Path, sources: Sequence[Source]) -> list[Path]:
    """One path for each source below `folder`, without a suffix and all different.

    The structure of a folder that was given is kept. Files of one name from different folders keep as much of their
    path as tells them apart; `x.wav` and `x.mp3` of one folder keep their suffix.
    """
    relative = _told_apart(
        sources,
        (
            lambda same: [_stem(source.relative) for source in same],
            _below_their_common_folder,
            lambda same: [path.with_name(_path(source).name) for path, source in _pairs(same)],
            lambda same: [Path(*_absolute(source).parts[1:]) for source in same],
        ),
    )
    return [folder / path for path in relative]


def beside(sources: Sequence[Source]) -> list[Path]:
    """One path for each source next to its audio, without a suffix and all different.

    Raises `UsageError` for standard input, which stands beside nothing.
    """
    if any(isinstance(source.audio, bytes) for source in sources):
        raise UsageError("--beside has no place for standard input", help="use --output-dir, or the standard output")
    return _told_apart(
        sources,
        (
            lambda same: [_stem(_path(source)) for source in same],
            lambda same: [_path(source) for source in same],
        ),
    )


def require_writable(folders: Iterable[Path]) -> None:
    """Make the folders and try a file in each. Raises `UsageError`, so that hours of work are not lost at the end."""
    for folder in sorted(set(folders)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise UsageError(
                f"cannot write into {folder}: {error.strerror}",
                help="choose another folder with --output-dir; without it the text goes to the standard output",
            ) from error


def files(stem: Path, formats: Sequence[str]) -> list[Path]:
    """The files of one recording."""
    return [stem.with_name(f"{stem.name}.{format}") for format in formats]


def write(transcript: Transcript, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write the files of one recording: each appears under its name only when it is complete. Raises `OSError`."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    written = files(stem, formats)
    for path, format in zip(written, formats, strict=True):
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            partial.write_text(FORMATS[format](transcript), encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return written


_Naming = Callable[[Sequence[Source]], list[Path]]


def _told_apart(sources: Sequence[Source], namings: Sequence[_Naming]) -> list[Path]:
    """Name all sources by the first rule; those that share a name by the next, until every name is different."""
    names = namings[0](sources)
    for naming in namings[1:]:
        used = Counter(_key(name) for name in names)
        groups: dict[str, list[int]] = {}
        for number, name in enumerate(names):
            if used[_key(name)] > 1:
                groups.setdefault(_key(name), []).append(number)
        for group in groups.values():
            for number, name in zip(group, naming([sources[number] for number in group]), strict=True):
                names[number] = name
    return names


def _key(name: Path) -> str:
    return str(name).casefold()  # two names that some file systems take for one


def _below_their_common_folder(same: Sequence[Source]) -> list[Path]:
    return [path for path, _ in _pairs(same)]


def _pairs(same: Sequence[Source]) -> list[tuple[Path, Source]]:
    """Each source with its path, without the suffix, below the folder that all of them share."""
    common = os.path.commonpath([_absolute(source).parent for source in same])
    return [(_stem(_absolute(source).relative_to(common)), source) for source in same]


def _absolute(source: Source) -> Path:
    return Path(os.path.abspath(_path(source)))


def _path(source: Source) -> Path:
    return source.audio if isinstance(source.audio, Path) else source.relative


def _stem(path: Path) -> Path:
    return path.with_suffix("") if is_audio(path.name) else path
