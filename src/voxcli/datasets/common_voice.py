"""An unpacked Common Voice release -> utterances.

A release is a folder a language: `clips/` with MP3 files, and a TSV file a part (train, dev, test, other, validated …)
with the columns client_id, path, sentence, locale; newer ones have `clip_durations.tsv`, in ms. Nothing in them
is quoted (https://github.com/common-voice/cv-dataset).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.api import SPLITS, Split, Utterance, config
from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

DURATIONS = "clip_durations.tsv"


@config
class CommonVoice:
    """`type = "common-voice"`: the folder of one language."""

    root: Path
    """The language's folder, the one that holds `clips` and `validated.tsv`."""
    splits: dict[Split, tuple[str, ...]] | None = None
    """Parts (names of TSV files) that make up a split, for example { train = ["train", "other"] }. A split that is not
    named here is the release's own: train; dev; test. A clip that is part of a test or validation split is left out of
    the splits before it, so that `train = ["validated"]` is safe: validated holds them all."""
    language: str | None = None
    """Language of the utterances; None means what the column `locale` says."""

    def utterances(self, split: Split) -> Iterator[Utterance]:
        """The clips of a split, part by part, each clip once. Raises `DataError` where it is no such release."""
        from voxcli.datasets.rows import Bad, table

        root = self._root()
        durations = _Durations(root / DURATIONS)
        # by 64-bit hash: a million names of clips would fill memory
        seen = {hash(clip) for later in SPLITS[SPLITS.index(split) + 1 :] for clip in self._clips(later)}
        n_later, left_out = len(seen), 0
        for path in self._files(split):
            with table(path, "tsv", quoting=False) as (columns, rows):
                at = _places(columns, path)
                bad = Bad(path)
                for number, row in enumerate(rows, 1):
                    clip = _clip(row[at["path"]])
                    if not clip:
                        bad.add(f"row {number} names no clip")
                    elif hash(clip) in seen:
                        left_out += 1
                    else:
                        if len(self._files(split)) > 1:
                            seen.add(hash(clip))
                        yield Utterance(
                            id=clip,
                            audio=root / "clips" / clip,
                            duration=durations.of(clip),
                            text=row[at["sentence"]],
                            speaker=row[at["client_id"]] or None if "client_id" in at else None,
                            language=self.language or (row[at["locale"]] or None if "locale" in at else None),
                        )
                bad.tell()
        if left_out:
            also = "in a part before, or in a split after" if n_later else "in a part before"
            log.info("%s: %d rows of the %s split are left out: they stand %s", root, left_out, split, also)

    def splits_present(self) -> tuple[Split, ...]:
        """The splits that the release has parts for. Raises `DataError`."""
        return tuple(split for split in SPLITS if self._files(split))

    def fingerprint(self, split: Split) -> str:
        """Hash of the TSV files that decide the split, of the durations, and of all keys. Raises `DataError`."""
        import hashlib

        found = hashlib.blake2b(f"{self!r} {split} {self._root().absolute()}".encode(), digest_size=16)
        paths = [path for name in SPLITS[SPLITS.index(split) :] for path in self._files(name)]
        for path in (*paths, self._root() / DURATIONS):
            if path.is_file():
                with path.open("rb") as file:
                    found.update(hashlib.file_digest(file, "blake2b").digest())
        return found.hexdigest()

    def _root(self) -> Path:
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise DataError(f"{root} does not exist", help="set `root` to a language's folder of an unpacked release")
        if not any(root.glob("*.tsv")):
            below = [folder for folder in sorted(root.glob("*/")) if any(folder.glob("*.tsv"))]
            meant = f"did you mean {below[0]}?" if below else "unpack the release, and name the language's folder in it"
            raise DataError(f"{root} is no Common Voice release: it holds no TSV files", help=meant)
        return root

    def _files(self, split: Split) -> tuple[Path, ...]:
        """The TSV files of a split. Raises `DataError` for one that was asked for and is missing."""
        import difflib

        root = self._root()
        if self.splits is None or split not in self.splits:
            taken = {part for parts in (self.splits or {}).values() for part in parts}
            own = "dev" if split == "validation" else split
            path = root / f"{own}.tsv"
            return (path,) if own not in taken and path.is_file() else ()
        present = sorted(path.stem for path in root.glob("*.tsv") if path.name != DURATIONS)
        for part in self.splits[split]:
            if part not in present:
                close = difflib.get_close_matches(part, present, n=1)
                meant = f"did you mean '{close[0]}'? " if close else ""
                raise DataError(f"{root} has no part '{part}'", help=f"{meant}its parts: {', '.join(present)}")
        return tuple(root / f"{part}.tsv" for part in self.splits[split])

    def _clips(self, split: Split) -> Iterator[str]:
        from voxcli.datasets.rows import table

        for path in self._files(split):
            with table(path, "tsv", quoting=False) as (columns, rows):
                at = _places(columns, path)["path"]
                yield from (_clip(row[at]) for row in rows)


def _places(columns: list[str], path: Path) -> dict[str, int]:
    for name in ("path", "sentence"):
        if name not in columns:
            raise DataError(
                f"{path} has no column '{name}'",
                help=f'is it Common Voice? `type = "manifest"` reads other tables; its columns: {", ".join(columns)}',
            )
    return {name: columns.index(name) for name in ("path", "sentence", "client_id", "locale") if name in columns}


def _clip(name: str) -> str:
    """The clip's file name; the first releases left its ending out."""
    name = name.strip()
    return name if not name or os.path.splitext(name)[1] else f"{name}.mp3"


class _Durations:
    """`clip_durations.tsv`, as two arrays: 12 bytes a clip."""

    def __init__(self, path: Path) -> None:
        self._hashes: np.ndarray | None = None
        if path.is_file():
            self._read(path)

    def of(self, clip: str) -> float | None:
        """Length of a clip, s; None where the release does not say it."""
        if self._hashes is None:
            return None
        at = int(self._hashes.searchsorted(hash(clip)))
        if at == len(self._hashes) or self._hashes[at] != hash(clip):
            return None
        return float(self._ms[at]) / 1000

    def _read(self, path: Path) -> None:
        from array import array

        import numpy as np

        from voxcli.datasets.rows import table

        hashes, ms = array("q"), array("f")
        with table(path, "tsv", quoting=False) as (columns, rows):
            if len(columns) < 2:
                return
            for clip, length, *_ in rows:
                try:
                    ms.append(float(length))
                except ValueError:
                    continue
                hashes.append(hash(_clip(clip)))
        order = np.argsort(np.array(hashes, np.int64))
        self._hashes, self._ms = np.array(hashes, np.int64)[order], np.array(ms, np.float32)[order]
