"""What checks of checkpoints only note, and what they compare on a probe."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxcli.doctor.checkpoint import whisper_probe
from voxcli.doctor.checkpoint.whisper_probe import Probed
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc, tiny_whisper


def told(project: Project, folder: str, *more: str) -> dict[str, tuple[str, str]]:
    """Code -> level and message."""
    result = project.run("doctor", folder, "--json", *more)
    return {one["code"]: (one["level"], one["message"]) for one in json.loads(result.out)["findings"]}


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    return vox_project()


def test_the_form_of_the_original_checkpoints_is_a_note(project: Project) -> None:
    folder = tiny_whisper(project.path / "w")
    tasks = json.loads((folder / "generation_config.json").read_text())["task_to_id"]
    edit(folder / "generation_config.json", forced_decoder_ids=[[1, None], [2, tasks["transcribe"]]])
    languages = json.loads((folder / "generation_config.json").read_text())["lang_to_id"]
    edit(folder / "config.json", forced_decoder_ids=[[1, languages["<|en|>"]], [2, tasks["transcribe"]]])
    assert told(project, "w")["C113"][0] == "note"
    edit(folder / "generation_config.json", forced_decoder_ids=[[1, None], [2, tasks["translate"]]])
    assert told(project, "w", "--only", "C113")["C113"][0] in ("note", "warning")


def test_forced_tokens_against_the_language(project: Project) -> None:
    folder = tiny_whisper(project.path / "w")
    languages = json.loads((folder / "generation_config.json").read_text())["lang_to_id"]
    forced = [[1, languages["<|de|>"]]]
    edit(folder / "generation_config.json", forced_decoder_ids=forced, language="tr", task="transcribe")
    level, message = told(project, "w")["C113"]
    assert level == "warning"
    assert "<|de|>" in message
    assert "against language = tr" in message


def test_pickles_and_missing_converters_files_are_notes(project: Project) -> None:
    folder = tiny_ctc(project.path / "c")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    found = told(project, "c")
    assert (found["C104"][0], found["C121"][0]) == ("note", "note")
    assert {level for level, _ in found.values()} == {"note"}
    shutil.copy(folder / "processor_config.json", folder / "preprocessor_config.json")
    assert "C121" not in told(project, "c")


def test_a_checkpoint_of_a_run_without_its_state(project: Project) -> None:
    folder = tiny_ctc(project.path / "runs/a/checkpoints/step-000010")
    assert "C161" not in told(project, str(folder))
    project.write({"runs/a/recipe.toml": 'name = "a"\n'})
    level, message = told(project, str(folder))["C161"]
    assert (level, "no training_state" in message) == ("note", True)
    (folder / "training_state").mkdir()
    for name in ("state.json", "training.json"):
        (folder / "training_state" / name).write_text("{}")
    assert "training.safetensors" in told(project, str(folder))["C161"][1]


def test_vox_json_of_another_version(project: Project) -> None:
    folder = tiny_ctc(project.path / "c")
    (folder / "vox.json").write_text(json.dumps({"voxcli": "99.0", "model": {"type": "ctc"}}))
    level, message = told(project, "c")["C160"]
    assert level == "note"
    assert "99.0" in message or "lacks text" in message


def test_what_the_trainer_writes_may_lack_its_processor(project: Project) -> None:
    folder = tiny_ctc(project.path / "checkpoint-500")
    for name in ("processor_config.json", "vocab.json", "tokenizer_config.json"):
        (folder / name).unlink()
    found = told(project, "checkpoint-500", "--only", "C")
    assert (found["C120"][0], found["C122"][0]) == ("error", "error")
    (folder / "trainer_state.json").write_text('{"log_history": [], "global_step": 500}')
    found = told(project, "checkpoint-500", "--only", "C")
    assert (found["C120"][0], found["C122"][0]) == ("note", "note")


def test_one_class_for_the_blank_needs_no_token(project: Project) -> None:
    folder = tiny_ctc(project.path / "c")
    vocabulary = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({key: value for key, value in vocabulary.items() if key != "z"}))
    level, message = told(project, "c")["C122"]
    assert (level, message.startswith("1 of the model's")) == ("warning", True)


ABLE = Probed(timed=1.0, heard=1.0, errors=0.03, endless=0.0)


@pytest.mark.parametrize(
    ("before", "after", "codes"),
    [
        (ABLE, ABLE, set()),
        (ABLE, Probed(0.0, 1.0, 0.03, 0.0), {"C150"}),
        (ABLE, Probed(1.0, 1.0, 0.03, 0.8), {"C150"}),
        (ABLE, Probed(1.0, 0.0, 0.03, 0.0), {"C151"}),
        (ABLE, Probed(1.0, 1.0, 0.9, 0.0), {"C151"}),
        (ABLE, Probed(0.75, 0.75, 0.2, 0.2), set()),
        (Probed(0.25, 0.25, 1.0, 1.0), Probed(0.0, 0.0, 1.0, 1.0), set()),
        (Probed(1.0, None, 0.0, 0.0), Probed(1.0, None, 0.0, 0.0), set()),
    ],
)
def test_what_a_base_can_and_its_checkpoint_cannot(
    project: Project, monkeypatch: pytest.MonkeyPatch, before: Probed, after: Probed, codes: set[str]
) -> None:
    base, folder = tiny_whisper(project.path / "base"), tiny_whisper(project.path / "tuned", seed=1)
    settings = {"model": {"type": "whisper", "checkpoint": str(base)}, "text": {}, "decoding": {}}
    (folder / "vox.json").write_text(json.dumps(settings))
    asked: list[Path] = []

    def probe(checkpoint: Path) -> Probed:
        asked.append(checkpoint)
        return before if checkpoint == base else after

    monkeypatch.setattr(whisper_probe, "probe", probe)
    found = told(project, "tuned", "--only", "C15")
    assert set(found) == codes
    assert len(asked) == 2
    assert all("measured on four English sentences" in message for _, message in found.values())


def test_the_probe_of_a_tiny_model(project: Project) -> None:
    folder = tiny_whisper(project.path / "w", window=6)
    found = whisper_probe.probe(folder)
    assert 0 <= found.timed <= 1
    assert found.heard is not None
    assert found.errors > 0.5


@pytest.mark.parametrize(
    ("files", "runtime"),
    [
        (("model.bin", "vocabulary.json", "config.json"), "CTranslate2"),
        (("encoder.onnx", "config.json"), "ONNX Runtime"),
    ],
)
def test_a_model_of_another_runtime_is_not_examined(project: Project, files: tuple[str, ...], runtime: str) -> None:
    project.write({f"other/{name}": "{}" for name in files})
    (found,) = told(project, "other").values()
    assert found == ("note", f"the folder holds a model for {runtime}: its files are not examined")
