"""Data sets with one fault each."""

import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import soundfile

from voxcli.api import Utterance, config, hookimpl
from voxcli.errors import DataError

FOLDER = tempfile.TemporaryDirectory(prefix="vox-faulty-")
CALLS = itertools.count()


@dataclass(frozen=True)
class Second:
    """One second of noise."""

    def __call__(self) -> Any:
        return np.random.default_rng(1).uniform(-0.1, 0.1, 16_000), 16_000


@dataclass(frozen=True)
class Whole:
    """Integers instead of floating point."""

    def __call__(self) -> Any:
        return np.zeros(16_000, dtype=np.int16), 16_000


def recording() -> Path:
    """A file of one second."""
    path = Path(FOLDER.name) / "one.wav"
    if not path.is_file():
        soundfile.write(path, np.zeros(16_000), 16_000)
    return path


class Two:
    """Two utterances for training, none for the rest."""

    def utterances(self, split):
        if split == "train":
            yield from (self.one("a"), self.one("b"))

    def one(self, name: str) -> Any:
        return Utterance(id=name, audio=Second(), text=name)


@config
class Rows(Two):
    """Yields dictionaries."""

    def one(self, name: str) -> Any:
        return {"id": name}


@config
class Empty(Two):
    """Has nothing."""

    def utterances(self, split):
        return iter(())


@config
class Alike(Two):
    """Every utterance is called the same."""

    def one(self, name: str) -> Any:
        return Utterance(id="same", audio=Second())


@config
class Shuffled(Two):
    """In another order each time."""

    def utterances(self, split):
        if split == "train":
            names = "ab" if next(CALLS) % 2 else "ba"
            yield from (self.one(name) for name in names)


@config
class Curious(Two):
    """Looks into the recordings while it lists them."""

    def one(self, name: str) -> Any:
        path = recording()
        return Utterance(id=name, audio=path, duration=soundfile.info(path).duration)


@config
class Strict(Two):
    """Has no other split and says so loudly."""

    def utterances(self, split):
        if split != "train":
            raise DataError(f"there is no split {split}")
        yield self.one("a")


@config
class Promising(Two):
    """Names splits that it does not have."""

    def splits_present(self):
        return ("train", "test")


@config
class Deaf(Two):
    """Its recordings are not there."""

    def one(self, name: str) -> Any:
        return Utterance(id=name, audio=Path(FOLDER.name) / "gone.wav")


@config
class Integers(Two):
    """Its callables return integers."""

    def one(self, name: str) -> Any:
        return Utterance(id=name, audio=Whole())


@config
class Lambdas(Two):
    """Its callables cannot be pickled."""

    def one(self, name: str) -> Any:
        return Utterance(id=name, audio=lambda: Second()())


@config
class Overlong(Two):
    """Durations in ms."""

    def one(self, name: str) -> Any:
        return Utterance(id=name, audio=Second(), duration=1000.0)


@config
class Restless(Two):
    """Has another fingerprint each time."""

    def fingerprint(self, split):
        return f"{split} {next(CALLS)}"


@config
class Columnar(Two):
    """Its columns hold other rows."""

    def columns(self, split):
        names = ["id", "text", "label", "speaker"]
        yield pyarrow.RecordBatch.from_pylist([dict.fromkeys(names, "other")])


class Files(Two):
    """Two parts of a file, and what its columns are to say of them."""

    def one(self, name: str) -> Any:
        return Utterance(id=name, audio=recording(), text=name, offset=0.1, duration=0.5, language="en")

    def columns(self, split):
        names = ("id", "offset", "duration", "text", "label", "speaker", "language")
        rows = [
            {name: getattr(one, name) for name in names} | {"audio": str(one.audio)} | self.other()
            for one in self.utterances(split)
        ]
        if rows:
            yield pyarrow.RecordBatch.from_pylist(rows[self.skipped :])

    skipped = 0

    def other(self) -> dict[str, Any]:
        return {}


@config
class Elsewhere(Files):
    """Its columns name another file, and other times."""

    def other(self) -> dict[str, Any]:
        return {"audio": "/other.wav", "offset": 0.2, "duration": None, "language": "de"}


@config
class Fewer(Files):
    """Its columns lack a row."""

    skipped = 1


@hookimpl
def vox_register(registry):
    for name, found in list(globals().items()):
        if isinstance(found, type) and issubclass(found, Two) and found not in (Two, Files):
            registry.add("dataset", name.lower(), f"{__name__}:{name}", summary="a fault")
