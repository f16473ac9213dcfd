"""A folder of data in, what it is out: which data set reads it, its splits, and what its transcripts are like.

Nothing is guessed from names alone: the layout picks a data set, and that data set's own utterances are looked at.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import SPLITS, Utterance
from voxcli.errors import DataError
from voxcli.recipe.problems import Problems
from voxcli.recipe.validate import validate

if TYPE_CHECKING:
    from voxcli.plugins.registry import Registry

MANIFESTS = (".csv", ".tsv", ".jsonl", ".json", ".ndjson", ".parquet")
AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".webm", ".mp4", ".aiff", ".aif", ".au", ".sph")
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
LOOKED_AT = 20_000  # utterances of a split that are looked at: enough to tell, little enough to wait for
ENTRIES = 20_000  # files of a folder that are looked at
ALWAYS_THERE = {"manifest.json", "package.json", "config.json", "readme.json", "dataset_info.json"}


@dataclass
class Looked:
    """What a folder of data holds."""

    table: dict[str, Any]
    """The `[[data]]` table that reads it, with absolute paths."""
    layout: str
    """What it is, in words."""
    counts: dict[str, int] = field(default_factory=dict)
    """Utterances by split; at most LOOKED_AT are counted."""
    with_text: int = 0
    labels: tuple[str, ...] = ()
    language: str | None = None
    upper: float = 0.0
    """Share of the transcripts with an upper-case letter."""
    punctuation: float = 0.0
    digits: float = 0.0
    longest: float | None = None
    """Longest known duration, s; None where the data does not say durations."""
    characters: int = 0
    """How many different characters the transcripts have."""


def look(source: Path, registry: Registry) -> Looked:
    """What `source` is. Raises `DataError` where it is nothing that a data set reads."""
    table, layout = _layout(source.expanduser())
    problems = Problems()
    keys = {key: value for key, value in table.items() if key != "type"}
    dataset = validate(registry.load("dataset", table["type"]), keys, (), problems, title=f"[[data]] {table['type']}")
    if dataset is None:
        raise DataError(f"{source}: {problems.findings[0].message}", help=problems.findings[0].help)
    found = Looked(table, layout)
    _read(dataset, found)
    if not any(found.counts.values()):
        raise DataError(f"{source} is {layout}, and holds no utterances", help=f'read as type = "{table["type"]}"')
    return found


def _layout(source: Path) -> tuple[dict[str, Any], str]:
    if source.is_file():
        if source.suffix.lower() not in MANIFESTS:
            raise DataError(f"{source} is no manifest", help=f"name a folder, or a file in {', '.join(MANIFESTS)}")
        return {"type": "manifest", "path": str(source.absolute())}, "a manifest"
    if not source.is_dir():
        raise DataError(f"there is no folder {source}", help="name the folder that holds the recordings")
    for finder in (_common_voice, _saved, _manifests, _audio):
        if found := finder(source.absolute()):
            return found
    raise DataError(
        f"{source} holds nothing that a data set reads",
        help=(
            "looked for: a Common Voice release (clips/ and TSV files), a manifest "
            f"({', '.join(MANIFESTS)}), a saved Hugging Face data set, audio ({', '.join(AUDIO[:5])} …)"
        ),
    )


def _common_voice(folder: Path) -> tuple[dict[str, Any], str] | None:
    layout = "a Common Voice release"
    if _is_release(folder):
        return _release(folder), layout
    languages = [inside for inside in sorted(folder.iterdir()) if inside.is_dir() and _is_release(inside)]
    if len(languages) == 1:
        return _release(languages[0]), layout
    if languages:
        names = ", ".join(one.name for one in languages[:12])
        raise DataError(f"{folder} holds {len(languages)} languages: {names}", help=f"name one: {languages[0]}")
    return None


def _release(folder: Path) -> dict[str, Any]:
    table: dict[str, Any] = {"type": "common-voice", "root": str(folder)}
    if not (folder / "train.tsv").is_file() and (folder / "validated.tsv").is_file():
        table["splits"] = {"train": ["validated"]}
    return table


def _is_release(folder: Path) -> bool:
    if not (folder / "clips").is_dir():
        return False
    tables = [folder / f"{name}.tsv" for name in ("train", "validated", "dev", "test", "other")]
    return any({"path", "sentence"} <= set(_first_line(table).split("\t")) for table in tables if table.is_file())


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline(100_000).rstrip("\r\n")


def _saved(folder: Path) -> tuple[dict[str, Any], str] | None:
    if any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        return {"type": "huggingface", "path": str(folder)}, "a saved Hugging Face data set"
    return None


def _manifests(folder: Path) -> tuple[dict[str, Any], str] | None:
    files = [one for one in sorted(folder.iterdir()) if one.suffix.lower() in MANIFESTS and one.is_file()]
    files = [one for one in files if one.name.lower() not in ALWAYS_THERE and not one.name.startswith(".")]
    by_split: dict[str, list[Path]] = {name: [] for name in SPLIT_NAMES}
    for file in files:
        word = file.stem.lower().replace("_", "-").split("-")
        for name, names in SPLIT_NAMES.items():
            if set(names) & {word[0], word[-1]}:
                by_split[name].append(file)
    if len(by_split["train"]) == 1:
        one_each = {name: str(found[0]) for name, found in by_split.items() if len(found) == 1}
        return {"type": "manifest", **one_each}, "manifests, one a split"
    named = [one for one in files if one.stem.lower() in ("manifest", "metadata", "data", "transcripts")]
    if len(chosen := named if len(named) == 1 else files) == 1:
        return {"type": "manifest", "path": str(chosen[0])}, "a manifest"
    if files:
        shown = ", ".join(one.name for one in files[:12])
        raise DataError(f"{folder} holds {len(files)} tables: {shown}", help=f"name one: {files[0]}")
    return None


def _audio(folder: Path) -> tuple[dict[str, Any], str] | None:
    seen: Counter[str] = Counter()
    for path in itertools.islice(folder.rglob("*"), ENTRIES):
        name = path.name.lower()
        seen["told" if name.endswith(".trans.txt") else path.suffix.lower()] += 1
    if not any(seen[suffix] for suffix in AUDIO):
        return None
    layout = "audio with transcripts beside it" if seen[".txt"] else "audio in folders"
    return {"type": "audio-folder", "root": str(folder)}, "LibriSpeech-style folders" if seen["told"] else layout


def _read(dataset: Any, found: Looked) -> None:
    languages: Counter[str] = Counter()
    labels: set[str] = set()
    characters: set[str] = set()
    upper = punctuated = numbered = 0
    for split in SPLITS:
        for utterance in _utterances(dataset, split):
            found.counts[split] = found.counts.get(split, 0) + 1
            if utterance.language:
                languages[utterance.language] += 1
            if utterance.label and len(labels) < 1000:
                labels.add(utterance.label)
            if utterance.duration:
                found.longest = max(found.longest or 0.0, utterance.duration)
            if text := (utterance.text or "").strip():
                found.with_text += 1
                characters.update(text)
                upper += text != text.lower()
                punctuated += any(unicodedata.category(one)[0] == "P" and one not in "'’" for one in text)
                numbered += any(one.isdigit() for one in text)
    found.labels = tuple(sorted(labels))
    found.characters = len(characters)
    if languages and languages.most_common(1)[0][1] > 0.9 * languages.total():
        found.language = languages.most_common(1)[0][0]
    if found.with_text:
        found.upper, found.punctuation = upper / found.with_text, punctuated / found.with_text
        found.digits = numbered / found.with_text


def _utterances(dataset: Any, split: str) -> Iterator[Utterance]:
    return itertools.islice(dataset.utterances(split), LOOKED_AT)


def counted(counts: Mapping[str, int]) -> str:
    """ "500 train, 20 test", with a mark on a count that stopped at the limit."""
    shown = [f"{'more than ' if n >= LOOKED_AT else ''}{n:,} {split}" for split, n in counts.items() if n]
    return ", ".join(shown)
