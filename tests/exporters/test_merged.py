"""An adapter merged into its base: the same logits in a folder that plain transformers loads."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import (
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoProcessor,
    BitsAndBytesConfig,
    GenerationConfig,
    WhisperForConditionalGeneration,
)

from voxcli.api import Bundle, Corpus, Decoding
from voxcli.errors import ModelError
from voxcli.exporters.merged import Merged
from voxcli.models.ctc import CTC
from voxcli.models.open import open_model
from voxcli.models.settings import write_settings
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Adapter, Quantization, TextRules
from voxcli.testing_models import tiny_ctc, tiny_whisper
from voxcli.train.loading import build, save_pretrained

CORPUS = Corpus(characters=" abç", labels=(), n_utterances=4, duration=4.0)
INT8, NF4 = Quantization(load_in_8bit=True), Quantization(load_in_4bit=True)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def ctc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(tmp_path_factory.mktemp("ctc"))


def trained(family: Any, folder: Path, *, adapter: Adapter | None, quantization: Quantization | None = None) -> Bundle:
    """A checkpoint as training writes it, every learned weight moved a little."""
    bundle = build(family, CORPUS, adapter=adapter, quantization=quantization)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    save_pretrained(bundle, folder)
    name = "whisper" if isinstance(family, Whisper) else "ctc"
    tables = {"model": {"type": name, **{key: value for key, value in vars(family).items() if value is not None}}}
    recipe: Any = SimpleNamespace(
        tables=tables,
        model_type=name,
        text=TextRules(lowercase=True),
        adapter=adapter,
        decoding=lambda: Decoding(num_beams=2),
    )
    write_settings(recipe, folder)
    return bundle


def whisper_logits(model: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    frames = 2 * (model.get_base_model() if isinstance(model, PeftModel) else model).config.max_source_positions
    features = torch.randn(2, 16, frames, generator=generator)
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(
            input_features=features, decoder_input_ids=torch.arange(12).view(2, 6)
        ).logits
    return logits


def ctc_logits(model: Any) -> torch.Tensor:
    audio = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits: torch.Tensor = model.eval()(audio).logits
    return logits


ADAPTERS = {
    "lora": Adapter(r=4),
    "rslora": Adapter(r=4, lora_alpha=32, use_rslora=True),
    "dora": Adapter(r=4, use_dora=True),
    "bias": Adapter(r=4, bias="all"),
    "output": Adapter(r=4, target_modules=("q_proj", "proj_out")),  # tied to the embeddings
    "embedding": Adapter(r=4, target_modules=("v_proj", "embed_tokens")),
    "output whole": Adapter(r=4, modules_to_save=("proj_out",)),
}


CASES = [(name, None) for name in ADAPTERS]
CASES += [(name, over) for name in ("lora", "dora", "output whole") for over in (INT8, NF4)]


def called(value: Any) -> str | None:
    """Readable names of cases."""
    return ("int8" if value.load_in_8bit else "nf4") if isinstance(value, Quantization) else None


@pytest.mark.parametrize(("name", "quantization"), CASES, ids=called)
def test_plain_transformers_loads_what_base_and_adapter_compute(
    whisper: Path, tmp_path: Path, name: str, quantization: Quantization | None
) -> None:
    bundle = trained(
        Whisper(checkpoint=str(whisper), language="tr"),
        tmp_path / "adapter",
        adapter=ADAPTERS[name],
        quantization=quantization,
    )
    exported = Merged().export(tmp_path / "adapter", tmp_path / "out")
    base = WhisperForConditionalGeneration.from_pretrained(whisper)
    before = whisper_logits(base)
    unmerged = whisper_logits(PeftModel.from_pretrained(base, str(tmp_path / "adapter")))
    plain, report = WhisperForConditionalGeneration.from_pretrained(exported, output_loading_info=True)
    found = whisper_logits(plain)
    assert (unmerged - before).abs().max() > 100 * (found - unmerged).abs().max()  # the adapter does something
    torch.testing.assert_close(found, unmerged, rtol=1e-4, atol=1e-4)
    assert not any(report.values())
    if quantization is None:
        torch.testing.assert_close(found, whisper_logits(bundle.model), rtol=1e-4, atol=1e-4)
    assert {weight.dtype for weight in load_file(exported / "model.safetensors").values()} == {torch.float32}


def test_everything_that_belongs_to_the_model_is_there(whisper: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    for file in whisper.iterdir():
        (tmp_path / "base" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "base/normalizer.json").write_text('{"colour": "color"}')
    trained(Whisper(checkpoint=str(tmp_path / "base"), language="tr"), tmp_path / "adapter", adapter=Adapter(r=4))
    out = Merged().export(tmp_path / "adapter", tmp_path / "out")
    assert {path.name for path in out.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "normalizer.json", "preprocessor_config.json",
        "processor_config.json", "tokenizer.json", "tokenizer_config.json", "vox.json",
    }  # fmt: skip
    settings = GenerationConfig.from_pretrained(out)
    assert settings.alignment_heads == [[0, 0], [1, 1]]
    assert (settings.language, settings.task) == ("tr", "transcribe")
    assert AutoFeatureExtractor.from_pretrained(out).feature_size == 16
    processor = AutoProcessor.from_pretrained(out)
    assert processor.tokenizer.get_vocab() == AutoProcessor.from_pretrained(whisper).tokenizer.get_vocab()
    assert processor.tokenizer.english_spelling_normalizer == {"colour": "color"}
    stored = json.loads((out / "vox.json").read_text("utf-8"))
    assert (stored["base"], stored["decoding"]["num_beams"], stored["text"]["lowercase"]) == (None, 2, True)
    # on another machine: neither the base nor the adapter is looked for
    (tmp_path / "base").rename(tmp_path / "gone")
    (tmp_path / "adapter").rename(tmp_path / "gone too")
    opened = open_model(out, device="cpu")
    assert opened.decoding == Decoding(num_beams=2)
    assert opened.text == TextRules(lowercase=True)


@pytest.mark.parametrize("vocabulary", [None, "data"])
def test_a_ctc_model_keeps_its_output_layer(ctc: Path, tmp_path: Path, vocabulary: str | None) -> None:
    family = CTC(checkpoint=str(ctc), vocabulary=vocabulary)
    bundle = trained(family, tmp_path / "adapter", adapter=Adapter(r=4), quantization=INT8 if vocabulary else None)
    out = Merged().export(tmp_path / "adapter", tmp_path / "out")
    found = ctc_logits(AutoModelForCTC.from_pretrained(out))
    assert AutoProcessor.from_pretrained(out).tokenizer.get_vocab() == bundle.processor.tokenizer.get_vocab()
    assert found.shape[-1] == len(bundle.processor.tokenizer.get_vocab())
    if vocabulary is None:
        torch.testing.assert_close(found, ctc_logits(bundle.model), rtol=1e-4, atol=1e-4)
    opened = open_model(out, device="cpu")
    torch.testing.assert_close(ctc_logits(opened.bundle.model), found)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(whisper: Path, tmp_path: Path, dtype: Any) -> None:
    trained(Whisper(checkpoint=str(whisper)), tmp_path / "adapter", adapter=Adapter(r=4))
    half = Merged(dtype=dtype).export(tmp_path / "adapter", tmp_path / "half")
    whole = Merged().export(tmp_path / "adapter", tmp_path / "whole")
    stored, exact = load_file(half / "model.safetensors"), load_file(whole / "model.safetensors")
    assert stored.keys() == exact.keys()
    for name, weight in stored.items():
        assert torch.equal(weight, exact[name].to(getattr(torch, dtype))), name
    assert json.loads((half / "config.json").read_text("utf-8"))["dtype"] == dtype
    assert WhisperForConditionalGeneration.from_pretrained(half).dtype == getattr(torch, dtype)


def test_a_whole_model_is_copied_without_its_training_state(ctc: Path, tmp_path: Path) -> None:
    trained(CTC(checkpoint=str(ctc)), tmp_path / "step", adapter=None)
    (tmp_path / "step/training_state").mkdir()
    (tmp_path / "step/training_state/state.json").write_text("{}")
    (tmp_path / "step/preprocessor_config.json").unlink()  # as other tools write it
    out = Merged().export(tmp_path / "step", tmp_path / "out")
    for path in (tmp_path / "step").iterdir():
        if path.is_file():
            assert (out / path.name).read_bytes() == path.read_bytes()
    assert not (out / "training_state").exists()
    assert (out / "preprocessor_config.json").is_file()
    half = Merged(dtype="float16").export(tmp_path / "step", tmp_path / "half")
    assert AutoModelForCTC.from_pretrained(half).dtype == torch.float16


def test_the_base_is_missing(ctc: Path, tmp_path: Path) -> None:
    base = tiny_ctc(tmp_path / "base")
    trained(CTC(checkpoint=str(base)), tmp_path / "adapter", adapter=Adapter(r=4))
    base.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="that base model is missing"):
        Merged().export(tmp_path / "adapter", tmp_path / "out")


def test_an_adapter_that_is_not_finite(ctc: Path, tmp_path: Path) -> None:
    bundle = trained(CTC(checkpoint=str(ctc)), tmp_path / "adapter", adapter=Adapter(r=4))
    with torch.no_grad():
        next(p for name, p in bundle.model.named_parameters() if "lora_A" in name).fill_(float("nan"))
    save_pretrained(bundle, tmp_path / "adapter")
    with pytest.raises(ModelError, match="NaNs detected in the merged weights"):
        Merged().export(tmp_path / "adapter", tmp_path / "out")


def test_an_adapter_that_is_not_whole(ctc: Path, tmp_path: Path) -> None:
    trained(CTC(checkpoint=str(ctc)), tmp_path / "adapter", adapter=Adapter(r=4))
    weights = load_file(tmp_path / "adapter/adapter_model.safetensors")
    weights.pop(next(name for name in weights if "lora_B" in name))
    save_file(weights, tmp_path / "adapter/adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"is not whole: .*lora_B.* are missing"):
        Merged().export(tmp_path / "adapter", tmp_path / "out")


def test_a_base_that_is_stored_in_8_bits(whisper: Path, tmp_path: Path) -> None:
    trained(Whisper(checkpoint=str(whisper)), tmp_path / "adapter", adapter=Adapter(r=4))
    quantised = WhisperForConditionalGeneration.from_pretrained(
        whisper, quantization_config=BitsAndBytesConfig(load_in_8bit=True), device_map={"": "cpu"}
    )
    quantised.save_pretrained(tmp_path / "base")
    AutoProcessor.from_pretrained(whisper).save_pretrained(tmp_path / "base")
    settings = json.loads((tmp_path / "adapter/vox.json").read_text("utf-8"))
    (tmp_path / "adapter/vox.json").write_text(json.dumps({**settings, "base": str(tmp_path / "base")}))
    with pytest.raises(ModelError, match="is itself stored in 8 or 4 bits"):
        Merged().export(tmp_path / "adapter", tmp_path / "out")
