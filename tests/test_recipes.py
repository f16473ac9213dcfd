"""What ships as a recipe works: all of them resolve, and whisper_tr runs from a Common Voice release to a text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxcli.recipe.shipped import Shipped, shipped
from voxcli.testing import Project, tones

FILES = shipped()
SAMPLING_RATE = 32000  # Common Voice's


def test_every_file_is_listed(vox_project: Callable[..., Project]) -> None:
    root = Path(__file__).resolve().parents[1] / "recipes"
    listed = json.loads(vox_project().run("recipe", "list", "--json").assert_ok().out)
    assert {Path(one["path"]).name for one in listed} == {path.name for path in root.rglob("*.toml")}
    assert {one["kind"] for one in listed} == {"recipe", "preset"}
    assert len({one["name"] for one in listed}) == len(listed), "a name means one file"


@pytest.mark.parametrize("file", FILES, ids=lambda one: f"{one.kind}-{one.name}")
def test_it_begins_with_what_it_is_for(file: Shipped, vox_project: Callable[..., Project]) -> None:
    first = file.path.read_text(encoding="utf-8").split("\n", 1)[0]
    assert first.startswith("# ")
    assert len(first) > 20
    out = vox_project().run("recipe", "list").assert_ok().out
    assert first.removeprefix("# ") in out


@pytest.mark.parametrize("file", FILES, ids=lambda one: f"{one.kind}-{one.name}")
def test_it_resolves(file: Shipped, vox_project: Callable[..., Project]) -> None:
    project, source = vox_project(), file.name
    if file.kind == "preset":  # the smallest recipe that takes it
        source = "mine.toml"
        lines = [
            f'extends = "{file.name}"',
            '[[data]]\ntype = "sample-speech"',
            '[model]\ncheckpoint = "someone/model"',
        ]
        if "[model]" not in file.path.read_text(encoding="utf-8").replace("#     [model]", ""):
            lines.append('type = "whisper"')  # a preset for any model
        project.write({source: "\n".join(lines)})
    out = project.run("recipe", "check", source).assert_ok().out
    assert f"{source}: no problems" in out
    warned = {line.partition("]")[0] for line in out.splitlines() if line.startswith("warning")}
    assert warned <= {"warning[R017"}, "a path of another machine is all that may be missing"


@pytest.mark.parametrize("file", [one for one in FILES if one.kind == "preset"], ids=lambda one: one.name)
def test_a_preset_trains_a_tiny_model(file: Shipped, vox_project: Callable[..., Project]) -> None:
    """All of it but the precision, which a CPU has not: bf16 takes the place of fp16."""
    pytest.importorskip("bitsandbytes")
    from voxcli.testing_models import tiny_ctc, tiny_whisper

    project = vox_project()
    project.speech("data", n=4)
    silent = file.name == "pretraining"  # learns no text
    classes = file.name.startswith("classifier")
    ctc = file.name.startswith("ctc") or silent or classes
    (tiny_ctc if ctc else tiny_whisper)(project.path / "tiny")
    family = "pretraining" if silent else "classifier" if classes else "ctc" if ctc else "whisper"
    if classes:
        manifest = project.path / "data" / "manifest.csv"
        head, *rows = manifest.read_text(encoding="utf-8").splitlines()
        labelled = [f"{row},{'yes' if number % 2 else 'no'}" for number, row in enumerate(rows)]
        manifest.write_text("\n".join([f"{head},label", *labelled]) + "\n", encoding="utf-8")
    language = "" if ctc else 'language = "tr"'
    project.write({"r.toml": f"""
        extends = "{file.name}"
        name = "r"
        [[data]]
        type = "manifest"
        path = "data/manifest.csv"
        [model]
        type = "{family}"
        checkpoint = "tiny"
        {language}
        [train]
        max_steps = 2
        mixed_precision = "bf16"
        use_cpu = true
        [filter]
        min_duration = 0.3
        [evaluate]
        max_new_tokens = 4
    """})  # fmt: skip
    half = ["train.frozen_dtype=bfloat16"] if "frozen_dtype" in file.path.read_text(encoding="utf-8") else []
    project.run("train", "r.toml", *half).assert_ok()
    steps = [entry for entry in _lines(project.path / "runs" / "r" / "log.jsonl") if "loss" in entry]
    assert [entry["step"] for entry in steps] == [1, 2]
    assert all(entry["grad_norm"] > 0 for entry in steps)
    if not silent:
        project.run("evaluate", "runs/r", "--json").assert_ok()


SENTENCES = {
    "train": ["Işık yandı.", "IRMAK ILIK", "İyi günler!", "Çok güzel, değil mi?"],
    "other": ["Kapıyı aç.", "Bugün hava sıcak."],
    "dev": ["Ne var ne yok?", "Şimdi gel."],
    "test": ["ISPARTA'da İzmir'i sordu.", "Ağaç yeşil."],
}


def common_voice(folder: Path) -> Path:
    """A release of one language with tones for speech: clips/*.mp3, a TSV a part, a row whose clip is missing."""
    import soundfile

    (folder / "clips").mkdir(parents=True)
    header = ["client_id", "path", "sentence_id", "sentence", "up_votes", "down_votes", "locale"]
    validated, durations = [], ["clip\tduration[ms]"]
    for part, sentences in SENTENCES.items():
        rows = []
        for index, sentence in enumerate(sentences):
            clip = f"common_voice_tr_{part}{index}.mp3"
            audio = tones(sentence, sampling_rate=SAMPLING_RATE)
            soundfile.write(folder / "clips" / clip, audio, SAMPLING_RATE)
            durations.append(f"{clip}\t{round(1000 * len(audio) / SAMPLING_RATE)}")
            rows.append([f"speaker{index % 2}", clip, "0", sentence, "2", "0", "tr"])
        if part == "other":
            rows.append(["speaker0", "common_voice_tr_gone.mp3", "0", "Bu kayıp.", "2", "0", "tr"])
        validated += rows
        _tsv(folder / f"{part}.tsv", header, rows)
    _tsv(folder / "validated.tsv", header, validated)
    (folder / "clip_durations.tsv").write_text("\n".join(durations) + "\n", encoding="utf-8")
    return folder


def _tsv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    path.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]), encoding="utf-8")


def test_whisper_tr_goes_from_common_voice_to_a_text(vox_project: Callable[..., Project]) -> None:
    """The recipe as it ships: LoRA over a real int8 base, noise, Turkish casing; only what a machine has is changed."""
    pytest.importorskip("bitsandbytes")
    import numpy as np
    import soundfile

    from voxcli.testing_models import tiny_whisper

    project = vox_project()
    tiny_whisper(project.path / "whisper")
    common_voice(project.path / "cv" / "tr")
    (project.path / "noise").mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * SAMPLING_RATE)
    soundfile.write(project.path / "noise" / "rain.wav", noise, SAMPLING_RATE)

    here = ["data.0.root=cv/tr", "augment.0.root=noise", "augment.0.p=1.0", "model.checkpoint=whisper"]
    small = [
        "evaluate.max_new_tokens=12",
        "train.max_steps=4",
        "train.batch_duration=9.0",
        "train.mixed_precision=no",
        "train.eval_steps=4",
    ]
    trained = project.run("train", "whisper_tr", *here, *small).assert_ok()
    run = project.path / "runs" / "whisper-small-tr"
    assert "train: 6 utterances" in trained.err, "train and other, without the missing clip"
    assert "common_voice_tr_gone.mp3" in trained.err
    assert "model       runs/whisper-small-tr/best" in trained.out

    adapter = json.loads((run / "best" / "adapter_config.json").read_text())
    assert (adapter["r"], adapter["lora_alpha"], sorted(adapter["target_modules"])) == (32, 64, ["q_proj", "v_proj"])
    assert not (run / "best" / "model.safetensors").exists(), "the base is not saved again"
    resolved = (run / "recipe.toml").read_text()
    assert "load_in_8bit = true" in resolved
    steps = [entry for entry in _lines(run / "log.jsonl") if "loss" in entry]
    assert [entry["step"] for entry in steps] == [1, 2, 3, 4]
    assert all(0 < entry["grad_norm"] < 1e6 for entry in steps), "the adapter learns over the int8 base"

    scored = project.run("evaluate", "runs/whisper-small-tr", "--json").assert_ok()
    scores = json.loads(scored.out)
    assert scores["utterances"] == len(SENTENCES["test"])
    assert scores["decoding"]["language"] == "tr"
    references = [entry["reference"] for entry in _lines(Path(project.path, scores["folder"], "utterances.jsonl"))]
    assert references == ["ısparta'da izmir'i sordu.", "ağaç yeşil."], "Turkish casing, by the rules of the checkpoint"

    clip = "cv/tr/clips/common_voice_tr_test0.mp3"
    heard = project.run("transcribe", clip, "--model", "runs/whisper-small-tr", "--format", "json").assert_ok()
    transcript = json.loads(heard.out)
    assert transcript["path"] == clip
    assert transcript["language"] == "tr"
    assert transcript["duration"] == pytest.approx(len(tones(SENTENCES["test"][0])) / 16000, abs=0.05)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
