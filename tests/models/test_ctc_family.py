"""CTC architectures: random weights, vocabularies, heads that keep what they know, exact frames, freezing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCTC

from voxcli.api import Bundle, Corpus, Utterance
from voxcli.errors import ModelError
from voxcli.models.ctc import CTC
from voxcli.tasks.ctc import CTCTask

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
STACK = {"conv_dim": [16] * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
SEW = {"conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
MEL = {"num_mel_bins": 16, "subsampling_conv_channels": 8}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "wav2vec2": STACK,
    "wav2vec2-conformer": STACK,
    "wav2vec2-bert": {"feature_projection_input_dim": 32},
    "hubert": STACK,
    "wavlm": STACK,
    "data2vec-audio": STACK,
    "unispeech": STACK,
    "unispeech-sat": STACK,
    "sew": {**STACK, **SEW},
    "sew-d": {**STACK, **SEW},
    "parakeet_ctc": {**MEL, "subsampling_factor": 4},
    "lasr_ctc": MEL,
}


def family(architecture: str, **keys: Any) -> CTC:
    return CTC(architecture=architecture, config={**SMALL, **ARCHITECTURES[architecture]}, **keys)


def noise(n_samples: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(n_samples).standard_normal(n_samples)).astype(np.float32)


def frames_of(bundle: Bundle, n_samples: int) -> int:
    """What the network really answers."""
    task = CTCTask()
    item = task.features(Utterance(id="a", audio=Path("a")), noise(n_samples), bundle)
    with torch.inference_mode():
        return int(bundle.model.eval()(**task.prepared(bundle, task.collate([item], bundle))).logits.shape[1])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_from_random_weights(architecture: str, corpus: Corpus) -> None:
    made = family(architecture, freeze_feature_encoder=True, freeze_layers=1)
    bundle = made.build(corpus)
    limits = made.limits()
    assert bundle.model.config.vocab_size == 6  # blank, unknown, space, a, b, ç
    assert limits.sampling_rate == 16_000
    for n_samples in (int(limits.min_duration * 16_000), 3279, 6401, 16_000, 16_161, 40_000, 52_639):
        assert made.frames(n_samples) == frames_of(bundle, n_samples), n_samples
    least = round(limits.min_duration * 16_000)
    assert made.frames(least - 1) < made.frames(least) or made.frames(least) >= 2
    assert made.frames(160_000 + 100 * limits.stride) - made.frames(160_000) == 100
    frozen = [name for name, parameter in bundle.model.named_parameters() if not parameter.requires_grad]
    learned = [name for name, parameter in bundle.model.named_parameters() if parameter.requires_grad]
    assert any(".0." in name and "layer" in name for name in frozen)
    assert any(".1." in name and "layer" in name for name in learned)


@pytest.mark.parametrize("architecture", ["wav2vec2", "wav2vec2-bert", "parakeet_ctc"])
def test_the_shortest_clip_can_be_trained_on(architecture: str, corpus: Corpus) -> None:
    made = family(architecture, mask_time_prob=0.3)
    bundle = made.build(corpus)
    task = CTCTask()
    audio = noise(round(made.limits().min_duration * 16_000))
    item = task.features(Utterance(id="a", audio=Path("a"), text="a"), audio, bundle)
    bundle.model.train()
    total, _ = task.loss(bundle, task.collate([item], bundle))
    total.backward()
    assert torch.isfinite(total)


def test_keys_go_where_the_architecture_keeps_them(corpus: Corpus) -> None:
    made = family("parakeet_ctc", hidden_dropout=0.3, layerdrop=0.0)
    encoder = made.build(corpus).model.config.encoder_config
    assert (encoder.dropout, encoder.layerdrop, encoder.hidden_size) == (0.3, 0.0, 16)
    nested = CTC(architecture="parakeet_ctc", config={"encoder_config": {**SMALL, **MEL, "subsampling_factor": 4}})
    assert nested.build(corpus).model.config.encoder_config.hidden_size == 16


def test_a_misspelled_size_is_named(corpus: Corpus) -> None:
    with pytest.raises(ModelError, match="has no size called 'hiden_size'") as caught:
        CTC(architecture="parakeet_ctc", config={"hiden_size": 16}).limits()
    assert caught.value.help == "did you mean `hidden_size`?"


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(ModelError, match="no CTC architecture 'wav2vec3'") as caught:
        CTC(architecture="wav2vec3").limits()
    assert "did you mean `wav2vec2`?" in str(caught.value.help)


def test_dropouts_and_masks_stay_untouched_unless_set(wav2vec2_folder: Path, corpus: Corpus) -> None:
    plain = CTC(checkpoint=str(wav2vec2_folder)).build(corpus).model.config
    assert (plain.mask_time_prob, plain.attention_dropout) == (0.0, 0.1)
    changed = CTC(checkpoint=str(wav2vec2_folder), mask_time_prob=0.2, attention_dropout=0.4).build(corpus).model
    assert (changed.config.mask_time_prob, changed.config.attention_dropout) == (0.2, 0.4)
    assert hasattr(changed.wav2vec2, "masked_spec_embed")  # exists only where masks were on when the model was built


def test_the_checkpoint_s_vocabulary_is_kept(wav2vec2_folder: Path, corpus: Corpus) -> None:
    bundle = CTC(checkpoint=str(wav2vec2_folder)).build(corpus)
    original = AutoModelForCTC.from_pretrained(wav2vec2_folder)
    torch.testing.assert_close(bundle.model.lm_head.weight, original.lm_head.weight)
    assert bundle.processor.tokenizer.get_vocab()["z"] == 29


@pytest.mark.parametrize("chosen", ["data", " ABçz"])
@pytest.mark.parametrize("architecture", ["wav2vec2", "parakeet"])
def test_a_new_vocabulary_keeps_the_rows_it_knows(
    request: pytest.FixtureRequest, architecture: str, chosen: str, corpus: Corpus
) -> None:
    folder: Path = request.getfixturevalue(f"{architecture}_folder")
    bundle = CTC(checkpoint=str(folder), vocabulary=chosen).build(corpus)
    old = AutoModelForCTC.from_pretrained(folder)
    name = "lm_head" if architecture == "wav2vec2" else "ctc_head"
    before, after = getattr(old, name), getattr(bundle.model, name)
    known = json.loads((folder / "vocab.json").read_text())
    now = bundle.processor.tokenizer.get_vocab()
    same = {"data": {"a": "a", "b": "b", "|": "|"}, " ABçz": {"A": "a", "B": "b", "z": "z", "|": "|"}}[chosen]
    for token, old_token in {**same, "<pad>": "<pad>"}.items():
        torch.testing.assert_close(after.weight[now[token]], before.weight[known[old_token]])
        torch.testing.assert_close(after.bias[now[token]], before.bias[known[old_token]])
    assert after.weight.shape[0] == len(now) == bundle.model.config.vocab_size
    assert now["ç"] < after.weight.shape[0]


def test_a_checkpoint_without_transcripts_has_no_vocabulary(
    wav2vec2_folder: Path, tmp_path: Path, corpus: Corpus
) -> None:
    folder = Path(shutil.copytree(wav2vec2_folder, tmp_path / "pretrained"))
    for file in ("vocab.json", "tokenizer_config.json"):
        (folder / file).unlink()
    with pytest.raises(ModelError, match="has no vocabulary") as caught:
        CTC(checkpoint=str(folder), vocabulary="checkpoint").build(corpus)
    assert 'vocabulary = "data"' in str(caught.value.help)
    assert CTC(checkpoint=str(folder)).build(corpus).model.config.vocab_size == 6


def test_a_whisper_is_no_ctc_model(whisper_folder: Path, corpus: Corpus) -> None:
    with pytest.raises(ModelError, match="is a whisper model, which has no CTC head") as caught:
        CTC(checkpoint=str(whisper_folder)).build(corpus)
    assert 'type = "whisper"' in str(caught.value.help)


def test_findings() -> None:
    assert [finding.message for finding in CTC().findings()] == [
        "checkpoint, architecture: neither checkpoint nor architecture is set, exactly one has to be"
    ]
    both = CTC(checkpoint="a", architecture="wav2vec2", vocabulary="checkpoint", freeze_layers=2)
    assert [finding.level for finding in both.findings()] == ["error", "error", "warning"]
    assert not list(CTC(checkpoint="a").findings())


@pytest.mark.parametrize(("norm", "masked"), [("group", False), ("layer", True)])
def test_the_mask_follows_the_normalisation(norm: str, masked: bool, corpus: Corpus) -> None:
    sizes = {**SMALL, **STACK, "feat_extract_norm": norm}
    bundle = CTC(architecture="wav2vec2", config=sizes).build(corpus)
    task = CTCTask()
    items = [task.features(Utterance(id="a", audio=Path("a")), noise(n), bundle) for n in (8000, 16_000)]
    assert ("attention_mask" in task.collate(items, bundle)) is masked


def test_a_family_travels_to_workers(parakeet_folder: Path) -> None:
    import pickle

    made = CTC(checkpoint=str(parakeet_folder))
    assert made.frames(16_000) == 25
    assert pickle.loads(pickle.dumps(made)) == made
