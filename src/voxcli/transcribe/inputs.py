"""What was named on the command line (files, folders, `-`) -> the recordings it means, in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxcli.audio.formats import SUFFIXES, is_audio

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One recording to transcribe."""

    name: str
    """As a person finds it again: the path as it was given, or below the folder that was given."""
    audio: Path | bytes | None
    """Where the audio is; None where there is none and `problem` says why."""
    relative: Path
    """Where it stands under what was given: decides the path below an output folder."""
    problem: str | None = None


def find(arguments: Sequence[str], *, stdin: Callable[[], bytes]) -> list[Source]:
    """The recordings that the arguments mean, each once, in the order of the arguments and sorted within a folder.

    A path that is missing or a folder without audio becomes a source with a `problem`: the others go on.
    """
    found: dict[object, Source] = {}
    for argument in arguments:
        for source in _sources(argument, stdin):
            key = source.audio.resolve() if isinstance(source.audio, Path) else source.name
            found.setdefault(key, source)
    return list(found.values())


def _sources(argument: str, stdin: Callable[[], bytes]) -> Iterator[Source]:
    if argument == STDIN:
        yield Source("stdin", stdin(), Path("stdin"))
        return
    path = Path(argument)
    if not path.is_dir():
        problem = None if path.exists() else "there is no such file or folder"
        yield Source(argument, None if problem else path, Path(path.name), problem)
        return
    unreadable: list[Source] = []

    def refuse(error: OSError) -> None:
        unreadable.append(Source(str(error.filename), None, Path(path.name), f"cannot be listed: {error.strerror}"))

    files = sorted(_audio_files(path, refuse))
    yield from (Source(str(file), file, file.relative_to(path)) for file in files)
    yield from unreadable
    if not files and not unreadable:
        yield Source(argument, None, Path(path.name), f"no audio in this folder ({_suffixes()})")


def _audio_files(folder: Path, onerror: Callable[[OSError], None]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=onerror):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and is_audio(name):
                yield Path(parent, name)


def _suffixes() -> str:
    return "looked for " + " ".join(sorted(SUFFIXES))
