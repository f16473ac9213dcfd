"""Building models for training: quantised bases, adapters, checkpointing; and saving them so that others can read."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from tiny_bundles import batch_of, family_of
from transformers import AutoModelForCTC, AutoProcessor, GenerationConfig, WhisperForConditionalGeneration

from voxcli.api import Bundle, Corpus, Decoding
from voxcli.errors import ModelError
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.testing_models import tiny_ctc, tiny_whisper
from voxcli.train.loading import build, save_pretrained

CORPUS = Corpus(characters=" abç", labels=(), n_utterances=4, duration=4.0)
INT8, NF4 = Quantization(load_in_8bit=True), Quantization(load_in_4bit=True)
CHECKPOINTING = Train(gradient_checkpointing=True)
FAMILIES = ["whisper", "wav2vec2", "wav2vec2-bert", "parakeet_ctc"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tiny_ctc(tmp_path_factory.mktemp(name), architecture=name) for name in FAMILIES[1:]}
    return {**made, "whisper": tiny_whisper(tmp_path_factory.mktemp("whisper"))}


def gradients(bundle: Bundle, task: Any) -> dict[str, torch.Tensor]:
    bundle.model.zero_grad()
    torch.manual_seed(0)
    total, count = task.loss(bundle, batch_of(bundle, task))
    (total / count).backward()
    return {name: p.grad.clone() for name, p in bundle.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("quantization", [None, INT8, NF4], ids=["float32", "int8", "nf4"])
def test_adapters_learn_the_same_with_and_without_checkpointing(
    folders: dict[str, Path], name: str, quantization: Quantization | None
) -> None:
    """Every adapter weight has a gradient, also beneath a frozen base, also after an evaluation."""
    family, task = family_of(folders, name)
    found = {}
    for checkpointing in (False, True):
        bundle = build(
            family, CORPUS, quantization=quantization, adapter=Adapter(r=4),
            train=Train(gradient_checkpointing=checkpointing), seed=3,
        )  # fmt: skip
        with torch.no_grad():
            for parameter_name, parameter in bundle.model.named_parameters():
                if "lora_B" in parameter_name:
                    parameter += 0.1
        learned = {n for n, p in bundle.model.named_parameters() if p.requires_grad}
        assert all("lora" in n or "modules_to_save" in n for n in learned)
        before = gradients(bundle, task)
        task.predict(bundle, batch_of(bundle, task), Decoding(max_new_tokens=4))
        after = gradients(bundle, task)
        assert set(before) == set(after) == learned
        assert all(float(gradient.abs().sum()) > 0 for gradient in after.values())
        found[checkpointing] = after
    for parameter_name, gradient in found[False].items():
        torch.testing.assert_close(found[True][parameter_name], gradient, rtol=2e-2, atol=1e-4)


def test_checkpointing_is_re_entrant_for_int8_only(folders: dict[str, Path]) -> None:
    for quantization, expected in ((INT8, True), (None, False)):
        bundle = build(
            family_of(folders, "whisper")[0], CORPUS, quantization=quantization, adapter=Adapter(r=4),
            train=CHECKPOINTING,
        )  # fmt: skip
        layer = bundle.model.get_base_model().model.encoder.layers[0]
        assert layer._gradient_checkpointing_func.keywords["use_reentrant"] is expected


def test_the_base_is_quantised_and_the_head_is_not(folders: dict[str, Path]) -> None:
    bundle = build(family_of(folders, "wav2vec2")[0], CORPUS, quantization=INT8, adapter=Adapter(r=4))
    model = bundle.model.get_base_model()
    assert type(model.wav2vec2.encoder.layers[0].attention.k_proj).__name__ == "Linear8bitLt"
    assert type(model.lm_head.original_module) is torch.nn.Linear


def test_full_training_has_float32_weights_and_honest_losses(folders: dict[str, Path]) -> None:
    bundle = build(family_of(folders, "whisper")[0], CORPUS)
    assert bundle.model.training
    assert bundle.model.accepts_loss_kwargs is False
    assert {p.dtype for p in bundle.model.parameters()} == {torch.float32}


def test_the_seed_decides_new_weights(folders: dict[str, Path]) -> None:
    family = CTC(checkpoint=str(folders["wav2vec2"]), vocabulary="data")
    heads = [build(family, CORPUS, seed=seed).model.lm_head.weight[-1] for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_frozen_parts_get_no_adapter(folders: dict[str, Path]) -> None:
    bundle = build(family_of(folders, "whisper", freeze_encoder=True)[0], CORPUS, adapter=Adapter(r=4))
    learned = [n for n, p in bundle.model.named_parameters() if p.requires_grad]
    assert learned
    assert all("model.decoder." in name for name in learned)
    bundle = build(family_of(folders, "wav2vec2", freeze_layers=1)[0], CORPUS, adapter=Adapter(r=4))
    learned = [n for n, p in bundle.model.named_parameters() if p.requires_grad]
    assert any("layers.1." in name for name in learned)
    assert not any("layers.0." in name for name in learned)


def test_target_modules_that_do_not_exist(folders: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="no layer called qproj") as caught:
        build(family_of(folders, "whisper")[0], CORPUS, adapter=Adapter(target_modules=("qproj",)))
    assert "q_proj" in str(caught.value.help)


def test_random_weights_take_neither_adapter_nor_quantisation() -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    sizes |= {"num_mel_bins": 16, "subsampling_conv_channels": 8}
    family = CTC(architecture="parakeet_ctc", config=sizes)
    with pytest.raises(ModelError, match="begins from random ones"):
        build(family, CORPUS, adapter=Adapter(r=4))
    with pytest.raises(ModelError, match="random weights cannot be quantised"):
        build(family, CORPUS, adapter=Adapter(r=4), quantization=INT8)


def test_quantised_weights_need_an_adapter(folders: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="quantised weights cannot be trained"):
        build(family_of(folders, "whisper")[0], CORPUS, quantization=INT8)


def test_a_bitsandbytes_that_cannot_be_imported(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def broken(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "bitsandbytes":
            raise RuntimeError("libcudart.so.13: cannot open shared object file")
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ModelError, match=r"cannot be imported: libcudart\.so\.13") as caught:
        build(family_of(folders, "whisper")[0], CORPUS, quantization=INT8, adapter=Adapter(r=4))
    assert "remove [quantization]" in str(caught.value.help)


def test_everything_frozen_is_an_error(folders: dict[str, Path]) -> None:
    class Still(Whisper):
        def build(self, corpus: Corpus, **loading: Any) -> Bundle:
            bundle = super().build(corpus, **loading)
            bundle.model.requires_grad_(False)
            return bundle

    with pytest.raises(ModelError, match="nothing would be learned"):
        build(Still(checkpoint=str(folders["whisper"]), language="tr"), CORPUS)


@pytest.mark.parametrize("context", ["window", "clip"])
def test_a_saved_whisper_is_an_ordinary_one(folders: dict[str, Path], tmp_path: Path, context: str) -> None:
    bundle = build(family_of(folders, "whisper", encoder_context=context)[0], CORPUS, train=CHECKPOINTING)
    save_pretrained(bundle, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "model.safetensors", "generation_config.json", "tokenizer.json"} <= names
    assert {"processor_config.json", "preprocessor_config.json"} <= names
    model = WhisperForConditionalGeneration.from_pretrained(tmp_path)
    stored = GenerationConfig.from_pretrained(tmp_path)
    assert stored.lang_to_id == GenerationConfig.from_pretrained(folders["whisper"]).lang_to_id
    assert stored.alignment_heads == [[0, 0], [1, 1]]
    assert (stored.language, stored.task) == ("tr", "transcribe")
    assert model.config.use_cache is True
    processor = AutoProcessor.from_pretrained(tmp_path)
    assert processor.tokenizer("x").input_ids == bundle.processor.tokenizer("x").input_ids
    out = model.generate(torch.zeros(1, 16, 300), max_new_tokens=3, return_timestamps=True)
    assert out.shape[0] == 1


def test_a_saved_ctc_model_is_an_ordinary_one(folders: dict[str, Path], tmp_path: Path) -> None:
    bundle = build(CTC(checkpoint=str(folders["wav2vec2"]), vocabulary="data"), CORPUS)
    save_pretrained(bundle, tmp_path)
    model = AutoModelForCTC.from_pretrained(tmp_path)
    assert model.config.vocab_size == 6
    torch.testing.assert_close(model.lm_head.weight, bundle.model.lm_head.weight)
    assert AutoProcessor.from_pretrained(tmp_path).tokenizer("ab ç").input_ids == [3, 4, 2, 5]


@pytest.mark.parametrize("name", ["whisper", "wav2vec2"])
def test_a_saved_adapter_loads_with_peft(folders: dict[str, Path], tmp_path: Path, name: str) -> None:
    family, _ = family_of(folders, name)
    bundle = build(family, CORPUS, adapter=Adapter(r=4))
    save_pretrained(bundle, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "preprocessor_config.json"} <= names
    assert "model.safetensors" not in names
    stored = json.loads((tmp_path / "adapter_config.json").read_text())
    assert stored["base_model_name_or_path"] == str(folders[name].resolve())
    assert stored["task_type"] is None
    base = family.build(CORPUS).model
    assert isinstance(PeftModel.from_pretrained(base, tmp_path), PeftModel)


def test_a_save_changes_nothing_of_what_is_trained(folders: dict[str, Path], tmp_path: Path) -> None:
    bundle = build(family_of(folders, "whisper")[0], CORPUS, train=CHECKPOINTING)
    save_pretrained(bundle, tmp_path)
    assert bundle.model.config.use_cache is False, "transformers warns where it is true beside checkpointing"
    assert json.loads((tmp_path / "config.json").read_text())["use_cache"] is True


def test_random_generation_settings_of_old_configs_do_not_stop_a_save(folders: dict[str, Path], tmp_path: Path) -> None:
    """Old Whisper configs hold generation settings, which transformers refuses to save."""
    import shutil

    folder = Path(shutil.copytree(folders["whisper"], tmp_path / "old"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"max_length": 20, "num_beams": 3, "forced_decoder_ids": [[1, 258], [2, 358]]}
    config |= {"suppress_tokens": [1, 2], "begin_suppress_tokens": [0, 256]}
    (folder / "config.json").write_text(json.dumps(config))
    bundle = build(Whisper(checkpoint=str(folder), language="tr"), CORPUS)
    save_pretrained(bundle, tmp_path / "new")
    assert GenerationConfig.from_pretrained(tmp_path / "new").language == "tr"
