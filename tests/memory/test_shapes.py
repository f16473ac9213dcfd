"""Models built from config.json alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from plugin_families import Pretraining
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from voxcli.api import Corpus
from voxcli.memory.shapes import fakify, without_weights
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.testing_models import tiny_ctc, tiny_whisper

CORPUS = Corpus("abc", (), 0, 0.0)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_whisper(tmp_path_factory.mktemp("whisper"), encoder_layers=4, decoder_layers=3)
    (folder / "model.safetensors").unlink()
    return folder


def test_no_weights_are_read(whisper: Path) -> None:
    with without_weights():
        model = Whisper(checkpoint=str(whisper)).build(CORPUS).model
    assert all(one.is_meta for one in model.parameters())
    assert model.proj_out.weight is model.model.decoder.embed_tokens.weight
    assert model.name_or_path == str(whisper)


def test_what_the_family_asks_for_is_honoured(whisper: Path) -> None:
    with without_weights():
        family = Whisper(checkpoint=str(whisper), dropout=0.25)
        model = family.build(CORPUS, dtype=torch.bfloat16, attn_implementation="eager").model
    assert model.config.dropout == 0.25
    assert model.dtype == torch.bfloat16
    assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize("depth", [2, (2, 1)])
def test_stacks_are_shortened(whisper: Path, depth: int | tuple[int, int]) -> None:
    with without_weights(depth=depth):
        model = Whisper(checkpoint=str(whisper)).build(CORPUS).model
    encoder, decoder = depth if isinstance(depth, tuple) else (depth, depth)
    assert (len(model.model.encoder.layers), len(model.model.decoder.layers)) == (encoder, decoder)


def test_nested_configs_are_shortened() -> None:
    family = CTC(architecture="parakeet_ctc", config={"hidden_size": 16, "num_hidden_layers": 4})
    with without_weights(depth=2):
        assert len(family.build(CORPUS).model.encoder.layers) == 2
    with without_weights():
        assert len(family.build(CORPUS).model.encoder.layers) == 4  # the config itself is as it was


def test_a_family_that_calls_its_class_is_served() -> None:
    with without_weights(depth=1):
        model = Pretraining().build(CORPUS).model
    assert all(one.is_meta for one in model.parameters())
    assert len(model.wav2vec2.encoder.layers) == 1
    assert not any(one.is_meta for one in Pretraining(hidden_size=16).build(CORPUS).model.parameters())


def test_the_output_layer_of_a_base_model_is_missing(tmp_path: Path) -> None:
    folder = tiny_ctc(tmp_path)
    config = transformers.AutoConfig.from_pretrained(folder)
    for architectures, missing in ((["Wav2Vec2ForCTC"], set()), (["Wav2Vec2ForPreTraining"], {"lm_head.weight"})):
        config.architectures = architectures
        config.save_pretrained(folder)
        with without_weights():
            _, report = transformers.AutoModelForCTC.from_pretrained(folder, output_loading_info=True)
        assert {name for name in report["missing_keys"] if name.startswith("lm_head")} == missing


def test_fake_tensors_keep_ties_and_gradients(whisper: Path) -> None:
    with without_weights():
        model = Whisper(checkpoint=str(whisper)).build(CORPUS).model
    before = {name: (one.shape, one.dtype, one.requires_grad) for name, one in model.named_parameters()}
    fakify(model, FakeTensorMode())
    assert {name: (one.shape, one.dtype, one.requires_grad) for name, one in model.named_parameters()} == before
    assert all(isinstance(one, FakeTensor) for one in (*model.parameters(), *model.buffers()))
    assert model.proj_out.weight is model.model.decoder.embed_tokens.weight
