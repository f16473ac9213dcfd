"""Real prompts with planted faults: `vox data clean` finds these and nothing else."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile

from voxcli.audio.decode import read
from voxcli.sample import SPEECH

FIELDS = ("path", "text", "language", "split", "note")


def prompts(number: int) -> list[dict[str, str]]:
    with (SPEECH / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if 1.2 < float(row["duration"]) < 6]
    return rows[:number]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """(folder with a manifest, path -> reason that it was spoiled for)."""
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(3)
    rows, expected = [], {}

    def add(name: str, audio: np.ndarray, text: str, reason: str = "", split: str = "train") -> None:
        soundfile.write(folder / name, audio, 16000, subtype="FLOAT" if name.endswith(".wav") else None)
        rows.append({"path": name, "text": text, "language": "en", "split": split, "note": "n1"})
        if reason:
            expected[name] = reason

    clips = [(read(SPEECH / row["path"]), row["text"]) for row in prompts(44)]
    for number, (audio, text) in enumerate(clips):
        add(f"good{number:02}.flac", audio, text, split="test" if number == 3 else "train")
    loud, said = clips[0]
    add("clipped.wav", np.clip(loud * 30 / np.abs(loud).max(), -1, 1), said + " A", "clipped")
    noise = rng.normal(size=len(loud)) * np.sqrt(np.square(loud).mean()) * 1.3
    add("noisy.wav", (loud + noise) / 8, said + " B", "noisy")
    add("silent.wav", rng.normal(size=32000) * 1e-5, "Nothing is heard here.", "silent")
    add("same.flac", clips[1][0], clips[1][1].upper(), "duplicate")
    add("other.flac", clips[2][0], "Something else is written here.", "contradiction")
    add("leak.flac", clips[4][0], clips[4][1], split="test")
    expected["good04.flac"] = "duplicate"  # the one of the test split stays
    quick = clips[5][0][:16000]
    add("quick.flac", quick, "This is a text that nobody could ever read aloud in one second, not even once.", "fast")
    long = np.concatenate([clips[6][0]] * 6)
    add("long.flac", long, "No.", "slow")
    add("spanish.flac", clips[7][0] * 0.5, "Por favor, espere en la línea que no es de la empresa.", "language")
    add("russian.flac", clips[8][0] * 0.5, "Оператор уже зарегистрирован.", "language")
    add("mute.flac", clips[9][0] * 0.5, "", "no-text")
    rows.append({"path": "lost.flac", "text": "Lost.", "language": "en", "split": "train", "note": "n1"})
    expected["lost.flac"] = "unreadable"
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    return folder, expected


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_planted_faults_and_nothing_else_are_left_out(vox_project, planted):
    folder, expected = planted
    project = vox_project()
    project.run("data", "clean", folder, "--out", "clean.csv").assert_ok()
    dropped = read_rows(project.path / "clean-dropped.csv")
    assert {row["id"]: row["reason"] for row in dropped} == expected
    assert all(row["detail"] for row in dropped)
    kept, before = read_rows(project.path / "clean.csv"), read_rows(folder / "manifest.csv")
    assert len(kept) == len(before) - len(expected)
    assert set(kept[0]) == set(FIELDS)
    assert kept[0]["note"] == "n1"
    assert kept[0]["path"] == str(folder / "good00.flac")  # relative paths would not hold here
    again = json.loads(project.run("data", "clean", "clean.csv", "--dry-run", "--json").assert_ok().out)
    assert (again["kept"], again["dropped"], again["files"]) == (len(kept), 0, {})


def test_beside_the_manifest_paths_stay_as_they_are(vox_project, planted, tmp_path):
    shutil.copytree(planted[0], tmp_path / "speech")
    shown = vox_project().run("data", "clean", tmp_path / "speech").assert_ok().out
    assert "contradiction" in shown
    assert "manifest-clean.csv" in shown
    assert read_rows(tmp_path / "speech" / "manifest-clean.csv")[0]["path"] == "good00.flac"
    result = vox_project().run("data", "clean", tmp_path / "speech").assert_code(2)
    assert "manifest-clean.csv exists already" in result.err
    assert "--overwrite" in result.err


def test_limits_and_reasons_can_be_set(vox_project, planted):
    folder, _expected = planted
    options = ["--keep", "language", "--keep", "clipped", "--min-snr", "-20", "--max-duration", "5", "--json"]
    found = json.loads(vox_project().run("data", "clean", folder, "--dry-run", *options).assert_ok().out)
    assert not {"language", "clipped", "noisy"} & set(found["reasons"])
    assert found["reasons"]["long"]["utterances"] >= 1
    assert found["reasons"]["long"]["examples"][0]["detail"].endswith("limit 5")
    assert found["kept"] + found["dropped"] == found["looked_at"] == len(read_rows(folder / "manifest.csv"))


def test_a_list_for_filter_exclude_leaves_them_out_of_a_run(vox_project, planted):
    folder, expected = planted
    recipe = f"""
        [[data]]
        type = "manifest"
        path = "{folder / "manifest.csv"}"
        [filter]
        exclude = "bad.txt"
        [model]
        type = "ctc"
        checkpoint = "sample-model"
        [train]
        max_steps = 1
        batch_duration = 60.0
    """
    project = vox_project({"train.toml": recipe, "bad.txt": "# nothing yet\n"})
    project.run("data", "clean", "train.toml", "--exclude", "bad.txt", "--overwrite").assert_ok()
    found = json.loads(project.run("data", "stats", "train.toml", "--json").assert_ok().out)
    held = sum(split["utterances"] for split in found["splits"].values())
    assert held == len(read_rows(folder / "manifest.csv")) - len(expected)
    again = json.loads(project.run("data", "clean", "train.toml", "--dry-run", "--json").assert_ok().out)
    assert again["dropped"] == 0


def test_repeated_texts_go_beyond_a_number(vox_project):
    project = vox_project()
    texts = ["yes", "Yes.", "yes", "no", "yes", "maybe so"]
    rows = []
    (project.path / "tones").mkdir()
    for number, text in enumerate(texts):
        tone = np.sin(np.arange(16000) * (0.1 + 0.01 * number)) * np.linspace(0.01, 0.5, 16000)
        soundfile.write(project.path / "tones" / f"{number}.wav", tone, 16000)
        rows.append(f"{number}.wav,{text}")
    project.write({"tones/manifest.csv": "path,text\n" + "\n".join(rows) + "\n"})
    project.run("data", "clean", "tones", "--max-same-text", "2", "--keep", "noisy").assert_ok()
    dropped = read_rows(project.path / "tones" / "manifest-clean-dropped.csv")
    assert [(row["id"], row["reason"]) for row in dropped] == [("2.wav", "repeated-text"), ("4.wav", "repeated-text")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "nowhere.csv: there is no such file, folder or shipped recipe"),
        (["empty.csv"], "empty.csv is empty"),
        (["header.csv"], "has no utterance in any split"),
        (["only_text.csv"], "holds the audio's path"),
        (["no_text.csv", "--keep", "silence"], "there is no such reason"),
        (["no_text.csv", "--max-clipped", "5"], "--max-clipped 5 is not between 0 and 1"),
        (["no_text.csv", "--out", "clean.docx"], "its name does not tell the format"),
        (["no_text.csv", "--out", "no_text.csv", "--overwrite"], "is the manifest that is cleaned"),
    ],
)
def test_bad_input_is_said(vox_project, arguments, message):
    files = {
        "empty.csv": "",
        "header.csv": "path,text\n",
        "only_text.csv": "text\nhello there\n",
        "no_text.csv": f"path\n{SPEECH / prompts(1)[0]['path']}\n",
    }
    result = vox_project(files).run("data", "clean", *arguments)
    assert result.code in (1, 2)
    assert message in result.err
    assert "help:" in result.err


def test_recordings_without_texts_are_listened_to(vox_project):
    paths = [SPEECH / row["path"] for row in prompts(2)]
    project = vox_project({"audio.csv": "path\n" + "\n".join(map(str, [*paths, paths[0]])) + "\n"})
    found = json.loads(project.run("data", "clean", "audio.csv", "--dry-run", "--json").assert_ok().out)
    assert list(found["reasons"]) == ["duplicate"]
    assert found["kept"] == 2
    assert "texts: none" in project.run("data", "stats", "audio.csv").assert_ok().out
