"""`[adapter]`: every key of peft.LoraConfig is one of ours or left out for a reason, and does what it says."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from peft import LoraConfig
from tiny_bundles import batch_of, family_of
from transformers import AutoConfig, AutoModelForCTC, BitsAndBytesConfig

from voxcli.api import Bundle, Corpus
from voxcli.errors import ModelError
from voxcli.models.checkpoint import quietly
from voxcli.models.open import open_model
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing_models import tiny_ctc, tiny_whisper
from voxcli.train import lora, quantized
from voxcli.train.loading import build, dress, save_pretrained

CORPUS = Corpus(characters=" ab", labels=(), n_utterances=2, duration=2.0)
INT8, NF4 = Quantization(load_in_8bit=True), Quantization(load_in_4bit=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    made = {"whisper": tiny_whisper(root / "whisper"), "wav2vec2": tiny_ctc(root / "wav2vec2")}
    wavlm = tiny_ctc(root / "wavlm")
    own = json.loads((wavlm / "config.json").read_text())
    sizes = {name: one for name, one in own.items() if name not in ("model_type", "architectures", "dtype")}
    with quietly():
        AutoModelForCTC.from_config(AutoConfig.for_model("wavlm", **sizes)).save_pretrained(wavlm)
    return {**made, "wavlm": wavlm}


def logits(bundle: Bundle, task: Any, batch: dict[str, Any]) -> torch.Tensor:
    bundle.model.eval()
    names = ("input_features", "decoder_input_ids") if isinstance(task, Seq2Seq) else ()
    with torch.no_grad():
        made: torch.Tensor = bundle.model(**({n: batch[n] for n in names} or task.prepared(bundle, batch))).logits
    return made


def learned(bundle: Bundle) -> list[str]:
    return [name for name, one in bundle.model.named_parameters() if one.requires_grad]


def test_every_key_of_lora_is_a_key_or_left_out_for_a_reason() -> None:
    theirs = {one.name for one in dataclasses.fields(LoraConfig)}
    ours = {one.name for one in dataclasses.fields(Adapter)} - {"type", "language", "adapter_attn_dim"}
    assert ours <= theirs
    assert theirs - ours == set(lora.LEFT_OUT) & theirs
    assert not ours & set(lora.LEFT_OUT)


def test_every_key_of_bitsandbytes_is_a_key_or_left_out_for_a_reason() -> None:
    theirs = set(inspect.signature(BitsAndBytesConfig.__init__).parameters) - {"self", "kwargs"}
    ours = {one.name for one in dataclasses.fields(Quantization)}
    assert ours <= theirs
    assert theirs - ours == set(quantized.LEFT_OUT) & theirs


KEYS: list[tuple[str, dict[str, Any], str, str]] = [
    # model, keys, a layer that is learned, one that is not
    ("whisper", {}, "decoder.layers.1.encoder_attn.v_proj", "k_proj"),
    ("whisper", {"target_modules": ("fc1", "self_attn.out_proj")}, "self_attn.out_proj", "encoder_attn.out_proj"),
    ("whisper", {"target_modules": r".*decoder.*fc1"}, "decoder.layers.0.fc1", "encoder.layers"),
    ("whisper", {"target_modules": "all-linear"}, "encoder.layers.0.fc2", "proj_out"),
    ("wav2vec2", {"target_modules": "all-linear"}, "feed_forward.output_dense", "feature_extractor"),
    ("whisper", {"exclude_modules": ("encoder_attn.q_proj",)}, "encoder_attn.v_proj", "encoder_attn.q_proj"),
    ("whisper", {"exclude_modules": r".*decoder.*"}, "encoder.layers.0.self_attn.q_proj", "decoder"),
    ("whisper", {"layers_to_transform": (1,)}, "encoder.layers.1", "layers.0"),
    ("wav2vec2", {"layers_to_transform": (1,), "layers_pattern": "layers"}, "layers.1", "layers.0"),
    ("whisper", {"bias": "all"}, "layer_norm.bias", "layer_norm.weight"),
    ("whisper", {"bias": "lora_only"}, "q_proj.base_layer.bias", "layer_norm"),
    ("wav2vec2", {"lora_bias": True}, "lora_B.default.bias", "lora_A.default.bias"),
    ("wav2vec2", {"modules_to_save": ()}, "q_proj", "lm_head"),
    ("wav2vec2", {}, "lm_head", "feature_projection"),
    ("whisper", {"modules_to_save": ("proj_out",)}, "proj_out", "embed_tokens.modules"),
    ("whisper", {"modules_to_save": ("embed_tokens",), "ensure_weight_tying": True}, "embed_tokens", "fc1"),
    ("whisper", {"trainable_token_indices": (1, 2)}, "embed_tokens", "fc1"),
    ("whisper", {"init_lora_weights": "gaussian"}, "q_proj", "fc1"),
    ("whisper", {"init_lora_weights": "orthogonal", "use_dora": True}, "lora_magnitude_vector", "fc1"),
    ("whisper", {"init_lora_weights": "pissa"}, "q_proj", "fc1"),
    ("wav2vec2", {"init_lora_weights": "olora", "use_rslora": True}, "q_proj", "k_proj"),
    ("wav2vec2", {"init_lora_weights": False}, "q_proj", "k_proj"),
    ("whisper", {"rank_pattern": {".*decoder.*": 2}}, "q_proj", "fc1"),
]


@pytest.mark.parametrize(("name", "keys", "yes", "no"), KEYS, ids=lambda one: str(one)[:50])
def test_a_key_does_what_it_says_and_the_adapter_opens_again(
    folders: dict[str, Path], tmp_path: Path, name: str, keys: dict[str, Any], yes: str, no: str
) -> None:
    family, task = family_of(folders, name)
    bundle = build(family, CORPUS, adapter=Adapter(**{"r": 4, **keys}), seed=3)
    names = learned(bundle)
    assert any(yes in one for one in names)
    assert not any(no in one for one in names)
    batch = batch_of(bundle, task)
    moving = torch.optim.SGD([one for one in bundle.model.parameters() if one.requires_grad], lr=0.5)
    for _ in range(2):
        total, count = task.loss(bundle, batch)
        (total / count).backward()
        moving.step()
    wanted = logits(bundle, task, batch)
    save_pretrained(bundle, tmp_path)
    found = logits(open_model(tmp_path, device="cpu").bundle, task, batch)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def test_patterns_decide_rank_and_scale(folders: dict[str, Path]) -> None:
    adapter = Adapter(r=4, lora_alpha=8, rank_pattern={".*decoder.*": 2}, alpha_pattern={".*decoder.*": 16})
    model: Any = build(family_of(folders, "whisper")[0], CORPUS, adapter=adapter).model.get_base_model().model
    inside, outside = model.decoder.layers[0].self_attn.q_proj, model.encoder.layers[0].self_attn.q_proj
    assert (inside.lora_A["default"].weight.shape[0], inside.scaling["default"]) == (2, 8.0)
    assert (outside.lora_A["default"].weight.shape[0], outside.scaling["default"]) == (4, 2.0)


def test_what_is_excluded_adds_to_what_is_frozen(folders: dict[str, Path]) -> None:
    for excluded in (("encoder_attn.q_proj",), r".*encoder_attn\.q_proj"):
        family, _ = family_of(folders, "whisper", freeze_encoder=True)
        names = learned(build(family, CORPUS, adapter=Adapter(r=4, exclude_modules=excluded)))
        assert names
        assert all("model.decoder." in one and "encoder_attn.q_proj" not in one for one in names)


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("whisper", {"target_modules": ("conv1",)}, "would go into convolutions"),
        ("whisper", {"target_modules": ("decoder.q_proj",)}, "no layer called decoder.q_proj"),
        ("whisper", {"target_modules": r"nothing.*"}, "does not fit WhisperForConditionalGeneration"),
        ("whisper", {"modules_to_save": ("lm_head",)}, "no layer called lm_head"),
        ("wav2vec2", {"trainable_token_indices": (1,)}, "does not fit Wav2Vec2ForCTC"),
        ("wavlm", {"target_modules": ("q_proj",)}, "would learn nothing"),
    ],
)  # fmt: skip
def test_an_adapter_that_does_not_fit_is_named(
    folders: dict[str, Path], name: str, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        build(family_of(folders, name)[0], CORPUS, adapter=Adapter(r=4, **keys))
    assert caught.value.help


@pytest.mark.parametrize("targets", [None, "all-linear"])
@pytest.mark.parametrize("quantization", [None, INT8, NF4], ids=["float", "int8", "nf4"])
def test_layers_of_wavlm_that_are_never_called_get_no_adapter_and_keep_their_bits(
    folders: dict[str, Path], targets: str | None, quantization: Quantization | None
) -> None:
    family, task = family_of(folders, "wavlm")
    bundle = build(family, CORPUS, adapter=Adapter(r=4, target_modules=targets), quantization=quantization, seed=1)
    for name, one in bundle.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(one)
    total, count = task.loss(bundle, batch_of(bundle, task))
    (total / count).backward()
    assert not any(".attention." in name and "gru_rel_pos" not in name for name in learned(bundle))
    still = [n for n, p in bundle.model.named_parameters() if p.requires_grad and not float(p.grad.abs().sum())]  # type: ignore[union-attr]
    assert not still, "every weight of the adapter is learned"
    kinds = {type(module).__name__ for module in bundle.model.modules()}
    assert ({"Linear8bitLt", "Linear4bit"} & kinds) == (set() if quantization is None else {_kind(quantization)})


def test_checkpointing_over_int8_where_layers_hand_a_tensor_on_by_keyword(folders: dict[str, Path]) -> None:
    """WavLM's position bias goes from layer to layer: re-entrant checkpointing would run back into itself."""
    family, task = family_of(folders, "wavlm")
    found = []
    for checkpointing in (False, True):
        train = Train(gradient_checkpointing=checkpointing)
        bundle = build(family, CORPUS, train=train, adapter=Adapter(r=4, bias="none"), quantization=INT8, seed=1)
        bundle.model.get_base_model().wavlm.encoder.layers[0].attention.rel_attn_embed.requires_grad_(True)  # type: ignore[operator]
        total, count = task.loss(bundle, batch_of(bundle, task))
        (total / count).backward()
        found.append({n: p.grad for n, p in bundle.model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert any("rel_attn_embed" in name for name in found[0])
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def _kind(quantization: Quantization) -> str:
    return "Linear8bitLt" if quantization.load_in_8bit else "Linear4bit"


class Tones(CTCTask):
    """A task of a plugin that trains another layer besides."""

    trained_with_adapter: ClassVar[tuple[str, ...]] = ("intermediate_dense", "classifier")


def test_what_is_trained_besides_is_the_tasks(folders: dict[str, Path]) -> None:
    """Also over a quantised base: what is trained is never quantised."""
    family, _ = family_of(folders, "wav2vec2")
    bundle = build(family, CORPUS, adapter=Adapter(r=4), quantization=INT8, task=Tones())
    besides = [name for name in learned(bundle) if "lora" not in name]
    assert besides
    assert all("intermediate_dense" in name for name in besides)
    other = build(family, CORPUS, adapter=Adapter(r=4, modules_to_save=("output_dense",)), quantization=INT8)
    besides = [name for name in learned(other) if "lora" not in name]
    assert besides
    assert all("output_dense" in name for name in besides), "what the recipe names takes their place"


def test_layers_that_keep_their_bits(folders: dict[str, Path]) -> None:
    for width in ({"load_in_8bit": True}, {"load_in_4bit": True}):
        quantization = Quantization(**width, llm_int8_skip_modules=("out_proj",))
        family, _ = family_of(folders, "whisper")
        layer = build(family, CORPUS, adapter=Adapter(r=4), quantization=quantization).model.model.model.encoder.layers[
            0
        ]
        assert type(layer.self_attn.out_proj) is torch.nn.Linear
        assert type(layer.self_attn.k_proj).__name__ == _kind(quantization)


@pytest.mark.parametrize("keys", [{}, {"use_dora": True}, {"init_lora_weights": "pissa"}], ids=str)
def test_a_model_without_weights_is_dressed_in_the_same_shapes(folders: dict[str, Path], keys: dict[str, Any]) -> None:
    """As the memory of a step is counted: on the meta device, where no value can be read."""
    family, _ = family_of(folders, "whisper")
    train = Train(gradient_checkpointing=True, mixed_precision="bf16", frozen_dtype="bfloat16")
    real = build(family, CORPUS, train=train, adapter=Adapter(r=4, **keys))
    bare = family.build(CORPUS)
    bare.model.to("meta").tie_weights()
    shapes = dress(bare, family, train=train, adapter=Adapter(r=4, **keys))
    assert _shapes(shapes.model) == _shapes(real.model)
    assert {one.device.type for one in shapes.model.parameters()} == {"meta"}


def _shapes(model: torch.nn.Module) -> dict[str, tuple[Any, ...]]:
    return {name: (one.shape, one.dtype, one.requires_grad) for name, one in model.named_parameters()}
