"""A folder of recordings that augmentations play from: what is in it, what its files are labelled, a stretch of one.

A file's labels are the folders it lies in, below the root, and what a `manifest.csv` or `.tsv` in the root says of it
(columns path and label): MUSAN's `music/…`, or one table for all.
"""

from __future__ import annotations

import csv
import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.api import Finding
from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a", ".mp4", ".webm"})
TRIES = 8
"""Files drawn before a clip stays as it is: some are silent, some cannot be read."""


def files_in(root: Path, labels: Sequence[str] = (), *, what: str = "noise") -> tuple[Path, ...]:
    """The audio files under a folder, sorted by name; with `labels`, those that have one of them.

    `what` is what errors call the folder. Raises `DataError` where there is none.
    """
    return _files(Path(root).expanduser(), tuple(labels), what)


@lru_cache(maxsize=32)
def _files(root: Path, labels: tuple[str, ...], what: str) -> tuple[Path, ...]:
    if not root.is_dir():
        raise DataError(f"the {what} folder {root} does not exist", help="give a folder of audio files as root")
    # names below the root decide the order: it must not change when the folder moves
    found = sorted(
        (path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()),
        key=lambda path: path.relative_to(root).as_posix(),
    )
    if not found:
        raise DataError(
            f"the {what} folder {root} holds no audio files", help=f"looked for {', '.join(sorted(SUFFIXES))}"
        )
    if not labels:
        return tuple(found)
    wanted, written = set(labels), _labels(root)
    chosen = [path for path in found if wanted & labels_of(path, root, written)]
    if not chosen:
        known = sorted(set().union(*(labels_of(path, root, written) for path in found)))
        there = f"it has {', '.join(known[:12])}" if known else "none of its files has a label"
        if close := difflib.get_close_matches(labels[0], known, n=1):
            there = f"did you mean '{close[0]}'? {there}"
        raise DataError(
            f"no file of the {what} folder {root} is labelled {' or '.join(labels)}",
            help=f"{there}; labels are names of sub-folders, or the column label of a manifest.csv in the folder",
        )
    return tuple(chosen)


def labels_of(path: Path, root: Path, written: Mapping[str, str]) -> set[str]:
    """The folders of a file below the root, and what the folder's table says of it."""
    name = path.relative_to(root)
    said = written.get(name.as_posix())
    return {*name.parts[:-1], *([said] if said else [])}


def _labels(root: Path) -> dict[str, str]:
    """Path below the root -> label, from the root's manifest; empty where there is none."""
    for name, delimiter in (("manifest.csv", ","), ("manifest.tsv", "\t")):
        if (root / name).is_file():
            with open(root / name, encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file, delimiter=delimiter))
            return {row["path"]: row["label"] for row in rows if row.get("path") and row.get("label")}
    return {}


def folder_findings(root: Path, labels: Sequence[str] = (), *, what: str = "noise") -> Iterator[Finding]:
    """A folder that is not there or holds no audio; labels that none of its files has."""
    try:
        files_in(root, what=what)
    except DataError as error:
        yield Finding("error", error.message, error.help, path=("root",))
        return
    for label in labels:
        try:
            files_in(root, (label,), what=what)
        except DataError as error:
            yield Finding("error", error.message, error.help, path=("labels",))
            return


@lru_cache(maxsize=65536)
def duration_of(path: Path) -> float | None:
    """s, or None for a file that cannot be read; said once."""
    from voxcli.audio.decode import header

    try:
        return float(header(path).duration)
    except DataError as error:
        log.warning("left out of augmentation: %s", error.message)
        return None


def stretch(files: Sequence[Path], length: int, sampling_rate: int, rng: np.random.Generator) -> np.ndarray | None:
    """A random stretch of a random file, (length,) and not silent; None where eight files gave none.

    Read by seeking; a file shorter than that is repeated from a random point. Raises `DataError` where none of the
    files can be read.
    """
    from voxcli.audio.decode import read
    from voxcli.audio.level import SILENCE, fitted, power

    failed: str | None = None
    for _ in range(TRIES):
        path = files[int(rng.integers(len(files)))]
        place = float(rng.random())  # drawn even where it is not used: what follows must not depend on the file
        duration = duration_of(path)
        if not duration:
            failed = f"{path} cannot be read"
            continue
        spare = duration - length / sampling_rate
        try:
            if spare > 0:
                sound = read(path, offset=place * spare, duration=length / sampling_rate, sampling_rate=sampling_rate)
                place = 0.0
            else:
                sound = read(path, sampling_rate=sampling_rate)
        except DataError as error:
            failed = error.message
            continue
        if len(sound):
            sound = fitted(sound, length, place)
            if power(sound) >= SILENCE:
                return sound
    if failed is not None and not any(duration_of(path) for path in files):
        folder = Path(*_common(files))
        raise DataError(f"no file of the noise folder {folder} can be read: {failed}", help="check the folder")
    return None


def _common(files: Sequence[Path]) -> tuple[str, ...]:
    """The folder that all of them lie in."""
    parts = [path.parent.parts for path in files]
    shared = 0
    while all(len(one) > shared and one[shared] == parts[0][shared] for one in parts):
        shared += 1
    return parts[0][:shared]
