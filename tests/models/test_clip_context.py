"""Whisper at the clip's own length: the same mel, the same network, an ordinary checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperForConditionalGeneration

from voxcli.api import Bundle, Corpus, Decoding, Utterance
from voxcli.models import clip_context
from voxcli.models.whisper import Whisper
from voxcli.tasks.seq2seq import Seq2Seq

RATE = 16_000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture
def clip(whisper_folder: Path, corpus: Corpus) -> Bundle:
    return Whisper(checkpoint=str(whisper_folder), language="tr", encoder_context="clip").build(corpus)


@pytest.fixture
def window(whisper_folder: Path, corpus: Corpus) -> Bundle:
    return Whisper(checkpoint=str(whisper_folder), language="tr").build(corpus)


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0.05, 100), (0.5, 100), (0.61, 112), (1.0, 150), (2.49, 300), (2.9, 300), (3.0, 300)]
)
def test_the_encoder_sees_the_clip_and_half_a_second(clip: Bundle, seconds: float, frames: int) -> None:
    mel = clip.family.features(noise(seconds), clip.processor)  # type: ignore[attr-defined]
    assert mel.shape == (16, frames)
    shown = clip.family.padded_duration(seconds, window=3.0)  # type: ignore[attr-defined]
    assert shown == pytest.approx(frames / 100, abs=0.011)


def test_mel_of_the_clip_is_the_beginning_of_the_window_s(clip: Bundle, window: Bundle) -> None:
    audio = noise(1.0)
    short = clip.family.features(audio, clip.processor)  # type: ignore[attr-defined]
    long = window.family.features(audio, window.processor)  # type: ignore[attr-defined]
    np.testing.assert_allclose(short, long[:, : short.shape[1]], atol=1e-5)
    # what pads a batch is what pads the window
    stacked = clip_context.stack([short, clip.family.features(noise(2.5), clip.processor)])  # type: ignore[attr-defined]
    np.testing.assert_allclose(stacked[0], long[:, : stacked.shape[2]], atol=1e-5)


def test_at_full_length_it_is_whisper(clip: Bundle, window: Bundle) -> None:
    mel = torch.from_numpy(window.family.features(noise(3.0), window.processor))[None]  # type: ignore[attr-defined]
    ids = torch.tensor([[257, 267, 358, 362, 71]])
    clip.model.eval(), window.model.eval()
    with torch.inference_mode():
        same = clip.model(input_features=mel, decoder_input_ids=ids).logits
        expected = window.model(input_features=mel, decoder_input_ids=ids).logits
    torch.testing.assert_close(same, expected)


def test_a_short_clip_depends_on_the_first_positions_only(clip: Bundle) -> None:
    mel = torch.from_numpy(clip.family.features(noise(1.0), clip.processor))[None]  # type: ignore[attr-defined]
    clip.model.eval()
    encoder = clip.model.model.encoder
    with torch.inference_mode():
        before = encoder(mel).last_hidden_state
        encoder.embed_positions.weight[75:] = 9.0  # 150 mel frames are 75 positions
        assert torch.equal(encoder(mel).last_hidden_state, before)
        encoder.embed_positions.weight[74] = 9.0
        assert not torch.equal(encoder(mel).last_hidden_state, before)
    assert before.shape == (1, 75, 16)


@pytest.mark.parametrize("num_beams", [1, 2])
@pytest.mark.parametrize("timestamps", ["none", "segment", "word"])
def test_generation_at_clip_length(clip: Bundle, num_beams: int, timestamps: str) -> None:
    """The encoder never runs at the window's length, and a clip decodes alone as in a batch of its length."""
    seen: list[int] = []
    clip.model.model.encoder.conv1.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[-1]))
    task = Seq2Seq()
    decoding = Decoding(num_beams=num_beams, timestamps=timestamps, max_new_tokens=10)  # type: ignore[arg-type]
    items = [task.features(Utterance(id="a", audio=Path("a")), noise(1.0, seed), clip) for seed in (0, 1)]
    both = task.predict(clip, task.collate(items, clip), decoding)
    assert seen
    assert max(seen) == 150
    alone = task.predict(clip, task.collate(items[1:], clip), decoding)
    assert alone[0].text == both[1].text
    assert all(one.language == "tr" and one.duration == 1.0 for one in both)


def test_the_checkpoint_stays_an_ordinary_one(clip: Bundle, tmp_path: Path) -> None:
    clip.model.save_pretrained(tmp_path)
    again, report = WhisperForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert again.config.architectures == ["WhisperForConditionalGeneration"]
    assert again.config.max_source_positions == 150
    again.generate(torch.zeros(1, 16, 300), max_new_tokens=2)


def test_training_at_clip_length_reaches_the_encoder(clip: Bundle) -> None:
    task = Seq2Seq()
    utterance = Utterance(id="a", audio=Path("a"), text="ab", duration=1.0)
    clip.model.train()
    total, count = task.loss(clip, task.collate([task.features(utterance, noise(1.0), clip)], clip))
    (total / count).backward()
    assert clip.model.model.encoder.conv1.weight.grad.abs().sum() > 0
