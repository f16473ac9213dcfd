"""Hidden states and x-vectors against the models that they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForXVector

from voxcli.errors import DataError, ModelError, UsageError
from voxcli.features.embedding import Embedder, embedder
from voxcli.features.heard import sentence
from voxcli.testing_models import tiny_ctc, tiny_whisper

AUDIO = (0.1 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(tmp_path_factory.mktemp("models") / "wav2vec2")


def opened(folder: Path, *, layer: int | None = None, mean: bool = True, window: float = 30.0) -> Embedder:
    return embedder(str(folder), x_vector=False, layer=layer, mean=mean, window=window, device="cpu")


def states(folder: Path, audio: np.ndarray) -> list[np.ndarray]:
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    with torch.inference_mode():
        out = model(**extractor(audio, sampling_rate=16_000, return_tensors="pt"), output_hidden_states=True)
    return [out.last_hidden_state[0].numpy(), *(state[0].numpy() for state in out.hidden_states)]


def test_frames_and_their_mean_are_the_model_s_own(wav2vec2: Path) -> None:
    last, *layers = states(wav2vec2, AUDIO)
    np.testing.assert_allclose(opened(wav2vec2, mean=False)(AUDIO), last, atol=1e-5)
    np.testing.assert_allclose(opened(wav2vec2)(AUDIO), last.mean(0), atol=1e-5)
    np.testing.assert_allclose(opened(wav2vec2, layer=1, mean=False)(AUDIO), layers[1], atol=1e-5)


def test_a_long_recording_is_taken_in_windows(wav2vec2: Path) -> None:
    first, second = (states(wav2vec2, part)[0] for part in (AUDIO[:24_000], AUDIO[24_000:]))
    np.testing.assert_allclose(
        opened(wav2vec2, mean=False, window=1.5)(AUDIO), np.concatenate([first, second]), atol=1e-5
    )
    mean = 0.75 * first.mean(0) + 0.25 * second.mean(0)
    np.testing.assert_allclose(opened(wav2vec2, window=1.5)(AUDIO), mean, atol=1e-5)


def test_a_layer_that_is_not_there_and_a_clip_too_short_are_told(wav2vec2: Path) -> None:
    with pytest.raises(UsageError, match="has 2 layers"):
        opened(wav2vec2, layer=3)(AUDIO)
    with pytest.raises(DataError, match="too short"):
        opened(wav2vec2)(AUDIO[:100])


def test_whisper_gives_the_frames_of_the_recording_not_of_its_window(tmp_path: Path) -> None:
    made = opened(tiny_whisper(tmp_path / "whisper"), mean=False)
    assert made.window == 3.0
    assert len(made(AUDIO[:16_000])) == 50  # 20 ms a frame


def test_log_mel_models_have_hidden_states_too(tmp_path: Path) -> None:
    made = opened(tiny_ctc(tmp_path / "parakeet", architecture="parakeet_ctc"), mean=False)(AUDIO)
    assert made.shape[0] == pytest.approx(50, abs=1)  # 40 ms a frame
    assert made.shape[1] == 16


def test_an_x_vector_needs_a_speaker_head(wav2vec2: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no speaker head: it is a Wav2Vec2ForCTC"):
        embedder(str(wav2vec2), x_vector=True, layer=None, mean=True, window=30.0, device="cpu")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    convolutions = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2}
    config = Wav2Vec2Config(**small, **convolutions, tdnn_dim=(16,) * 5, xvector_output_dim=8)
    model = Wav2Vec2ForXVector(config).eval()
    model.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    found = embedder(str(tmp_path), x_vector=True, layer=None, mean=True, window=30.0, device="cpu")(AUDIO)
    normalised = Wav2Vec2FeatureExtractor()(AUDIO, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        np.testing.assert_allclose(found, model(**normalised).embeddings[0].numpy(), atol=1e-5)


def test_what_a_model_hears_is_said() -> None:
    assert "takes the waveform itself" in sentence("facebook/wav2vec2-base", Wav2Vec2FeatureExtractor())
    from transformers import WhisperFeatureExtractor

    assert "feature_size 80, n_fft 400" in sentence("openai/whisper-tiny", WhisperFeatureExtractor())
