"""The real Whisper tiny.en on real prompts: rates, and one minute of speech as subtitles."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from voxcli.testing import Project

SHARED = Path(os.environ.get("VOX_SHARED", Path(__file__).parents[3] / "shared"))
MODEL = SHARED / "models" / "whisper-tiny.en"
PROMPTS = SHARED / "data" / "asterisk-en"

pytestmark = pytest.mark.skipif(not (MODEL.is_dir() and PROMPTS.is_dir()), reason=f"needs {MODEL} and {PROMPTS}")


def rows() -> list[dict[str, str]]:
    with (PROMPTS / "manifest.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_few_held_out_prompts(vox_project: Callable[..., Project]) -> None:
    project = vox_project()
    chosen = [row for row in rows() if row["split"] == "test" and 3.0 < float(row["duration"]) < 8.0][:4]
    with (project.path / "few.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(chosen[0]))
        writer.writeheader()
        writer.writerows({**row, "path": PROMPTS / row["path"]} for row in chosen)
    result = project.run("evaluate", MODEL, "--data", "few.csv", "--json").assert_ok()
    scores = json.loads(result.out)
    assert scores["utterances"] == 4
    assert scores["normalised"]["wer"]["rate"] < 0.1
    assert scores["normalised"]["wer"]["rate"] < scores["raw"]["wer"]["rate"]  # capitals, commas, figures


def test_a_minute_of_speech_as_subtitles(vox_project: Callable[..., Project]) -> None:
    row = next(row for row in rows() if row["path"] == "audio/demo-instruct.flac")
    result = vox_project().run("transcribe", PROMPTS / row["path"], "--model", MODEL, "--format", "srt").assert_ok()
    blocks = result.out.strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == [str(number + 1) for number in range(len(blocks))]
    times = [time for block in blocks for time in re.findall(r"\d\d:\d\d:\d\d,\d\d\d", block)]
    assert times == sorted(times)
    assert len(blocks) >= 8
    assert times[-1] > "00:01:05,000"  # to the end of 73 s
    said = " ".join(line for block in blocks for line in block.split("\n")[2:]).lower()
    places = [
        said.index(words) for words in ("technical information", "demonstration server", "echo test", "pound key")
    ]
    assert places == sorted(places)
