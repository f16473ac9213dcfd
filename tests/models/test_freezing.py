"""Groups of parameters are found in every architecture, frozen, thawed, and named in the error where there are none."""

from __future__ import annotations

import pytest
import torch
import transformers

from voxcli.errors import ModelError
from voxcli.models.freezing import freeze, freeze_feature_encoder, freeze_layers, groups_of, thaw

SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
CONVOLUTIONS = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}


def classifier(kind: str) -> torch.nn.Module:
    sizes = SMALL
    if kind == "whisper":
        sizes = {"d_model": 16, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
    elif kind.startswith("sew"):
        sizes = SMALL | {"squeeze_factor": 1}
    elif kind not in ("audio-spectrogram-transformer", "wav2vec2-bert"):
        sizes = SMALL | CONVOLUTIONS
    with torch.device("meta"):
        config = transformers.AutoConfig.for_model(kind, **sizes)
        return transformers.AutoModelForAudioClassification.from_config(config)


def trained(model: torch.nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("kind", "front"),
    [
        ("audio-spectrogram-transformer", "patch_embeddings"),
        ("whisper", "encoder.conv"),
        ("wav2vec2-bert", "feature_projection"),
        ("wav2vec2", "feature_extractor"),
        ("data2vec-audio", "feature_extractor"),
        ("sew-d", "feature_extractor"),
        ("wavlm", "feature_extractor"),
    ],
)
def test_every_architecture_has_its_parts(kind: str, front: str) -> None:
    model = classifier(kind)
    every = trained(model)
    assert {"feature_encoder", "embeddings", "encoder", "encoder.layers.0-2", "head"} <= set(groups_of(model))

    gone = freeze(model, ["feature_encoder"])
    assert gone
    assert all(front in name for name in gone)
    assert {name for name in every if front in name} == set(gone)
    layers = freeze(model, ["encoder.layers.0-1"])
    assert layers
    assert all(any(part in name for part in (".0.", ".1.")) for name in layers)
    assert not [name for name in trained(model) if ("layers.1." in name or "layer.1." in name) and "conv" not in name]
    assert [name for name in trained(model) if "layers.2." in name or "layer.2." in name]

    freeze(model, ["all_but_head"])
    assert trained(model) == {name for name in every if name.startswith(("projector.", "classifier."))}
    thaw(model, gone + layers)
    assert set(gone + layers) <= trained(model)


def test_convolutions_that_are_frozen_keep_no_activations() -> None:
    model = classifier("wav2vec2")
    assert model.wav2vec2.feature_extractor._requires_grad
    names = freeze(model, ["encoder"])
    assert not model.wav2vec2.feature_extractor._requires_grad
    thaw(model, names)
    assert model.wav2vec2.feature_extractor._requires_grad


def test_a_part_that_is_not_there_is_named_with_those_that_are() -> None:
    model = classifier("wav2vec2")
    with pytest.raises(ModelError, match="no part is called 'encodr' in a wav2vec2 model") as wrong:
        freeze(model, ["encodr"])
    assert wrong.value.help is not None
    assert wrong.value.help.startswith("did you mean `encoder`? its groups: feature_encoder, feature_projection,")
    for group, message in [
        ("decoder", "no part is called 'decoder'"),
        ("encoder.layers.2-3", "the encoder has the layers 0-2"),
        ("*.nothing.*", "no parameter matches"),
    ]:
        with pytest.raises(ModelError, match=message):
            freeze(model, [group])
    assert freeze(model, ["*.attention.*"])
    assert not [name for name in trained(model) if "attention" in name]


def test_the_keys_of_the_families_freeze_the_same_parts() -> None:
    model = classifier("whisper")
    assert freeze_feature_encoder(model) == "convolutions"
    freeze_layers(model, 2)
    assert not [name for name in trained(model) if "conv" in name or ".layers.1." in name]
    with pytest.raises(ModelError, match="freeze_layers is 4, the model has 3 layers"):
        freeze_layers(model, 4)


def test_adapters_of_peft_are_looked_into() -> None:
    import peft

    sizes = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
    whisper = transformers.WhisperForAudioClassification(transformers.WhisperConfig(**sizes))
    model = peft.get_peft_model(
        whisper, peft.LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["classifier"])
    )
    gone = freeze(model, ["encoder.layers.0"])
    assert gone
    assert all("layers.0" in name and "lora_" in name for name in gone)
    assert all("layers.1" in name or "classifier" in name for name in trained(model))
