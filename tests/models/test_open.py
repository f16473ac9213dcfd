"""Opening a trained model by any name it may have, and what a checkpoint says of itself."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from voxcli.api import Bundle, Corpus, Decoding, Utterance
from voxcli.errors import ModelError, PluginError, UsageError
from voxcli.models.ctc import CTC
from voxcli.models.open import OpenModel, open_model
from voxcli.models.settings import read_settings, write_settings
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Adapter, TextRules
from voxcli.testing_models import tiny_ctc
from voxcli.train.loading import build, save_pretrained

CORPUS = Corpus(characters=" abç", labels=(), n_utterances=4, duration=4.0)


def recipe_of(family: Any, name: str, *, adapter: Adapter | None = None, decoding: Decoding | None = None) -> Any:
    """As much of a recipe as a checkpoint's settings are written from."""
    tables = {"model": {"type": name, **{k: v for k, v in dataclasses.asdict(family).items() if v is not None}}}
    return SimpleNamespace(
        tables=tables,
        model_type=name,
        text=TextRules(language="tr", lowercase=True),
        adapter=adapter,
        decoding=lambda: decoding or Decoding(language="tr", num_beams=2),
    )


def checkpoint(family: Any, name: str, folder: Path, adapter: Adapter | None = None) -> Bundle:
    """A trained checkpoint: every learned weight moved a little, saved as training saves it."""
    bundle = build(family, CORPUS, adapter=adapter, seed=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    save_pretrained(bundle, folder)
    write_settings(recipe_of(family, name, adapter=adapter), folder)
    return bundle


def texts(bundle: Bundle, task: Any) -> list[str]:
    rng = np.random.default_rng(0)
    items = [
        task.features(Utterance(id=str(n), audio=Path("a")), (0.1 * rng.standard_normal(n)).astype(np.float32), bundle)
        for n in (16_000, 24_000)
    ]
    return [one.text for one in task.predict(bundle, task.collate(items, bundle), Decoding(max_new_tokens=12))]


def same(bundle: Bundle, opened: OpenModel) -> bool:
    return texts(bundle, opened.task) == texts(opened.bundle, opened.task)


@pytest.fixture
def whisper_checkpoint(whisper_folder: Path, tmp_path: Path) -> tuple[Bundle, Path]:
    family = Whisper(checkpoint=str(whisper_folder), language="tr", encoder_context="clip")
    folder = tmp_path / "runs/tr/checkpoints/step-000020"
    return checkpoint(family, "whisper", folder), folder


def test_a_checkpoint_is_opened_as_it_was_trained(whisper_checkpoint: tuple[Bundle, Path]) -> None:
    bundle, folder = whisper_checkpoint
    opened = open_model(folder, device="cpu")
    assert opened.folder == folder
    assert opened.text == TextRules(language="tr", lowercase=True)
    assert opened.decoding == Decoding(language="tr", num_beams=2)
    assert opened.bundle.family.encoder_context == "clip"  # type: ignore[attr-defined]
    assert not opened.bundle.model.training
    assert not any(parameter.requires_grad for parameter in opened.bundle.model.parameters())
    assert same(bundle, opened)


def test_the_encoder_s_context_can_be_overridden(whisper_checkpoint: tuple[Bundle, Path]) -> None:
    opened = open_model(whisper_checkpoint[1], device="cpu", encoder_context="window")
    mel = opened.bundle.family.features(np.zeros(8000, np.float32), opened.bundle.processor)  # type: ignore[attr-defined]
    assert mel.shape == (16, 300)


def test_a_run_folder_is_its_best_checkpoint_else_the_newest(whisper_checkpoint: tuple[Bundle, Path]) -> None:
    _, step = whisper_checkpoint
    run = step.parents[1]
    shutil.copytree(step, step.parent / "step-000100")
    assert open_model(run, device="cpu").folder == step.parent / "step-000100"
    (run / "best").symlink_to("checkpoints/step-000020")
    assert open_model(run, device="cpu").folder == step


def test_a_run_without_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("")
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ModelError, match="has no checkpoint yet"):
        open_model(tmp_path)


@pytest.mark.parametrize("name", ["whisper", "english", "wav2vec2", "parakeet"])
def test_ordinary_folders(request: pytest.FixtureRequest, name: str) -> None:
    folder: Path = request.getfixturevalue(f"{name}_folder")
    opened = open_model(str(folder), device="cpu", dtype="float32")
    assert type(opened.bundle.family).__name__ == ("Whisper" if name in ("whisper", "english") else "CTC")
    assert opened.decoding == Decoding()
    assert opened.text == TextRules()
    assert len(texts(opened.bundle, opened.task)) == 2


