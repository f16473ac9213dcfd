"""A table of audio files and what is said in them (CSV, TSV, JSONL, Parquet) -> utterances.

NeMo's manifests (https://docs.nvidia.com/nemo-framework/user-guide/latest/nemotoolkit/asr/datasets.html) and the
`metadata.csv` of a Hugging Face audio folder are read as they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from voxcli.api import SPLITS, Segment, Split, Utterance, config
from voxcli.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

SMALL = 1 << 20  # bytes; up to here a manifest is read row by row in less than a second


@config
class Manifest:
    """`type = "manifest"`: one row an utterance, in one file for all splits or in one file a split."""

    path: Path | tuple[Path, ...] | None = None
    """One manifest, or several, for all splits: `split_column` says which row belongs where. Without such a column all
    rows are training rows, and `[holdout]` can set some aside."""
    train: Path | tuple[Path, ...] | None = None
    """Manifest of the training split, or several."""
    validation: Path | tuple[Path, ...] | None = None
    """Manifest of the validation split, or several."""
    test: Path | tuple[Path, ...] | None = None
    """Manifest of the test split, or several."""
    format: Literal["csv", "tsv", "jsonl", "parquet"] | None = None
    """None means what the file's name ends in. CSV may be separated by commas, semicolons or bars."""
    root: Path | None = None
    """Folder that the relative paths in the manifest begin at; None means the manifest's own folder."""
    audio_column: str | None = None
    """Path of the audio. None means the first of audio, path, audio_path, audio_filepath, audio_file, file, file_name,
    filename, wav."""
    text_column: str | None = None
    """Transcript. None means the first of text, sentence, transcript, transcription."""
    id_column: str | None = None
    """Name of the utterance. None means id, utterance_id or utt_id; without such a column the path names it."""
    duration_column: str | None = None
    """Length, s; or ms where the column's name ends in _ms or [ms]. None means duration or audio_duration; where there
    is none, the audio's header says it."""
    offset_column: str | None = None
    """Where the utterance begins in the audio, s. None means offset."""
    label_column: str | None = None
    """Class of the recording. None means label."""
    speaker_column: str | None = None
    """Who speaks. None means speaker, speaker_id or client_id."""
    language_column: str | None = None
    """Language of the speech. None means language, lang or locale."""
    split_column: str | None = None
    """Part that a row belongs to. None means split."""
    segments_column: str | None = None
    """Times within the clip: a list of { start, end, text }, or of words, in s; JSON in a text column. None means
    segments or words."""
    splits: dict[Split, tuple[str, ...]] | None = None
    """Values of the split column: { train = ["train", "extra"], validation = ["dev"] }. A split that is not named here
    has its usual names: train; validation, valid, val, dev; test. Rows with other values are left out."""
    language: str | None = None
    """Language of the rows that name none."""

    def utterances(self, split: Split) -> Iterator[Utterance]:
        """The rows of a split, file by file. Raises `DataError` for a manifest that cannot be read."""
        from voxcli.datasets.rows import Bad, format_of, table

        own = getattr(self, split) is not None
        for path in self._files(split):
            with table(path, format_of(path, self.format)) as (columns, rows):
                row_of = _Row(self, columns, path)
                if not own and not row_of.has_split and split != "train":
                    continue
                bad = Bad(path)
                belongs = row_of.filter(None if own else split, self.splits)
                for number, row in enumerate(rows, 1):
                    if not belongs(row):
                        continue
                    if (utterance := row_of(row)) is None:
                        bad.add(f"row {number} names no audio")
                    else:
                        yield utterance
                bad.tell()

    def columns(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The same rows as columns of an index, for large manifests.

        Raises `NotImplementedError`, at any point, where only `utterances` is sure to read them as they are.
        """
        from voxcli.datasets import columnar, manifest_columns
        from voxcli.datasets.rows import Bad, format_of, table

        paths = self._files(split)
        if sum(path.stat().st_size for path in paths if path.is_file()) < SMALL:
            raise NotImplementedError("there is no time to save")
        own = getattr(self, split) is not None
        for path in paths:
            format = format_of(path, self.format)
            with table(path, format) as (columns, _):
                row_of = _Row(self, columns, path)
            if not own and not row_of.has_split and split != "train":
                continue
            bad = Bad(path)
            places, at = manifest_columns.places_of(row_of.at)
            numbers = frozenset(row_of.at[meaning] for meaning in ("offset", "duration") if meaning in row_of.at)
            yield from manifest_columns.utterances(
                columnar.batches(path, format, columnar.Wanted(columns, places, numbers)),
                at,
                belongs=row_of.values(None if own else split, self.splits),
                root=row_of.root,
                scale=row_of.scale,
                language=self.language,
                bad=bad,
            )
            bad.tell()

    def fingerprint(self, split: Split) -> str:
        """Hash of the manifests' content, of where they stand, and of all keys. Raises `DataError`."""
        import hashlib

        from voxcli.datasets.rows import digest_of

        found = hashlib.blake2b(f"{self!r} {split}".encode(), digest_size=16)
        for path in self._files(split):
            found.update(f"\0{path.absolute()}\0".encode("utf-8", "replace"))
            if path.is_file():
                found.update(digest_of(path))
        if self.root:
            found.update(os.path.abspath(self.root).encode("utf-8", "replace"))
        return found.hexdigest()

    def _files(self, split: Split) -> tuple[Path, ...]:
        """The manifests of a split: its own, else the common ones."""
        if self.path is None and all(getattr(self, name) is None for name in SPLITS):
            raise DataError(
                "a manifest needs a file", help='set `path = "all.csv"`, or `train = "train.csv"` and so on'
            )
        named = getattr(self, split) if getattr(self, split) is not None else self.path
        names = () if named is None else (named,) if isinstance(named, (str, Path)) else named
        return tuple(Path(name).expanduser() for name in names)


class _Row:
    """Turns the fields of one row into an utterance."""

    def __init__(self, manifest: Manifest, columns: Sequence[str], path: Path) -> None:
        from voxcli.datasets.columns import USUAL_NAMES, assign, milliseconds

        asked = {meaning: getattr(manifest, f"{meaning}_column") for meaning in USUAL_NAMES}
        places = assign(columns, asked, str(path))
        self.at: dict[str, int] = {meaning: columns.index(column) for meaning, column in places.items()}
        self.scale = 0.001 if milliseconds(places.get("duration", "")) else 1.0
        self.root = os.path.abspath(Path(manifest.root).expanduser() if manifest.root else path.parent)
        self._language = manifest.language
        self._path, self._columns = path, columns
        self.has_split = "split" in self.at

    def values(self, split: Split | None, asked: dict[Split, tuple[str, ...]] | None) -> frozenset[str] | None:
        """What rows of a split have in the split's column, in lower case; None takes all rows."""
        from voxcli.datasets.splits import names_of

        if split is None or not self.has_split:
            return None
        return frozenset(name.lower() for name in names_of(split, asked))

    def filter(self, split: Split | None, asked: dict[Split, tuple[str, ...]] | None) -> Any:
        """Whether a row belongs to a split: a function of the row. None takes all rows."""
        names = self.values(split, asked)
        if names is None:
            return lambda row: True
        at = self.at["split"]
        return lambda row: str(row[at] or "").strip().lower() in names

    def __call__(self, row: Sequence[Any]) -> Utterance | None:
        """None where the row names no audio."""
        audio = self._text(row, "audio")
        if not audio:
            return None
        offset = self._number(row, "offset") or 0.0
        id = self._text(row, "id") or (f"{audio}@{offset:g}" if offset else audio)
        at = self.at.get("text")
        text = None if at is None or row[at] is None else str(row[at])
        duration = self._number(row, "duration")
        return Utterance(
            id=id,
            audio=Path(os.path.join(self.root, audio)),
            offset=offset,
            duration=duration * self.scale if duration else None,
            text=text,
            label=self._text(row, "label"),
            speaker=self._text(row, "speaker"),
            language=self._text(row, "language") or self._language,
            segments=self._segments(row),
        )

    def _segments(self, row: Sequence[Any]) -> tuple[Segment, ...]:
        at = self.at.get("segments")
        if at is None or row[at] in (None, ""):
            return ()
        from voxcli.data import segments

        return segments.stored(segments.read(row[at]))

    def _text(self, row: Sequence[Any], meaning: str) -> str | None:
        at = self.at.get(meaning)
        if at is None or row[at] is None:
            return None
        return str(row[at]).strip() or None

    def _number(self, row: Sequence[Any], meaning: str) -> float | None:
        """None where the field is empty or no number: a duration then comes from the header."""
        at = self.at.get(meaning)
        if at is None or row[at] in (None, ""):
            return None
        try:
            value = float(row[at])
        except (TypeError, ValueError):
            return None
        return value if value == value else None
