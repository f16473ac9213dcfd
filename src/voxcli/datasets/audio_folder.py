"""A folder of audio with the transcripts beside it, or sorted into folders by label -> utterances.

Three layouts, told apart folder by folder:

    1272-128104.trans.txt   lines "ID TRANSCRIPT", the audio is ID.flac beside it (LibriSpeech)
    hello.wav hello.txt     a text file of the same name holds the transcript
    yes/1.wav no/1.wav      neither: the folder's name is the label (Speech Commands)
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from voxcli.api import SPLITS, Split, Utterance, config
from voxcli.errors import DataError

log = logging.getLogger(__name__)

TRANSCRIPTS = ".trans.txt"
SPEAKER = re.compile(r"(\d+)[-_]\d+[-_]\d+$")  # 1272-128104-0003: speaker, chapter, sentence
TABLES = tuple(f"{name}.{end}" for name in ("metadata", "manifest") for end in ("csv", "tsv", "jsonl", "parquet"))


@config
class AudioFolder:
    """`type = "audio-folder"`: everything below a folder that is audio by its name."""

    root: Path
    """The folder. Top-level folders called train, dev, test-clean … are the splits; without such folders everything is
    the training split, and `[holdout]` can set some aside."""
    splits: dict[Split, tuple[str, ...]] | None = None
    """Folders below `root` that make up a split: { train = ["train-clean-100"], validation = ["dev-clean"] }."""
    content: Literal["auto", "text", "label"] = "auto"
    """`text`: transcripts beside the audio; `label`: the folder's name is the class; `auto`: transcripts where there
    are any, else labels."""
    language: str | None = None
    """Language of the speech."""

    def utterances(self, split: Split) -> Iterator[Utterance]:
        """The audio files of a split, sorted folder by folder. Raises `DataError` where there are none at all."""
        root = self._root()
        found = False
        if tables := [name for name in TABLES if (root / name).is_file()]:
            log.warning('%s is not read: `type = "manifest"` with `path` set to it does', root / tables[0])
        for top in self._tops(split):
            for folder, files in _walk(top):
                for utterance in self._in_folder(root, top, folder, files):
                    found = True
                    yield utterance
        if not found and split == "train" and not self.splits:
            self._explain(root)

    def splits_present(self) -> tuple[Split, ...]:
        """The splits that have folders. Raises `DataError`."""
        return tuple(split for split in SPLITS if self._tops(split))

    def fingerprint(self, split: Split) -> str:
        """Hash of all names, sizes and times of change below the split's folders, and of all keys."""
        import hashlib

        from voxcli.audio.formats import is_audio

        found = hashlib.blake2b(f"{self!r} {split} {self._root().absolute()}".encode(), digest_size=16)
        for top in self._tops(split):
            for folder, files in _walk(top):
                for name in files:
                    if is_audio(name) or name.endswith(".txt"):
                        status = os.stat(os.path.join(folder, name))
                        line = f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n"
                        found.update(line.encode("utf-8", "surrogateescape"))
        return found.hexdigest()

    def _in_folder(self, root: Path, top: Path, folder: str, files: list[str]) -> Iterator[Utterance]:
        from voxcli.audio.formats import is_audio

        names = set(files)
        told = {} if self.content == "label" else _told(folder, files)
        stems = [name.rsplit(".", 1)[0] for name in files if is_audio(name)]
        beside = self.content != "label" and any(f"{stem}.txt" in names for stem in stems)
        for name in files:
            if not is_audio(name):
                continue
            stem = name.rsplit(".", 1)[0]
            text = told.get(stem)
            if text is None and beside and f"{stem}.txt" in names:
                text = _read(os.path.join(folder, f"{stem}.txt"))
            inside = os.path.relpath(folder, root)
            speaker = SPEAKER.match(stem) if told else None
            labelled = self.content != "text" and not told and not beside and Path(folder) != top
            yield Utterance(
                id=name if inside == "." else f"{inside}/{name}".replace(os.sep, "/"),
                audio=Path(folder, name),
                text=text,
                label=os.path.basename(folder) if labelled else None,
                speaker=speaker[1] if speaker else None,
                language=self.language,
            )

    def _root(self) -> Path:
        """The folder that holds splits, labels or audio: a single folder in it is gone into."""
        from voxcli.datasets.splits import split_called

        root = Path(self.root).expanduser()
        if not root.is_dir():
            what = "is a file, not a folder" if root.exists() else "does not exist"
            raise DataError(f"{root} {what}", help="set `root` to a folder of audio files")
        root = root.absolute()
        while len(inside := [entry for entry in os.scandir(root) if entry.name[0] != "."]) == 1 and inside[0].is_dir():
            if split_called(inside[0].name):
                break
            root = root / inside[0].name
        return root

    def _tops(self, split: Split) -> tuple[Path, ...]:
        """The folders of a split."""
        import difflib

        from voxcli.datasets.splits import split_called

        root = self._root()
        folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != ".")
        if self.splits is not None:
            for name in self.splits.get(split, ()):
                if not (root / name).is_dir():
                    close = difflib.get_close_matches(name, folders, n=1)
                    meant = f"did you mean '{close[0]}'? " if close else ""
                    raise DataError(f"{root} has no folder '{name}'", help=f"{meant}its folders: {', '.join(folders)}")
            return tuple(root / name for name in self.splits.get(split, ()))
        called = {name: split_called(name) for name in folders}
        if "train" in called.values() or (folders and None not in called.values()):
            if split == "train" and None in called.values():
                others = ", ".join(name for name in folders if called[name] is None)
                log.warning("%s: folders that are no split are left out: %s; `splits` can take them in", root, others)
            return tuple(root / name for name in folders if called[name] == split)
        return (root,) if split == "train" else ()

    def _explain(self, root: Path) -> None:
        from voxcli.audio.formats import SUFFIXES

        raise DataError(
            f"no audio in {root} or the folders below it",
            help=f"names of audio files end in {', '.join(suffix[1:] for suffix in SUFFIXES)}",
        )


def _walk(top: Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder from `top` down with its files, both sorted; hidden ones are passed over."""
    for folder, below, files in os.walk(top, followlinks=True):
        below[:] = sorted(name for name in below if name[0] != ".")
        yield folder, sorted(name for name in files if name[0] != ".")


def _told(folder: str, files: list[str]) -> dict[str, str]:
    """Stem -> transcript, from the folder's LibriSpeech-style files."""
    told: dict[str, str] = {}
    for name in files:
        if name.endswith(TRANSCRIPTS):
            for line in _read(os.path.join(folder, name)).splitlines():
                stem, _, text = line.strip().partition(" ")
                told[stem] = text.strip()
    return told


def _read(path: str) -> str:
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        return file.read().strip()
