"""`vox data stats`: counts of small data whose figures are known."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import soundfile

from voxcli.survey.histogram import bars, histogram, summary
from voxcli.survey.snr import Powers


@pytest.fixture
def project(vox_project):
    made = vox_project()
    rows = [("a", 0.5, 8000, "hi you", "ada", "train"), ("b", 1.5, 16000, "hello", "ada", "train")]
    rows += [("c", 2.0, 16000, "", "bob", "train"), ("d", 1.0, 16000, "é", "bob", "test")]
    lines = ["path,text,speaker,split"]
    for name, seconds, rate, text, speaker, split in rows:
        soundfile.write(made.path / f"{name}.wav", 0.1 * np.ones((int(seconds * rate), 2)), rate)
        lines.append(f"{name}.wav,{text},{speaker},{split}")
    return made.write({"all.csv": "\n".join(lines) + "\n"})


def test_figures(project):
    found = json.loads(project.run("data", "stats", "all.csv", "--json").assert_ok().out)
    train = found["splits"]["train"]
    assert (train["utterances"], train["seconds"], train["unusable"]) == (3, 4.0, 0)
    assert (train["duration"]["least"], train["duration"]["median"], train["duration"]["most"]) == (0.5, 1.5, 2.0)
    assert train["texts"]["empty"] == 1
    assert train["texts"]["words"] == 3
    assert train["texts"]["different"] == 3
    assert train["characters"] == {"h": 2, "l": 2, "o": 2, " ": 1, "e": 1, "i": 1, "u": 1, "y": 1}
    assert train["texts"]["letters_per_second"]["most"] == 10.0  # 5 letters in half a second
    assert train["speakers"] == {
        "ada": {"utterances": 2, "seconds": 2.0},
        "bob": {"utterances": 1, "seconds": 2.0},
    }
    assert train["audio"]["sampling_rates"] == {"16000": 2, "8000": 1}
    assert train["audio"]["channels"] == {"2": 3}
    assert found["splits"]["test"]["characters"] == {"é": 1}
    assert "validation" not in found["splits"]


def test_for_a_person(project):
    shown = project.run("data", "stats", "all.csv").assert_ok().out
    assert "all: 4 utterances, 5 s" in shown
    assert "duration, s: least 0.5, median 1.5" in shown
    assert "█" in shown
    assert "speakers: 2: ada 2 (2 s), bob 1 (2 s)" in shown
    assert "sampling rate: 16000 Hz 2, 8000 Hz 1; channels: 2 3" in shown


def test_nothing_to_count_is_said(project):
    project.write({"only.csv": "text\nhello\n", "none.csv": "path,text\n"})
    assert "holds the audio's path" in project.run("data", "stats", "only.csv").assert_code(1).err
    assert "no utterance in any split" in project.run("data", "stats", "none.csv").assert_code(1).err
    assert "no column of" in project.run("data", "stats", "only.csv").err


def test_a_column_that_is_not_there_is_said(project):
    project.write(
        {
            "r.toml": """
            [[data]]
            type = "manifest"
            path = "all.csv"
            text_column = "said"
            [model]
            type = "ctc"
            checkpoint = "sample-model"
            [train]
            max_steps = 1
            batch_duration = 10.0
            """
        }
    )
    for command in ("stats", "clean"):
        result = project.run("data", command, "r.toml")
        assert result.code == 1
        assert "said" in result.err
        assert "path, text, speaker, split" in result.err


def test_bins_have_round_edges_and_lose_nothing():
    values = [0.2, 0.9, 1.0, 1.1, 4.9, 80.0]
    found = histogram(values)
    assert sum(one.utterances for one in found) == len(values)
    assert found[0].low == 0
    assert found[-1].high is None
    assert all(one.high == following.low for one, following in itertools.pairwise(found))
    assert histogram([]) == []
    assert summary([float("nan")]) == {}
    assert bars({}, "x", "s") == []
    assert [one.utterances for one in histogram([0.0, 0.0])] == [2]


@pytest.mark.parametrize("wanted", [0, 5, 10, 20])
def test_noise_is_estimated(wanted):
    rng = np.random.default_rng(wanted)
    rate = 16000
    speech = rng.normal(size=4 * rate) * np.repeat([0.3, 0.0, 0.2, 0.0, 0.25, 0.3, 0.0, 0.1], rate // 2)
    noise = rng.normal(size=len(speech)) * np.sqrt(np.square(speech).mean()) * 10 ** (-wanted / 20)
    powers = Powers()
    for piece in np.split((speech + noise).astype(np.float32), 4):
        powers.add(piece[:, None], rate)
    assert powers.snr() == pytest.approx(wanted, abs=3)


def test_a_short_clip_gives_no_estimate():
    powers = Powers()
    powers.add(np.ones(8000, np.float32), 16000)
    assert powers.snr() is None
