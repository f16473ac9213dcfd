"""A data set of the Hugging Face Hub, or a folder that `datasets` reads -> utterances (huggingface.co/docs/datasets).

The audio stays encoded in the Arrow files of `datasets` and is decoded by voxcli. Script data sets, which `datasets`
no longer runs, are named as such.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import SPLITS, Split, Utterance, config
from voxcli.errors import DataError

if TYPE_CHECKING:
    from voxcli.datasets.live import Live

log = logging.getLogger(__name__)


@config
class HuggingFace:
    """`type = "huggingface"`: what `datasets.load_dataset` or `load_from_disk` reads."""

    path: str
    """Hub id ("google/fleurs"), folder of Parquet, JSON or audio files, or folder written by `save_to_disk`."""
    name: str | None = None
    """Configuration, often a language: "tr_tr"."""
    revision: str | None = None
    """Branch, tag or commit on the Hub. "refs/convert/parquet" is the converted copy of a script data set."""
    data_files: str | tuple[str, ...] | None = None
    """Only these files, by name or pattern."""
    streaming: bool = False
    """Fetch rows one after the other instead of downloading the whole data set first. With `take`, so many rows are
    kept in voxcli's cache (encoded, as they come) and trained on like any data set. Without it, training reads on and
    on, `buffer_size` rows at a time, and keeps no more than these."""
    take: int | None = None
    """At most so many rows of each part, the first ones."""
    buffer_size: int = 1000
    """Rows of a stream that are read ahead, shuffled among themselves and batched by duration, before the next ones."""
    splits: dict[Split, tuple[str, ...]] | None = None
    """Parts that make up a split: { train = ["train", "other"], validation = ["validation[:500]"] }. A split that is
    not named here is the part with its usual name (train; validation, valid, val, dev; test)."""
    audio_column: str | None = None
    """Column of the audio; None means the one that has this type."""
    text_column: str | None = None
    """Transcript. None means the first of text, sentence, transcript, transcription."""
    id_column: str | None = None
    """Name of the utterance. None means id or utterance_id; else the name of its file, or part and row."""
    label_column: str | None = None
    """Class of the recording. None means label."""
    speaker_column: str | None = None
    """Who speaks. None means speaker, speaker_id or client_id."""
    language_column: str | None = None
    """Language of the speech. None means language, lang or locale."""
    language: str | None = None
    """Language of the rows that name none."""

    def utterances(self, split: Split) -> Iterator[Utterance]:
        """The rows of a split, part by part. Raises `DataError` where the data set cannot be loaded."""
        for part in self._parts(split):
            yield from self._of_part(part)

    def splits_present(self) -> tuple[Split, ...]:
        """The splits that the data set has parts for. Raises `DataError`."""
        return tuple(split for split in SPLITS if self._parts(split))

    @property
    def live(self) -> bool:
        """Whether training reads on and on, instead of listing the rows first."""
        return self.streaming and self.take is None

    def stream(self, split: Split) -> Live:
        """The rows of a split as they come. Raises `DataError` where there is no such part."""
        from voxcli.datasets.live import Live

        return Live(self, split)

    def fingerprint(self, split: Split) -> str:
        """Hash of what `datasets` knows of the parts, and of all keys; a stream on the Hub is known by its keys."""
        found = hashlib.blake2b(f"{self!r} {split}".encode(), digest_size=16)
        folder = Path(self.path).expanduser()
        if folder.is_dir():
            found.update(_state(folder))
        if not self.streaming:
            for part in self._parts(split):
                found.update(str(self._open(part)._fingerprint).encode())
        return found.hexdigest()

    def _of_part(self, part: str) -> Iterator[Utterance]:
        rows = self._open(part)
        make = self._row_of(rows, part)
        files = [] if self.streaming else _own_files(rows)
        if not files:
            yield from self._copied(rows, part, make)
            return
        for number, (row, file, at) in enumerate(_rows(files, make.audio, list(make.places.values()))):
            if self.take is not None and number >= self.take:
                return
            yield make(row, number, file, at)

    def _row_of(self, rows: Any, part: str) -> _Row:
        audio = self._audio_column(rows, part)
        classes = {n: f.names for n, f in (rows.features or {}).items() if type(f).__name__ == "ClassLabel"}
        return _Row(part, audio, self._places(rows, audio), classes, self.language)

    def _copied(self, rows: Any, part: str, make: _Row) -> Iterator[Utterance]:
        """By a new file in voxcli's cache: for streams, and for selections of rows that have no file of their own."""
        from voxcli.data.cache import place_of, scratch, settle
        from voxcli.datasets.streamed import write

        key = hashlib.blake2b(f"{self!r} {part}".encode(), digest_size=8)
        key.update(str(getattr(rows, "_fingerprint", "")).encode())
        with scratch(f"streamed/{key.hexdigest()}.arrow") as beside:
            place = place_of(beside)
            log.info("copying the audio of %s, part %s, to %s", self.path, part, place)
            written = write(rows, beside, audio=make.audio, columns=list(make.places.values()), take=self.take)
            for number, row in enumerate(written):
                yield make(row, number, str(place), number)
            settle(beside)

    def _parts(self, split: Split) -> tuple[str, ...]:
        """The parts of a split, those asked for or those that there are."""
        import difflib

        from voxcli.datasets.splits import names_of

        present = list(self._loaded())
        names = names_of(split, self.splits)
        if self.splits is not None and split in self.splits:
            for name in names:
                bare = name.split("[", 1)[0]
                if bare not in present:
                    close = difflib.get_close_matches(bare, present, n=1)
                    meant = f"did you mean '{close[0]}'? " if close else ""
                    raise DataError(f"{self.path} has no part '{bare}'", help=f"{meant}its parts: {', '.join(present)}")
            return names
        found = next((part for name in names for part in present if part.lower() == name), None)
        return () if found is None else (found,)

    def _loaded(self) -> Mapping[str, Any]:
        from voxcli.datasets.hub import parts

        return parts(self.path, self._arguments())

    def _open(self, part: str) -> Any:
        from voxcli.datasets.hub import piece

        if "[" not in part:
            return self._loaded()[part]
        if self.streaming:
            raise DataError(f"'{part}': a stream has no slices", help="`take` takes the first rows of each part")
        return piece(self.path, self._arguments(), part)

    def _arguments(self) -> tuple[tuple[str, Any], ...]:
        keys = {"name": self.name, "revision": self.revision, "data_files": self.data_files}
        return (*((key, value) for key, value in keys.items() if value is not None), ("streaming", self.streaming))

    def _audio_column(self, rows: Any, part: str) -> str:
        features = rows.features or {}
        found = [
            n for n, f in features.items() if type(f).__name__ == "Audio" or (isinstance(f, dict) and "bytes" in f)
        ]
        name = self.audio_column or next(iter(found), None)
        if name in found:
            return str(name)
        columns = ", ".join(features)
        if name in features:
            raise DataError(
                f"{self.path}, part {part}: column '{name}' holds no audio",
                help=f'`type = "manifest"` reads tables of paths; columns: {columns}',
            )
        what = "of type Audio" if self.audio_column is None else f"'{self.audio_column}'"
        raise DataError(
            f"{self.path}, part {part}, has no column {what}", help=f"set `audio_column`; columns: {columns}"
        )

    def _places(self, rows: Any, audio: str) -> dict[str, str]:
        """Meaning -> column, without the audio."""
        from voxcli.datasets.columns import assign

        keys = ("text", "id", "label", "speaker", "language")
        asked = {"audio": audio, **{key: getattr(self, f"{key}_column") for key in keys}}
        places = assign(list(rows.features or {}), asked, self.path)
        return {meaning: column for meaning, column in places.items() if meaning in keys}


