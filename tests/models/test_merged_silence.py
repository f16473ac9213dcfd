"""Whisper with the silence behind a clip merged: the window's result, for the price of a few positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from voxcli.api import Bundle, Corpus, Decoding, Utterance
from voxcli.errors import ModelError
from voxcli.models import merged_silence
from voxcli.models.whisper import Whisper
from voxcli.tasks.seq2seq import Seq2Seq

RATE = 16_000
WINDOW = 150  # positions of the small model's 3 s
IDS = torch.tensor([[257, 267, 358, 362, 71]])


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def built(folder: Path, corpus: Corpus, context: str, **loading: Any) -> Bundle:
    bundle = Whisper(checkpoint=str(folder), language="tr", encoder_context=context).build(corpus, **loading)  # type: ignore[arg-type]
    bundle.model.eval()
    return bundle


@pytest.fixture
def merged(whisper_folder: Path, corpus: Corpus) -> Bundle:
    return built(whisper_folder, corpus, "merged")


@pytest.mark.parametrize("window", [10, 150, 1500])
def test_every_position_is_stood_for_once(window: int) -> None:
    behind = merged_silence.count(window)
    for clip in {1, window // 60 + 1, window // 2, window - 2 * behind, window - behind - 1}:
        numbers = merged_silence.numbers(clip + behind, window)
        assert len(numbers) == clip + behind
        assert sum(numbers) == window
        assert numbers[:clip] == [1] * clip
        assert max(numbers[clip:]) - min(numbers[clip:]) <= 1
    assert merged_silence.numbers(window, window) == [1] * window


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_what_is_alike_is_merged_without_a_difference(whisper_folder: Path, corpus: Corpus, attention: str) -> None:
    """Positions that differ in nothing go through every layer alike, so one with their weight stands for them all."""
    models = [built(whisper_folder, corpus, name, attn_implementation=attention) for name in ("window", "merged")]
    mel = torch.rand(2, 16, 100, generator=torch.Generator().manual_seed(0))
    mel[:, :, 60:] = 0.0  # silence is what the convolutions are padded with, too
    logits = []
    for bundle in models:
        bundle.model.model.encoder.embed_positions.weight.data[50:] = 0.3
        given = torch.nn.functional.pad(mel, (0, 200)) if bundle is models[0] else mel
        with torch.inference_mode():
            logits.append(bundle.model(input_features=given, decoder_input_ids=IDS.expand(2, -1)).logits)
            assert bundle.model.model.encoder(given).last_hidden_state.shape[1] == (150 if bundle is models[0] else 60)
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-4, atol=1e-5)
    assert (logits[0] - logits[0].roll(1, 1)).abs().max() > 1e-3


@pytest.mark.parametrize("seconds", [2.4, 2.8, 3.0])
def test_a_clip_that_nearly_fills_the_window_is_whisper_s(whisper_folder: Path, corpus: Corpus, seconds: float) -> None:
    window, merged = (built(whisper_folder, corpus, name) for name in ("window", "merged"))
    features = [b.family.features(noise(seconds), b.processor) for b in (window, merged)]  # type: ignore[attr-defined]
    with torch.inference_mode():
        expected, found = (
            bundle.model(input_features=torch.from_numpy(mel)[None], decoder_input_ids=IDS).logits
            for bundle, mel in zip((window, merged), features, strict=True)
        )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_encoder_pays_for_the_clip_and_the_merged_positions(merged: Bundle) -> None:
    mel = torch.from_numpy(merged.family.features(noise(1.0), merged.processor))[None]  # type: ignore[attr-defined]
    states = merged.model.model.encoder(mel).last_hidden_state
    assert mel.shape[-1] == 150
    assert states.shape[1] == 75 + 10
    assert merged.family.padded_duration(1.0, window=3.0) == pytest.approx(85 / 50)  # type: ignore[attr-defined]
    assert merged.family.padded_duration(2.9, window=3.0) == 3.0  # type: ignore[attr-defined]


@pytest.mark.parametrize("num_beams", [1, 2])
@pytest.mark.parametrize("timestamps", ["none", "segment", "word"])
def test_generation(merged: Bundle, num_beams: int, timestamps: str) -> None:
    task = Seq2Seq()
    decoding = Decoding(num_beams=num_beams, timestamps=timestamps, max_new_tokens=10)  # type: ignore[arg-type]
    items = [task.features(Utterance(id="a", audio=Path("a")), noise(1.0, seed), merged) for seed in (0, 1)]
    both = task.predict(merged, task.collate(items, merged), decoding)
    alone = task.predict(merged, task.collate(items[1:], merged), decoding)
    assert alone[0].text == both[1].text
    for one in both:
        assert all(0.0 <= word.start <= word.end <= 1.0 for segment in one.segments for word in segment.words)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_training_reaches_the_encoder(merged: Bundle, precision: torch.dtype | None) -> None:
    task = Seq2Seq()
    utterance = Utterance(id="a", audio=Path("a"), text="ab", duration=1.0)
    merged.model.train()
    with torch.autocast("cpu", dtype=precision, enabled=precision is not None):
        total, count = task.loss(merged, task.collate([task.features(utterance, noise(1.0), merged)], merged))
    (total / count).backward()
    assert merged.model.model.encoder.conv1.weight.grad.abs().sum() > 0


def test_attention_that_takes_no_weights_is_refused(whisper_folder: Path, corpus: Corpus) -> None:
    with pytest.raises(ModelError, match="the attention flash_attention_2 cannot") as raised:
        built(whisper_folder, corpus, "merged", attn_implementation="flash_attention_2")
    assert "sdpa" in (raised.value.help or "")
