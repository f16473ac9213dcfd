"""The exporter on tiny models, and the way of a person: train, export, transcribe by the engine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vox_ctranslate2.engine import CTranslate2Engine
from vox_ctranslate2.exporter import CTranslate2
from voxcli.api import Decoding
from voxcli.errors import ModelError
from voxcli.testing import Project, check_plugin
from voxcli.testing_models import tiny_ctc, tiny_whisper

RECIPE = """
    name = "mine"
    [[data]]
    type = "manifest"
    path = "data/manifest.csv"
    [model]
    type = "whisper"
    checkpoint = "whisper"
    encoder_context = "clip"
    [adapter]
    r = 4
    [train]
    max_steps = 2
    learning_rate = 1e-3
    batch_duration = 8.0
    use_cpu = true
    [evaluate]
    max_new_tokens = 12
"""


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    made = vox_project({"mine.toml": RECIPE})
    tiny_whisper(made.path / "whisper")
    made.speech("data", splits={"train": 6, "validation": 6, "test": 1})
    return made


def test_the_folder_is_one_that_faster_whisper_opens(tmp_path: Path) -> None:
    from faster_whisper import WhisperModel

    checkpoint = tiny_whisper(tmp_path / "whisper")
    out = tmp_path / "out"
    out.mkdir()
    assert CTranslate2(quantization="int8").export(checkpoint, out) == out
    files = {"model.bin", "config.json", "vocabulary.json", "tokenizer.json", "preprocessor_config.json", "vox.json"}
    files |= {"encoder.safetensors"}
    assert {path.name for path in out.iterdir()} == files
    content = json.loads((out / "config.json").read_text())
    generation = json.loads((checkpoint / "generation_config.json").read_text())
    assert content["lang_ids"] == sorted(generation["lang_to_id"].values())
    assert content["alignment_heads"] == generation["alignment_heads"]
    assert (content["suppress_ids"], content["suppress_ids_begin"]) == ([], [])
    model = WhisperModel(str(out), device="cpu", compute_type="int8")
    assert model.feature_extractor.mel_filters.shape[0] == 16
    assert model.feature_extractor.n_samples == 3 * 16_000
    assert model.hf_tokenizer.token_to_id("<|tr|>") == generation["lang_to_id"]["<|tr|>"]
    assert CTranslate2Engine.opens(out)
    assert not CTranslate2Engine.opens(checkpoint)


def test_language_tokens_are_there_where_the_generation_config_has_none(tmp_path: Path) -> None:
    """A checkpoint that was saved without care; the converter alone writes no language for transformers 5."""
    checkpoint = tiny_whisper(tmp_path / "whisper")
    path = checkpoint / "generation_config.json"
    content = json.loads(path.read_text())
    wanted = sorted(content.pop("lang_to_id").values())
    path.write_text(json.dumps(content))
    (tmp_path / "out").mkdir()
    CTranslate2().export(checkpoint, tmp_path / "out")
    assert json.loads((tmp_path / "out/config.json").read_text())["lang_ids"] == wanted


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match="is a wav2vec2 model, and this exporter writes Whisper models"):
        CTranslate2().export(tiny_ctc(tmp_path / "ctc"), tmp_path / "out")


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    checkpoint = tiny_whisper(tmp_path / "whisper")
    path = checkpoint / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": ["WhisperForAudioClassification"]}))
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match="is a classification model") as refused:
        CTranslate2().export(checkpoint, tmp_path / "out")
    assert "--to onnx" in str(refused.value.help)


@pytest.mark.parametrize("file", ["tokenizer.json", "model.bin"])
def test_a_copy_that_was_cut_short(tmp_path: Path, file: str) -> None:
    (tmp_path / "out").mkdir()
    out = CTranslate2().export(tiny_whisper(tmp_path / "whisper"), tmp_path / "out")
    (out / file).write_bytes((out / file).read_bytes()[:50])
    for _ in range(2):
        with pytest.raises(ModelError, match="CTranslate2 cannot open") as refused:
            CTranslate2Engine.open(out, device="cpu")
        assert f"a copy that was cut short? remove {out}" in str(refused.value.help)
        assert "cuBLAS" not in str(refused.value.help)
        (out / file).unlink(missing_ok=True)


def test_what_this_machine_does_not_compute_in(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    out = CTranslate2().export(tiny_whisper(tmp_path / "whisper"), tmp_path / "out")
    with pytest.raises(ModelError, match="unsupported device") as refused:
        CTranslate2Engine.open(out, device="mps")
    assert "--device cpu" in str(refused.value.help)


def test_a_lora_run_at_clip_length_is_exported_once_and_transcribed(project: Project) -> None:
    project.run("train", "mine.toml").assert_ok()
    clip = sorted((project.path / "data/audio").glob("test-*"))[0]
    ask = ("transcribe", str(clip), "--model", "runs/mine", "--max-new-tokens", "12")
    wanted = project.run(*ask).assert_ok()
    found = project.run(*ask, "--engine", "ctranslate2").assert_ok()
    assert found.out == wanted.out
    assert "has no export of" in found.err
    assert "comparing: what was exported, by the engine 'ctranslate2'" in found.err
    (folder,) = (project.path / "runs/mine/export").iterdir()
    stored = json.loads((folder / "vox.json").read_text())
    assert stored["model"]["encoder_context"] == "clip"
    assert stored["exported"]["keys"] == {"quantization": "float16", "short_clips": True}
    assert not (folder / "encoder.safetensors").exists()  # CTranslate2's own encoder takes the clip's length
    again = project.run(*ask, "--engine", "ctranslate2").assert_ok()
    assert "has no export of" not in again.err
    assert again.out == wanted.out
    of_itself = project.run(*(str(folder) if one == "runs/mine" else one for one in ask)).assert_ok()
    assert of_itself.out == wanted.out
    weights = project.path / "runs/mine/best/adapter_model.safetensors"
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns - 10**12))  # replaced by an older file
    later = project.run(*ask, "--engine", "ctranslate2").assert_ok()
    assert "has no export of" in later.err
    assert len(list((project.path / "runs/mine/export").iterdir())) == 2


def test_an_export_is_compared_with_the_checkpoint(project: Project) -> None:
    ask = ("export", "whisper", "quantization=float32", "--to", "ctranslate2", "--data", "data", "--json")
    told = json.loads(project.run(*ask).assert_ok().out)
    assert (told["check"]["engine"], told["check"]["probe"]["changed"]) == ("ctranslate2", 0)
    wer = told["check"]["probe"]["raw"]["wer"]
    assert wer["before"] == wer["after"]
    assert (project.path / "export/whisper/ctranslate2/model.bin").is_file()


def test_an_export_that_says_otherwise_is_not_kept(project: Project) -> None:
    """Weights in another order: whole, well-formed, opened by the engine, and wrong."""
    project.write(
        {
            "permuting.py": '''
            """Permutes the layers of what is exported."""

            from voxcli.api import config, hookimpl
            from vox_ctranslate2.exporter import CTranslate2


            @config
            class Permuted(CTranslate2):
                """Wrong weights."""

                def export(self, checkpoint, out):
                    import shutil
                    from pathlib import Path

                    from safetensors.torch import load_file, save_file

                    other = Path(shutil.copytree(checkpoint, out / "other"))
                    weights = load_file(other / "model.safetensors")
                    name = "model.decoder.embed_tokens.weight"
                    weights[name] = weights[name].flip(0).contiguous()
                    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
                    made = out.parent / "made"
                    made.mkdir()
                    super().export(other, made)
                    shutil.rmtree(other)
                    shutil.copytree(made, out, dirs_exist_ok=True)
                    shutil.rmtree(made)
                    return out


            @hookimpl
            def vox_register(registry):
                registry.add("exporter", "permuted", f"{__name__}:Permuted")
            '''
        }
    )
    ask = ("export", "whisper", "--to", "permuted", "--plugin", "permuting.py", "--data", "data", "--out", "out")
    refused = project.run(*ask).assert_code(1)
    assert "what was exported writes other texts than whisper" in refused.err
    assert "quantization=float32 computes what the checkpoint does" in refused.err
    assert sorted(path.name for path in project.path.iterdir() if "out" in path.name) == []
    project.run(*ask, "--no-check").assert_ok()
    assert (project.path / "out/model.bin").is_file()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("vad_filtr=true", "did you mean `vad_filter`?"),
        ("vad_filter=1", "vad_filter is 1, expected true or false"),
        ("vad_threshold=2.0", "vad_threshold is 2"),
        ("compute_type=int4", "compute_type is"),
    ],
)
def test_options_that_are_none(project: Project, option: str, message: str) -> None:
    clip = sorted((project.path / "data/audio").iterdir())[0]
    ask = ("transcribe", str(clip), "--model", "whisper", "--engine", "ctranslate2", "--engine-option", option)
    assert message in project.run(*ask).assert_code(2).err


def test_what_is_no_model_of_ctranslate2(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"\0" * 64)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="CTranslate2 cannot open"):
        CTranslate2Engine.open(tmp_path, device="cpu")


def test_a_folder_that_somebody_else_converted(tmp_path: Path) -> None:
    """Without vox.json: what every Whisper is."""
    checkpoint = tiny_whisper(tmp_path / "whisper", multilingual=False)
    out = tmp_path / "out"
    out.mkdir()
    CTranslate2().export(checkpoint, out)
    (out / "vox.json").unlink()
    engine: Any = CTranslate2Engine.open(out, device="cpu")
    assert engine.decoding == Decoding()
    (found,) = engine.transcribe_batch([np.zeros(8000, np.float32)], Decoding(max_new_tokens=4))
    assert found.language == "en"


def test_the_plugin_keeps_its_contracts() -> None:
    check_plugin("vox_ctranslate2")
