"""Components that exist for tests alone, so that recipes and messages can be tested without a real model."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxcli.plugins.installed import found as FOUND

FAKES = '''
"""One small component of each kind that a recipe names."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from voxcli.api import Finding, config


@config
class Words:
    """Spoken words."""

    root: Path
    """The folder of recordings."""
    column: str = "text"
    """Where the transcript stands."""

    def utterances(self, split):
        return iter(())


@config
class Numbers:
    """Spoken numbers."""

    digits: int = 3

    def utterances(self, split):
        return iter(())


@config
class Hum:
    """Mains hum."""

    p: float = 1.0
    """Share of the training utterances."""
    snr_db: tuple[float, float] = (5.0, 20.0)
    """Range in dB, drawn uniformly."""
    colour: Literal["white", "pink", "brown"] = "white"

    def findings(self):
        if self.snr_db[0] > self.snr_db[1]:
            yield Finding("error", "snr_db runs backwards", "the smaller value first", path=("snr_db",))

    def __call__(self, audio, sampling_rate, rng):
        return audio

    def longest(self, duration):
        return duration


@config
class Tiny:
    """A model of two layers."""

    task: ClassVar[str] = "spell"

    checkpoint: str
    """A folder or a hub id."""
    language: str | None = None
    """Language of the transcripts."""
    freeze_layers: int = 0
    """Layers that stay as they are, from the input."""
    generation_task: Literal["transcribe", "translate"] | None = None
    config: dict[str, int] | None = None

    def limits(self):
        raise NotImplementedError

    def build(self, corpus, **loading):
        raise NotImplementedError


class Spell:
    metrics: ClassVar[tuple[str, ...]] = ("wer", "cer")


@config
class Loop:
    """A loop."""

    supports: ClassVar[frozenset[str]] = frozenset(
        {"max_steps", "num_train_epochs", "batch_duration", "per_device_train_batch_size", "learning_rate"}
    )
    compile: bool = False

    def fit(self, run):
        raise NotImplementedError
'''


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is registered but the fakes: words and numbers, hum, tiny, spell, and a backend called accelerate."""
    from voxcli.plugins import builtin
    from voxcli.plugins.manager import forget

    folder = tmp_path / "fakes"
    folder.mkdir()
    (folder / "vox_fakes.py").write_text(textwrap.dedent(FAKES).lstrip(), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(__import__("sys").modules, "vox_fakes", raising=False)

    def register(registry):
        registry.add("dataset", "words", "vox_fakes:Words", summary="spoken words")
        registry.add("dataset", "numbers", "vox_fakes:Numbers", summary="spoken numbers")
        registry.add("augmentation", "hum", "vox_fakes:Hum", summary="mains hum")
        registry.add("model", "tiny", "vox_fakes:Tiny", summary="two layers")
        registry.add("task", "spell", "vox_fakes:Spell")
        registry.add("backend", "accelerate", "vox_fakes:Loop", summary="a loop")

    monkeypatch.setattr(builtin, "vox_register", register)
    forget()  # another test may have loaded the real ones
    yield
    forget()


FIRST_PARTY = frozenset(path.parent.name for path in Path(__file__).parents[1].glob("plugins/*/pyproject.toml"))


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the distributions of plugins/, which are installed beside voxcli: what is tested here is voxcli alone.

    Tests of more than that ask for `first_party`.
    """
    from voxcli.plugins import discovery, installed

    monkeypatch.setattr(
        discovery, "PATIENCE", 30.0
    )  # s: a second is not enough where other tests keep the machine busy
    monkeypatch.setattr(
        installed, "found", lambda scans: [one for one in FOUND(scans) if one.distribution not in FIRST_PARTY]
    )


@pytest.fixture
def first_party(_alone: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With the distributions of plugins/."""
    from voxcli.plugins import installed
    from voxcli.plugins.manager import forget

    monkeypatch.setattr(installed, "found", FOUND)
    forget()
    yield
    forget()


GOOD = """
    # Spells words
    seed = 3

    [[data]]
    type = "words"
    root = "recordings"

    [model]
    type = "tiny"
    checkpoint = "someone/tiny"

    [train]
    max_steps = 10
    batch_duration = 20.0   # s
    """


@pytest.fixture
def good() -> str:
    """A recipe of the fakes without a problem."""
    return textwrap.dedent(GOOD).lstrip()
