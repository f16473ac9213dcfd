"""Loading a Whisper: what it says of its limits, its language, its generation config, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, GenerationConfig, WhisperForConditionalGeneration

from voxcli.api import Corpus
from voxcli.errors import ModelError
from voxcli.models.whisper import Whisper


def copied(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def edit(file: Path, **changes: object) -> None:
    content = json.loads(file.read_text())
    content.update(changes)
    file.write_text(json.dumps({key: value for key, value in content.items() if value != "drop"}))


def test_limits_come_from_the_config_alone(whisper_folder: Path, tmp_path: Path) -> None:
    folder = copied(whisper_folder, tmp_path / "no-weights")
    (folder / "model.safetensors").unlink()
    limits = Whisper(checkpoint=str(folder)).limits()
    assert (limits.sampling_rate, limits.max_duration, limits.stride) == (16_000, 3.0, 320)
    assert limits.max_label_length == 64
    model = WhisperForConditionalGeneration.from_pretrained(whisper_folder)
    assert limits.n_parameters == model.num_parameters()


def test_half_precision_checkpoints_become_float32(whisper_folder: Path, tmp_path: Path, corpus: Corpus) -> None:
    model = WhisperForConditionalGeneration.from_pretrained(whisper_folder).half()
    folder = copied(whisper_folder, tmp_path / "half")
    model.save_pretrained(folder)
    bundle = Whisper(checkpoint=str(folder), language="tr").build(corpus)
    assert {parameter.dtype for parameter in bundle.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["tr", "Turkish", "<|tr|>", "tr-TR"])
def test_language_reaches_tokenizer_and_generation_config(whisper_folder: Path, corpus: Corpus, name: str) -> None:
    bundle = Whisper(checkpoint=str(whisper_folder), language=name).build(corpus)
    assert bundle.model.generation_config.language == "tr"
    assert bundle.model.generation_config.task == "transcribe"
    prefix = bundle.processor.tokenizer.convert_ids_to_tokens(bundle.processor.tokenizer("x").input_ids)
    assert prefix[:4] == ["<|startoftranscript|>", "<|tr|>", "<|transcribe|>", "<|notimestamps|>"]


def test_an_unknown_language_is_answered_with_close_ones(whisper_folder: Path) -> None:
    with pytest.raises(ModelError, match="'turkisch' is no language") as caught:
        Whisper(checkpoint=str(whisper_folder), language="turkisch").limits()
    assert "`tr` (turkish)" in str(caught.value.help)


def test_a_language_this_checkpoint_lacks(whisper_folder: Path) -> None:
    with pytest.raises(ModelError, match="does not know the language 'cantonese'"):
        Whisper(checkpoint=str(whisper_folder), language="cantonese").limits()


@pytest.mark.parametrize("keys", [{"language": "en"}, {"generation_task": "translate"}])
def test_english_only_checkpoints_take_no_language(english_folder: Path, corpus: Corpus, keys: dict[str, str]) -> None:
    family = Whisper(checkpoint=str(english_folder), **keys)  # type: ignore[arg-type]
    for attempt in (family.limits, lambda: family.build(corpus)):
        with pytest.raises(ModelError, match="English only") as caught:
            attempt()
        assert f"remove `{next(iter(keys))}`" in str(caught.value.help)


def test_english_only_checkpoints_learn_without_language_tokens(english_folder: Path, corpus: Corpus) -> None:
    tokenizer = Whisper(checkpoint=str(english_folder)).build(corpus).processor.tokenizer
    assert tokenizer.convert_ids_to_tokens(tokenizer("x").input_ids) == [
        "<|startoftranscript|>", "<|notimestamps|>", "x", "<|endoftext|>",
    ]  # fmt: skip


def test_a_bare_generation_config_is_completed(whisper_folder: Path, tmp_path: Path, corpus: Corpus) -> None:
    folder = copied(whisper_folder, tmp_path / "bare")
    (folder / "generation_config.json").unlink()
    model = Whisper(checkpoint=str(folder), language="bg").build(corpus).model
    whole = GenerationConfig.from_pretrained(whisper_folder)
    assert model.generation_config.lang_to_id == whole.lang_to_id
    assert model.generation_config.no_timestamps_token_id == whole.no_timestamps_token_id
    assert model.generation_config.max_length == 64
    model.save_pretrained(tmp_path / "again")
    again = GenerationConfig.from_pretrained(tmp_path / "again")
    assert again.lang_to_id == whole.lang_to_id
    assert again.language == "bg"


def test_forced_decoder_ids_are_cleared(whisper_folder: Path, tmp_path: Path, corpus: Corpus) -> None:
    folder = copied(whisper_folder, tmp_path / "forced")
    edit(folder / "generation_config.json", forced_decoder_ids=[[1, 258], [2, 358]])
    model = Whisper(checkpoint=str(folder), language="tr").build(corpus).model
    assert model.generation_config.forced_decoder_ids is None
    model.save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved/generation_config.json").read_text()).get("forced_decoder_ids") is None


def test_settings_change_the_config_only_when_given(whisper_folder: Path, corpus: Corpus) -> None:
    plain = Whisper(checkpoint=str(whisper_folder), language="tr").build(corpus).model.config
    assert (plain.dropout, plain.apply_spec_augment) == (0.0, False)
    family = Whisper(
        checkpoint=str(whisper_folder), language="tr", dropout=0.3, apply_spec_augment=True, mask_time_prob=0.2
    )
    config = family.build(corpus).model.config
    assert (config.dropout, config.apply_spec_augment, config.mask_time_prob) == (0.3, True, 0.2)


def test_a_frozen_encoder(whisper_folder: Path, corpus: Corpus) -> None:
    model = Whisper(checkpoint=str(whisper_folder), language="tr", freeze_encoder=True).build(corpus).model
    assert not any(parameter.requires_grad for parameter in model.model.encoder.parameters())
    assert any(parameter.requires_grad for parameter in model.model.decoder.parameters())


def test_the_encoders_sinusoids_are_not_trained(whisper_folder: Path, corpus: Corpus) -> None:
    model = Whisper(checkpoint=str(whisper_folder), language="tr").build(corpus).model
    still = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert still == ["model.encoder.embed_positions.weight"]


def test_another_architecture(wav2vec2_folder: Path, corpus: Corpus) -> None:
    family = Whisper(checkpoint=str(wav2vec2_folder))
    for attempt in (family.limits, lambda: family.build(corpus)):
        with pytest.raises(ModelError, match="is a wav2vec2 model, not a Whisper"):
            attempt()


def test_a_feature_extractor_of_another_checkpoint(whisper_folder: Path, tmp_path: Path, corpus: Corpus) -> None:
    folder = copied(whisper_folder, tmp_path / "mixed")
    processor = AutoProcessor.from_pretrained(folder)
    type(processor.feature_extractor)(feature_size=128).save_pretrained(folder)
    stored = json.loads((folder / "processor_config.json").read_text())
    stored["feature_extractor"]["feature_size"] = 128
    (folder / "processor_config.json").write_text(json.dumps(stored))
    with pytest.raises(ModelError, match="computes 128 mel bins, its model takes 16"):
        Whisper(checkpoint=str(folder), language="tr").build(corpus)


def test_truncated_weights(whisper_folder: Path, tmp_path: Path, corpus: Corpus) -> None:
    folder = copied(whisper_folder, tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"the model of .* cannot be loaded") as caught:
        Whisper(checkpoint=str(folder), language="tr").build(corpus)
    assert "folder is whole" in str(caught.value.help)


def test_window_features_are_padded_to_the_window(whisper_folder: Path, corpus: Corpus) -> None:
    family = Whisper(checkpoint=str(whisper_folder), language="tr")
    mel = family.features(np.ones(16_000, dtype=np.float32), family.build(corpus).processor)
    assert mel.shape == (16, 300)
    assert mel.dtype == np.float32
    assert family.padded_duration(1.0) == 30.0