@dataclass(frozen=True)
class _Row:
    """Turns a row into an utterance."""

    part: str
    audio: str
    """Column of the audio."""
    places: Mapping[str, str]
    """Meaning -> column."""
    classes: Mapping[str, Sequence[str]]
    """Column -> names of its classes, which the rows hold as numbers; below 0 is none."""
    language: str | None

    def __call__(self, row: Mapping[str, Any], number: int, file: str, at: int) -> Utterance:
        """`at` is the row's place in `file`, `number` its place in the part."""
        from voxcli.datasets.stored_audio import StoredAudio

        path, inside = row[self.audio]
        return Utterance(
            id=self._value(row, "id") or (os.path.basename(path) if path else f"{self.part}-{number:06d}"),
            audio=StoredAudio(file, self.audio, at) if inside or not path else Path(path),
            text=self._value(row, "text"),
            label=self._value(row, "label"),
            speaker=self._value(row, "speaker"),
            language=self._value(row, "language") or self.language,
        )

    def _value(self, row: Mapping[str, Any], meaning: str) -> str | None:
        column = self.places.get(meaning)
        if column is None or row[column] is None:
            return None
        if column in self.classes:
            number = int(row[column])
            return self.classes[column][number] if number >= 0 else None
        return str(row[column])


def _state(folder: Path) -> bytes:
    """Names, sizes and times of change of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = (f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}\n" for path in files)
    return hashlib.blake2b("".join(lines).encode("utf-8", "replace")).digest()


def _own_files(rows: Any) -> list[str]:
    """The Arrow files that hold exactly these rows in this order; none for a selection of rows."""
    import pyarrow as pa

    if rows._indices is not None or not rows.cache_files:
        return []
    files = [found["filename"] for found in rows.cache_files]
    count = 0
    for file in files:
        with pa.memory_map(file) as source, pa.ipc.open_stream(source) as reader:
            count += sum(batch.num_rows for batch in reader)
    return files if count == len(rows) else []


def _rows(files: Sequence[str], audio: str, columns: Sequence[str]) -> Iterator[tuple[dict[str, Any], str, int]]:
    """(row, file, its place in the file); a row's audio is (path, whether its bytes are there): no audio is read."""
    import pyarrow as pa

    for file in files:
        at = 0
        with pa.memory_map(file) as source, pa.ipc.open_stream(source) as reader:
            for batch in reader:
                stored = batch.column(audio)
                found = {name: batch.column(name).to_pylist() for name in columns}
                inside = stored.field("bytes").is_valid().to_pylist()
                for index, path in enumerate(stored.field("path").to_pylist()):
                    row: dict[str, Any] = {name: values[index] for name, values in found.items()}
                    row[audio] = (path, inside[index])
                    yield row, file, at
                    at += 1
