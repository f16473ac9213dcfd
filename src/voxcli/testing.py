"""A pytest plugin for voxcli and for authors of plugins: a project folder, `vox` run in it, small audio, the contract.

    def test_a_recipe_is_checked(vox_project):
        project = vox_project({"train.toml": "..."})
        project.speech("data", n=6)
        result = project.run("recipe", "check", "train.toml").assert_ok()
        assert "no problems" in result.out

Importing this module costs the standard library and pytest.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from voxcli.testing_audio import CHARACTER_SECONDS, WORDS, tones, write_speech

if TYPE_CHECKING:
    from voxcli.contract import Report

UPDATE_SNAPSHOTS = "VOX_UPDATE_SNAPSHOTS"

__all__ = [
    "CHARACTER_SECONDS",
    "WORDS",
    "Project",
    "Result",
    "check_plugin",
    "forget_plugins",
    "speech_folder",
    "tones",
    "vox_project",
    "vox_snapshot",
    "write_speech",
]


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
    monkeypatch.setenv("VOX_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("VOX_DISABLE_PLUGINS", "VOX_LOCKED", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return factory


@pytest.fixture
def speech_folder(tmp_path: Path) -> Callable[..., Path]:
    """A factory: `speech_folder(n=6)` -> a folder with a synthetic corpus, see `write_speech`."""

    def factory(name: str = "speech", **settings: Any) -> Path:
        return write_speech(tmp_path / name, **settings)

    return factory


def check_plugin(plugin: str | Path, *, examples: Mapping[str, Mapping[str, Any]] | None = None) -> Report:
    """Try a plugin for real and fail with everything that breaks its contracts, or that could not be tried.

        def test_the_plugin_keeps_its_contracts():
            check_plugin("vox_gain")

    `plugin`: the name of its module or of its distribution, or the `Path` of a one-file plugin. `examples` gives keys
    to components that need some: {"dataset/tapes": {"root": "tests/tapes"}}; a class may say `example: ClassVar[dict]`
    instead. What is tried: that it registers and is light at import (in a process of its own), docstrings and units,
    unknown keys and wrong types, the way through a recipe and back, the same result for the same seed, and the contract
    of each component's Protocol on small synthetic audio and tiny models. Returns the report, whose notes do not fail;
    `vox plugins check` prints the same one.
    """
    __tracebackhide__ = True
    from voxcli.contract import examine

    report = examine(plugin, examples=examples)
    wrong = [*report.problems, *report.untried]
    assert not wrong, f"\n\n{report.text()}"
    return report


@pytest.fixture
def vox_snapshot(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`vox_snapshot(text, "name.txt")` compares with `snapshots/name.txt` beside the test.

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
