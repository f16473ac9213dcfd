"""`vox transcribe` as a person runs it, with an engine from a plugin file that says what it was given."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxcli.models import merged_silence
from voxcli.testing import Project, Result
from voxcli.testing_models import tiny_ctc, tiny_whisper

ENGINE = """
    from voxcli.api import Decoding, Segment, Transcript, hookimpl

    class Echo:
        sampling_rate = 16000

        def __init__(self, name, batch_duration):
            self.name = name
            self.decoding = Decoding(language="tr")

        @classmethod
        def open(cls, name, *, device=None, batch_duration=120.0):
            print("opened", name)
            return cls(name, batch_duration)

        def transcribe_batch(self, audio, decoding):
            return [self.one(len(clip) / 16000, decoding) for clip in audio]

        def one(self, seconds, decoding):
            text = f"{seconds:.2f} s in {decoding.language} by {decoding.num_beams}"
            segments = (Segment(text, 0.0, seconds),) if decoding.timestamps != "none" else ()
            return Transcript(text, segments, language=decoding.language, duration=seconds)

    @hookimpl
    def vox_register(registry):
        registry.add("engine", "echo", "vox_plugin_echo:Echo")
"""


def tone(path: Path, duration: float = 1.0, *, rate: int = 16_000, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(2 * np.pi * 220 * np.arange(round(duration * rate)) / rate)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
    return path


@pytest.fixture
def project(vox_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    made = vox_project({"echo.py": ENGINE})
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    tone(made.path / "in" / "a.wav", 1.0)
    tone(made.path / "in" / "deep" / "b.flac", 2.5, rate=44_100, channels=2)
    return made


def vox(project: Project, *arguments: str, model: str = "m", **options: bytes) -> Result:
    chosen = ("--model", model) if model else ()
    result = project.run("transcribe", *arguments, "--engine", "echo", "--plugin", "echo.py", *chosen, **options)
    out = result.out.removeprefix("opened m\n")
    return Result(result.code, out, result.err, result.arguments)


def test_one_file_is_its_text_and_nothing_else(project: Project) -> None:
    result = vox(project, "in/a.wav").assert_ok()
    assert result.out == "1.00 s in tr by 1\n"
    assert "1 file, 0:01 of audio" in result.err
    assert "real-time factor" in result.err


def test_several_files_each_after_its_path(project: Project) -> None:
    result = vox(project, "in", "--num-beams", "3", "--language", "auto").assert_ok()
    assert result.out == "in/a.wav\n1.00 s in None by 3\n\nin/deep/b.flac\n2.50 s in None by 3\n\n"
    assert "decoding: 3 beams, language as the model has it" in result.err


def test_json_lines(project: Project) -> None:
    result = vox(project, "in", "in/none.wav", "--json").assert_code(1)
    first, second, third = map(json.loads, result.out.splitlines())
    assert (first["path"], first["text"], first["duration"]) == ("in/a.wav", "1.00 s in tr by 1", 1.0)
    assert second["segments"] == [{"id": 0, "start": 0.0, "end": 2.5, "text": "2.50 s in tr by 1"}]
    assert third == {"path": "in/none.wav", "error": "in/none.wav: there is no such file or folder"}


def test_every_format_into_a_folder(project: Project) -> None:
    result = vox(project, "in", "--format", "all", "--output-dir", "out").assert_ok()
    assert result.out == ""
    out = project.path / "out"
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        *(f"a.{format}" for format in ("json", "srt", "tsv", "txt", "vtt")),
        *(f"deep/b.{format}" for format in ("json", "srt", "tsv", "txt", "vtt")),
    ]
    assert (out / "deep" / "b.srt").read_text() == "1\n00:00:00,000 --> 00:00:02,500\n2.50 s in tr by 1\n"


def test_bad_files_are_named_and_the_rest_goes_on(project: Project) -> None:
    (project.path / "in" / "corrupt.wav").write_bytes(b"nothing of the kind" * 50)
    (project.path / "in" / "empty.wav").write_bytes(b"")
    tone(project.path / "whole.wav", 2.0)
    (project.path / "in" / "truncated.wav").write_bytes((project.path / "whole.wav").read_bytes()[:9000])
    result = vox(project, "in", "missing.wav", "--output-dir", "out").assert_code(1)
    errors = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert [line.split()[1].rstrip(":") for line in errors] == [
        "in/corrupt.wav",
        "in/empty.wav",
        "in/truncated.wav",
        "missing.wav",
    ]
    assert "error: in/empty.wav is empty (0 bytes)" in errors
    assert sorted(path.name for path in (project.path / "out").rglob("*.txt")) == ["a.txt", "b.txt"]
    assert "2 files, 0:04 of audio" in result.err  # 1 s and 2.5 s
    assert result.err.rstrip().endswith("4 could not be transcribed")


def test_nothing_that_exists_loads_no_model(project: Project) -> None:
    result = vox(project, "missing.wav", "in/also.wav").assert_code(1)
    assert "opened" not in result.out
    assert result.err.splitlines()[:2] == [
        "error: missing.wav: there is no such file or folder",
        "error: in/also.wav: there is no such file or folder",
    ]


def test_standard_input(project: Project) -> None:
    data = (project.path / "in" / "deep" / "b.flac").read_bytes()
    assert vox(project, "-", input=data).assert_ok().out == "2.50 s in tr by 1\n"
    assert "stdin is empty (0 bytes)" in vox(project, "-", input=b"").assert_code(1).err


def test_an_output_that_cannot_be_written_is_said_before_the_model_is_loaded(project: Project) -> None:
    (project.path / "file").write_bytes(b"")
    result = vox(project, "in", "--output-dir", "file/out").assert_code(2)
    assert "opened" not in result.out
    assert result.err.startswith("error: cannot write into file/out: Not a directory\n  = help: choose another folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(project: Project) -> None:
    (project.path / "in").chmod(0o555)
    result = vox(project, "in/a.wav", "--beside").assert_code(2)
    assert "cannot write into in: Permission denied" in result.err


def test_skip_existing(project: Project) -> None:
    vox(project, "in/a.wav", "--output-dir", "out").assert_ok()
    (project.path / "out" / "a.txt").write_text("mine")
    result = vox(project, "in", "--output-dir", "out", "--skip-existing").assert_ok()
    assert (project.path / "out" / "a.txt").read_text() == "mine"
    assert (project.path / "out" / "deep" / "b.txt").read_text() == "2.50 s in tr by 1\n"
    assert "1 left out, they have their files" in result.err
    result = vox(project, "in", "--output-dir", "out", "--skip-existing").assert_ok()
    assert result.err == "nothing to do: 2 of 2 have their files\n"
    assert "opened" not in result.out


def test_beside_never_replaces_a_transcript_unasked(project: Project) -> None:
    reference = project.path / "in" / "a.txt"
    reference.write_text("made by hand")
    result = vox(project, "in", "--beside").assert_code(2)
    assert "error: in/a.txt exists already\n" in result.err
    assert "opened" not in result.out
    vox(project, "in", "--beside", "--skip-existing").assert_ok()
    assert reference.read_text() == "made by hand"
    assert (project.path / "in" / "deep" / "b.txt").exists()
    vox(project, "in", "--beside", "--overwrite").assert_ok()
    assert reference.read_text() == "1.00 s in tr by 1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("in", "--format", "srt"), "error: srt of several files cannot share the standard output"),
        (("in/a.wav", "--format", "all"), "error: several formats cannot share the standard output"),
        (("in", "--beside", "--output-dir", "out"), "error: --output-dir and --beside exclude each other"),
        (("in/a.wav", "--format", "docx"), "'docx' is not one of"),
        ((), "Missing argument"),
    ],
)
def test_command_lines_that_make_no_sense(project: Project, arguments: tuple[str, ...], message: str) -> None:
    assert message in vox(project, *arguments).assert_code(2).err


def test_an_engine_that_does_not_exist(project: Project) -> None:
    result = project.run("transcribe", "in/a.wav", "--model", "m", "--engine", "whisper.cpp").assert_code(2)
    assert "no engine is called 'whisper.cpp'" in result.err
    assert "known: transformers" in result.err


def test_a_context_goes_to_the_engine_that_has_the_choice(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = vox(project, "in/a.wav", "--encoder-context", "merged")
    assert refused.code == 2
    assert "the engine 'echo' has no choice of contexts" in refused.err
    tiny_ctc(tmp_path / "ctc")
    other = project.run("transcribe", "in/a.wav", "--model", str(tmp_path / "ctc"), "--encoder-context", "merged")
    assert "is no Whisper, so encoder_context cannot be set" in other.err
    tiny_whisper(tmp_path / "whisper", multilingual=False)
    given = ("transcribe", "in/a.wav", "--model", str(tmp_path / "whisper"), "--max-new-tokens", "8")
    enabled, enable = [], merged_silence.enable
    monkeypatch.setattr(merged_silence, "enable", lambda model: (enabled.append(model), enable(model)))
    for context, times in (("window", 0), ("merged", 1), ("clip", 1)):
        project.run(*given, "--encoder-context", context).assert_ok()
        assert len(enabled) == times


def test_without_a_model_the_newest_run_is_taken(project: Project) -> None:
    result = vox(project, "in/a.wav", model="").assert_code(2)
    assert "error: no model is named, and there is no folder runs" in result.err
    for number, name in enumerate(("new", "old", "unfinished")):
        best = project.path / "runs" / name / "best"
        best.parent.mkdir(parents=True)
        if name != "unfinished":
            best.mkdir()
            os.utime(best, (1000 - number, 1000 - number))
    result = vox(project, "in/a.wav", model="").assert_ok()
    assert result.out == "opened runs/new\n1.00 s in tr by 1\n"
    assert "model runs/new, the newest run" in result.err


def test_a_folder_that_was_exported_for_another_engine(project: Project) -> None:
    project.write({"small/vox.json": '{"exported": {"to": "quick", "engine": "quick"}}', "small/config.json": "{}"})
    for engine in ("transformers", "echo"):
        ask = ("in/a.wav", "--model", "small", "--engine", engine, "--plugin", "echo.py")
        for command in ("transcribe", "classify"):
            refused = project.run(command, *ask).assert_code(1)
            assert f"small was exported for the engine 'quick', and the engine asked for is '{engine}'" in refused.err


def test_the_help(project: Project, vox_snapshot: Callable[[str, str], None]) -> None:
    vox_snapshot(project.run("transcribe", "--help").assert_ok().out, "transcribe-help.txt")


def test_a_real_model_takes_every_kind_of_audio(project: Project) -> None:
    tiny_ctc(project.path / "model")
    folder = project.path / "many"
    tone(folder / "stereo.wav", 1.0, channels=2)
    tone(folder / "telephone.wav", 1.0, rate=8000)
    tone(folder / "cd.flac", 1.0, rate=44_100)
    tone(folder / "blink.wav", 0.05)
    tone(folder / "long.flac", 90.0)
    soundfile.write(folder / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(folder / "nothing.wav", np.zeros(0), 16_000)
    (folder / "corrupt.mp3").write_bytes(b"nothing of the kind" * 50)
    result = project.run("transcribe", "many", "--model", "model", "--json").assert_code(1)
    found = {Path(row["path"]).stem: row for row in map(json.loads, result.out.splitlines())}
    assert {name: row.get("duration") for name, row in found.items()} == {
        "blink": 0.05,
        "cd": 1.0,
        "corrupt": None,
        "long": 90.0,
        "nothing": None,
        "silent": 1.0,
        "stereo": 1.0,
        "telephone": 1.0,
    }
    assert result.err.count("error: ") == 2
    assert "Traceback" not in result.err


def test_a_model_that_is_not_there(project: Project) -> None:
    result = project.run("transcribe", "in", "--model", "nowhere/at-all").assert_code(1)
    assert "error: there is no checkpoint 'nowhere/at-all'" in result.err
    assert "give a local folder" in result.err
