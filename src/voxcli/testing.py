"""A pytest plugin for voxcli and for authors of its plugins: a project folder, `vox` run in it, and small audio.

    def test_a_recipe_is_checked(vox_project):
        project = vox_project({"train.toml": "..."})
        project.speech("data", n=6)
        result = project.run("recipe", "check", "train.toml").assert_ok()
        assert "no problems" in result.out

Importing this module costs the standard library and pytest.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import numpy as np

CHARACTER_SECONDS = 0.08  # s of tone for each character of a synthetic utterance
UPDATE_SNAPSHOTS = "VOX_UPDATE_SNAPSHOTS"


@dataclass(frozen=True)
class Result:
    """What `vox` left behind."""

    code: int
    out: str
    err: str
    arguments: tuple[str, ...] = ()

    def assert_ok(self) -> Result:
        """Fail with everything that was printed, unless the exit code is 0."""
        return self.assert_code(0)

    def assert_code(self, code: int) -> Result:
        """Fail with everything that was printed, unless the exit code is `code`."""
        shown = f"vox {' '.join(self.arguments)}\nexit code {self.code}, expected {code}\n"
        assert self.code == code, f"{shown}--- stdout\n{self.out}\n--- stderr\n{self.err}"
        return self


class Project:
    """A folder with a recipe and data, and the `vox` command run inside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, files: Mapping[str, str | bytes]) -> Project:
        """Write files by their path inside the project; text is dedented."""
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(textwrap.dedent(content).lstrip("\n"), encoding="utf-8")
        return self

    def speech(self, folder: str = "data", **settings: Any) -> Path:
        """A synthetic corpus inside the project, see `write_speech`."""
        return write_speech(self.path / folder, **settings)

    def run(self, *arguments: str | os.PathLike[str], input: str | bytes = b"") -> Result:
        """Run `vox ARGUMENTS` in this process, in the project's folder. What is no VoxError is raised as it is."""
        from voxcli.cli.app import main

        given = tuple(os.fspath(one) for one in arguments)
        out, err = _stream(b""), _stream(b"")
        stdin = _stream(input.encode() if isinstance(input, str) else input)
        before = sys.stdin
        try:
            sys.stdin = stdin
            with contextlib.chdir(self.path), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                forget_plugins()
                code = main(given)
        finally:
            sys.stdin = before
            forget_plugins()
        return Result(code, _text(out), _text(err), given)

    def popen(self, *arguments: str | os.PathLike[str], **settings: Any) -> subprocess.Popen[str]:
        """Start `vox ARGUMENTS` as a process of its own, for tests that interrupt or kill it."""
        command = [sys.executable, "-m", "voxcli", *(os.fspath(one) for one in arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": self.path}
        return subprocess.Popen(command, **{**pipes, **settings})

    def spawn(self, *arguments: str | os.PathLike[str], timeout: float = 120, **settings: Any) -> Result:
        """Run `vox ARGUMENTS` as a process of its own to its end."""
        process = self.popen(*arguments, **settings)
        out, err = process.communicate(timeout=timeout)
        return Result(process.returncode, out, err, tuple(os.fspath(one) for one in arguments))


def forget_plugins() -> None:
    """Make the next command find its plugins again."""
    from voxcli.plugins import manager

    manager.forget()


def _stream(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode("utf-8", errors="replace")


@pytest.fixture
def vox_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Project]:
    """A factory: `vox_project({"train.toml": "..."})` -> `Project` in a fresh folder, with a cache of its own."""
    made: list[Project] = []

    def factory(files: Mapping[str, str | bytes] | None = None) -> Project:
        path = tmp_path / ("project" if not made else f"project{len(made) + 1}")
        path.mkdir()
        made.append(Project(path))
        return made[-1].write(files or {})

    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("VOX_DISABLE_PLUGINS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return factory


@pytest.fixture
def speech_folder(tmp_path: Path) -> Callable[..., Path]:
    """A factory: `speech_folder(n=6)` -> a folder with a synthetic corpus, see `write_speech`."""

    def factory(name: str = "speech", **settings: Any) -> Path:
        return write_speech(tmp_path / name, **settings)

    return factory


WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def write_speech(
    folder: Path,
    *,
    n: int = 8,
    texts: Sequence[str] | None = None,
    splits: Mapping[str, int] | None = None,
    sampling_rate: int = 16000,
    suffix: str = ".wav",
    speakers: Sequence[str] = ("ada", "bob"),
    language: str | None = "en",
    seed: int = 0,
) -> Path:
    """Write a corpus that a tiny model can learn: every character has its own tone. Returns `folder`.

    `folder/manifest.csv` has the columns path, duration, text, speaker, language, split; the audio lies in
    `folder/audio`. `n` training utterances; `splits` is how many each split has instead, by default n for training
    and 2 for validation and for test. `texts` are used in turn; by default two of ten words.
    """
    import numpy as np
    import soundfile

    rng = np.random.default_rng(seed)
    counts = dict(splits) if splits is not None else {"train": n, "validation": 2, "test": 2}
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows: list[list[str]] = []
    for split, count in counts.items():
        for index in range(count):
            number = len(rows)
            text = texts[number % len(texts)] if texts else " ".join(rng.choice(WORDS, 2))
            samples = tones(text, sampling_rate=sampling_rate, rng=rng)
            name = f"audio/{split}-{index:03}{suffix}"
            soundfile.write(folder / name, samples, sampling_rate)
            duration = f"{len(samples) / sampling_rate:.3f}"
            rows.append([name, duration, text, speakers[number % len(speakers)], language or "", split])
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "duration", "text", "speaker", "language", "split"])
        writer.writerows(rows)
    return folder


def tones(text: str, *, sampling_rate: int = 16000, rng: np.random.Generator | None = None) -> np.ndarray:
    """Text -> float32 (N,): `CHARACTER_SECONDS` of one tone for each character, silence for a space, a little noise."""
    import numpy as np

    rng = rng or np.random.default_rng(0)
    length = round(CHARACTER_SECONDS * sampling_rate)
    time = np.arange(length) / sampling_rate
    pieces = [np.zeros(length // 2)]
    for character in text:
        pitch = 0.0 if character.isspace() else 200.0 + 97.0 * (ord(character) % 37)
        pieces.append(0.3 * np.hanning(length) * np.sin(2 * np.pi * pitch * time))
    pieces.append(np.zeros(length // 2))
    audio = np.concatenate(pieces)
    return (audio + 0.002 * rng.standard_normal(len(audio))).astype(np.float32)


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`snapshot(text, "name.txt")` compares with `snapshots/name.txt` beside the test.

    With VOX_UPDATE_SNAPSHOTS=1 the file is written instead.
    """
    folder = Path(request.path).parent / "snapshots"

    def compare(text: str, name: str) -> None:
        path = folder / name
        if os.environ.get(UPDATE_SNAPSHOTS):
            folder.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        expected = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert text == expected, f"{path} differs; look, then write it anew with {UPDATE_SNAPSHOTS}=1"

    return compare