def test_a_ctc_checkpoint_from_random_weights(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    sizes |= {"num_mel_bins": 16, "subsampling_factor": 4, "subsampling_conv_channels": 8}
    bundle = checkpoint(CTC(architecture="parakeet_ctc", config=sizes), "ctc", tmp_path / "c")
    opened = open_model(tmp_path / "c", device="cpu")
    assert opened.bundle.processor.tokenizer.get_vocab() == bundle.processor.tokenizer.get_vocab()
    assert same(bundle, opened)
    # and it can be fine-tuned further, on other characters
    again = CTC(checkpoint=str(tmp_path / "c"), vocabulary=" abxyz").build(CORPUS)
    assert again.model.config.vocab_size == 8


@pytest.mark.parametrize("vocabulary", [None, "data", "çba"])
@pytest.mark.parametrize("architecture", ["wav2vec2", "parakeet_ctc"])
def test_an_adapter_folder(tmp_path: Path, architecture: str, vocabulary: str | None) -> None:
    base = tiny_ctc(tmp_path / "base", architecture=architecture)
    family = CTC(checkpoint=str(base), vocabulary=vocabulary)
    bundle = checkpoint(family, "ctc", tmp_path / "adapter", Adapter(r=4))
    opened = open_model(tmp_path / "adapter", device="cpu")
    assert same(bundle, opened)
    assert "lora" not in " ".join(name for name, _ in opened.bundle.model.named_modules())  # merged
    before = texts(CTC(checkpoint=str(base)).build(CORPUS), opened.task)
    assert texts(opened.bundle, opened.task) != before


def test_a_whisper_adapter_folder_without_settings(whisper_folder: Path, tmp_path: Path) -> None:
    family = Whisper(checkpoint=str(whisper_folder), language="tr")
    bundle = checkpoint(family, "whisper", tmp_path, Adapter(r=4))
    assert same(bundle, open_model(tmp_path, device="cpu"))
    (tmp_path / "vox.json").unlink()  # as peft writes it
    opened = open_model(tmp_path, device="cpu")
    opened.bundle.model.generation_config.language = "tr"
    assert same(bundle, opened)


def test_an_adapter_whose_base_is_gone(tmp_path: Path) -> None:
    base = tiny_ctc(tmp_path / "base")
    checkpoint(CTC(checkpoint=str(base)), "ctc", tmp_path / "adapter", Adapter(r=4))
    base.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match=r"is an adapter for '.*base', and that base model is missing") as caught:
        open_model(tmp_path / "adapter", device="cpu")
    assert "vox.json (base)" in str(caught.value.help)
    settings = json.loads((tmp_path / "adapter/vox.json").read_text())
    settings["base"] = str(tmp_path / "moved")
    (tmp_path / "adapter/vox.json").write_text(json.dumps(settings))
    open_model(tmp_path / "adapter", device="cpu")


def test_a_model_of_no_known_family(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="is a bert model; nothing here can transcribe with it"):
        open_model(tmp_path)


def test_a_family_of_a_plugin_that_is_missing(whisper_checkpoint: tuple[Bundle, Path]) -> None:
    _, folder = whisper_checkpoint
    stored = json.loads((folder / "vox.json").read_text())
    stored["model"]["type"] = "wisper"
    (folder / "vox.json").write_text(json.dumps(stored))
    with pytest.raises(PluginError, match="no model is called 'wisper'") as caught:
        open_model(folder)
    assert "did you mean `whisper`?" in str(caught.value.help)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there(device: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"there is no device '{device}' here") as raised:
        open_model(tmp_path, device=device)
    assert str(raised.value.help).startswith("devices: cpu")


def test_settings_are_read_as_they_were_written(whisper_checkpoint: tuple[Bundle, Path], caplog: Any) -> None:
    bundle, folder = whisper_checkpoint
    settings = read_settings(str(folder))
    assert settings is not None
    assert settings.family() == bundle.family
    assert settings.base is None
    stored = json.loads((folder / "vox.json").read_text())
    stored["decoding"]["of_the_future"] = 1
    (folder / "vox.json").write_text(json.dumps(stored))
    again = read_settings(str(folder))
    assert again is not None
    assert again.decoding_options() == Decoding(language="tr", num_beams=2)
    assert "of_the_future" in caplog.text
    stored["decoding"] = {"num_beams": "many"}
    (folder / "vox.json").write_text(json.dumps(stored))
    with pytest.raises(ModelError, match=r"vox\.json, decoding\.num_beams"):
        open_model(folder)
