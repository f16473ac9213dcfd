"""Dropouts and layer drop: one table of names for every architecture, and an error for what a model lacks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_CTC_MAPPING_NAMES

from voxcli.api import Corpus
from voxcli.errors import ModelError
from voxcli.models import dropouts
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

RECIPE = """\
[[data]]
type = "manifest"
path = "data/manifest.csv"

[model]
type = "ctc"
checkpoint = "base"
"""
OFFERED = [name for name in dropouts.DROPOUTS if name in CTC.__dataclass_fields__]


@pytest.mark.parametrize("architecture", MODEL_FOR_CTC_MAPPING_NAMES)
def test_each_key_reaches_the_code_of_the_architecture_or_is_refused(architecture: str) -> None:
    source = inspect.getsource(inspect.getmodule(getattr(transformers, MODEL_FOR_CTC_MAPPING_NAMES[architecture])))
    config = transformers.AutoConfig.for_model(architecture)
    known = dropouts.present(config)
    assert "attention_dropout" in known
    for key in OFFERED:
        if key not in known:
            with pytest.raises(ModelError, match=f"{key} is set, and x has none"):
                dropouts.apply(config, {key: 0.25}, "x")
            continue
        before = config.to_json_string()
        dropouts.apply(config, {key: 0.25}, "x")
        assert config.to_json_string() != before
        assert any(f"config.{name}" in source for name in (key, *dropouts.DROPOUTS[key])), key


def test_a_whisper_takes_the_names_of_others_too(whisper_folder: Path, corpus: Corpus) -> None:
    made = Whisper(checkpoint=str(whisper_folder), language="tr", dropout=0.2, decoder_layerdrop=0.5).build(corpus)
    encoder = made.model.model.encoder
    assert (encoder.layers[0].dropout, made.model.config.dropout) == (0.2, 0.2)
    assert made.model.model.decoder.layerdrop == 0.5
    config = transformers.AutoConfig.from_pretrained(whisper_folder)
    dropouts.apply(config, {"hidden_dropout": 0.3}, "x")
    assert config.dropout == 0.3


def test_layers_are_dropped_in_training_only(whisper_folder: Path, corpus: Corpus) -> None:
    made = Whisper(checkpoint=str(whisper_folder), language="tr", decoder_layerdrop=0.9).build(corpus)
    tokens, mel = torch.tensor([[3, 4, 5]]), torch.zeros(1, 16, 300)
    torch.manual_seed(0)
    with torch.no_grad():
        outcomes = {mode: set() for mode in (True, False)}
        for mode, seen in outcomes.items():
            made.model.train(mode)
            for _ in range(12):
                seen.add(round(float(made.model(input_features=mel, decoder_input_ids=tokens).logits.sum()), 4))
    assert len(outcomes[False]) == 1
    assert len(outcomes[True]) > 1


def test_a_key_that_the_model_lacks_is_told_on_the_screen(vox_project: Callable[..., Project]) -> None:
    project = vox_project()
    project.speech()
    tiny_ctc(project.path / "base", architecture="parakeet_ctc")
    keys = {"model.feat_proj_dropout": 0.1, "train.max_steps": 1, "train.batch_duration": 4.0}
    said = [f"{name}={value}" for name, value in keys.items()]
    project.write({"r.toml": RECIPE})
    result = project.run("train", "r.toml", *said, "--dry-run").assert_code(1)
    assert "feat_proj_dropout is set, and" in result.err
    assert "has none" in result.err
    assert "it has activation_dropout, attention_dropout, dropout, hidden_dropout, layerdrop" in result.err


def test_both_halves_of_an_encoder_decoder() -> None:
    encoder, decoder = transformers.Wav2Vec2Config(), transformers.BartConfig()
    both = transformers.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    dropouts.apply(both, {"attention_dropout": 0.3, "layerdrop": 0.2, "decoder_layerdrop": 0.4}, "x")
    assert (both.encoder.attention_dropout, both.decoder.attention_dropout) == (0.3, 0.3)
    assert (both.encoder.layerdrop, both.decoder.decoder_layerdrop) == (0.2, 0.4)
    dropouts.apply(both, {"hidden_dropout": 0.6}, "x")
    assert (both.encoder.hidden_dropout, both.decoder.dropout) == (0.6, 0.6)


@pytest.mark.parametrize("value", [1.0, -0.1, 10.0])
def test_a_share_that_is_none(value: float) -> None:
    with pytest.raises(ModelError, match="expected a share"):
        dropouts.apply(transformers.Wav2Vec2Config(), {"layerdrop": value}, "x")
