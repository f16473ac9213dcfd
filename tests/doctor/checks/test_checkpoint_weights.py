"""Headers and values of weights, as the checks of checkpoints read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from voxcli.doctor.checkpoint.adapter_parts import parts, targets_nothing, weight_of
from voxcli.doctor.checkpoint.vocabulary import language_word, special, vocabulary_of
from voxcli.doctor.checkpoint.weights import Weights, header


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_values_that_are_no_numbers_are_counted_in_every_type(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.linspace(-3, 3, 12).reshape(3, 4).to(dtype)
    broken = tensor.clone()
    broken[0, 0], broken[1, 2], broken[2, 3] = float("nan"), float("inf"), -float("inf")
    save_file({"whole": tensor, "broken": broken, "empty": torch.zeros(0, dtype=dtype)}, tmp_path / "model.safetensors")
    found = Weights.of(tmp_path).tensors
    assert {name: one.broken() for name, one in found.items()} == {"whole": 0, "broken": 3, "empty": 0}
    np.testing.assert_allclose(found["whole"].values(), tensor.float().numpy())
    assert found["empty"].values().shape == (0,)


def test_whole_numbers_are_not_read(tmp_path: Path) -> None:
    save_file({"steps": torch.tensor(3)}, tmp_path / "model.safetensors")
    assert not Weights.of(tmp_path).tensors["steps"].floating


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cut off within its header"),
        (b"\x80\x04\x95pickle", "no safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ((4).to_bytes(8, "little") + b"{]{]", "header cannot be read"),
        ((2).to_bytes(8, "little") + b"[]", "header cannot be read"),
    ],
)
def test_a_damaged_file_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        header(tmp_path / "model.safetensors")
    (damage,) = Weights.of(tmp_path).damaged
    assert reason in damage.reason


def test_a_whole_set_of_shards_is_one_model(tmp_path: Path) -> None:
    for number in (1, 2):
        save_file({f"layer{number}": torch.ones(2)}, tmp_path / f"model-{number}.safetensors")
    index = {"weight_map": {f"layer{number}": f"model-{number}.safetensors" for number in (1, 2)}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    found = Weights.of(tmp_path)
    assert (sorted(found.tensors), found.damaged) == (["layer1", "layer2"], ())
    (tmp_path / "model.safetensors.index.json").write_text("{")
    assert Weights.of(tmp_path).damaged


def test_the_parts_of_an_adapter(tmp_path: Path) -> None:
    tensors = {
        "base_model.model.encoder.q_proj.lora_A.weight": torch.ones(2, 6),
        "base_model.model.encoder.q_proj.lora_B.weight": torch.ones(4, 2),
        "base_model.model.embed.lora_embedding_A": torch.ones(2, 9),
        "base_model.model.embed.lora_embedding_B": torch.ones(4, 2),
        "base_model.model.lm_head.weight": torch.ones(5, 4),
    }
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    found = parts(Weights.of(tmp_path).tensors)
    assert sorted((one.module, one.n_in, one.n_out) for one in found) == [("embed", 9, 4), ("encoder.q_proj", 6, 4)]
    embedding, linear = sorted(found, key=lambda one: one.module)
    assert [embedding.fits((9, 4)), linear.fits((4, 6)), linear.fits((8, 6))] == [True, True, False]
    assert embedding.added({"lora_alpha": 4}) is None
    added = linear.added({"lora_alpha": 4})
    assert added is not None
    assert added.tolist() == (2 * 2 * np.ones((4, 6))).tolist()
    assert linear.scale({"lora_alpha": 8, "use_rslora": True}) == pytest.approx(8 / 2**0.5)
    assert linear.scale({"lora_alpha": 8, "alpha_pattern": {"q_proj": 16}}) == 8.0
    assert linear.scale({"lora_alpha": 8, "alpha_pattern": {"k_proj": 16}}) == 4.0


def test_a_layer_is_found_in_the_file_of_a_model_without_its_head(tmp_path: Path) -> None:
    save_file({"encoder.fc.weight": torch.ones(1)}, tmp_path / "model.safetensors")
    tensors = Weights.of(tmp_path).tensors
    assert weight_of("wav2vec2.encoder.fc", tensors) is tensors["encoder.fc.weight"]
    assert weight_of("wav2vec2.decoder.fc", tensors) is None


def test_targets_that_match_nothing() -> None:
    names = ["model.encoder.layers.0.self_attn.q_proj.weight"]
    assert targets_nothing({"target_modules": ["q_proj", "gone"]}, names) is None
    assert targets_nothing({"target_modules": ["query"]}, names) == "query"
    assert targets_nothing({"target_modules": r".*\.q_proj"}, names) is None
    assert targets_nothing({"target_modules": r"decoder.*"}, names) == "'decoder.*'"
    assert targets_nothing({"target_modules": "all-linear"}, names) is None


def test_vocabularies_of_every_form(tmp_path: Path) -> None:
    assert vocabulary_of(tmp_path, {}) is None
    (tmp_path / "vocab.json").write_text(json.dumps({"tur": {"a": 0}, "eng": {"b": 0, "c": 1}}))
    assert vocabulary_of(tmp_path, {}) is None
    assert vocabulary_of(tmp_path, {"target_lang": "eng"}) == {"b": 0, "c": 1}
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0}))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"</s>": 2}))
    settings = {"added_tokens_decoder": {"1": {"content": "<s>"}}, "pad_token": {"content": "<pad>"}}
    assert vocabulary_of(tmp_path, settings) == {"a": 0, "<s>": 1, "</s>": 2}
    assert special(settings, "pad_token") == "<pad>"
    unigram = {"model": {"vocab": [["x", -1.0], ["y", -2.0]]}, "added_tokens": [{"id": 2, "content": "<z>"}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(unigram))
    assert vocabulary_of(tmp_path, {}) == {"x": 0, "y": 1, "<z>": 2}


def test_a_language_has_many_names() -> None:
    assert {language_word(word) for word in ("Turkish", "tr", "<|tr|>")} == {"tr"}
