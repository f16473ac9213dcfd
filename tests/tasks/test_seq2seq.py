"""Whisper's labels, exact loss, refusals and transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from voxcli.api import Bundle, Corpus, Decoding, Utterance
from voxcli.errors import DataError, ModelError
from voxcli.models.whisper import Whisper
from voxcli.tasks.seq2seq import Seq2Seq

RATE = 16_000
TASK = Seq2Seq()


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def utterance(text: str | None = "ab", duration: float = 1.0, **more: Any) -> Utterance:
    return Utterance(id=more.pop("id", "u"), audio=Path("u.wav"), text=text, duration=duration, **more)


@pytest.fixture
def turkish(whisper_folder: Path, corpus: Corpus) -> Bundle:
    bundle = Whisper(checkpoint=str(whisper_folder), language="tr").build(corpus)
    bundle.model.eval()
    return bundle


def tokens(bundle: Bundle, one: Utterance) -> list[str]:
    item = TASK.features(one, noise(one.duration or 1.0), bundle)
    names: list[str] = bundle.processor.tokenizer.convert_ids_to_tokens(item["tokens"])
    return names


def test_one_start_token_is_given_and_the_end_token_is_learned(turkish: Bundle) -> None:
    items = [TASK.features(utterance(text), noise(1.0), turkish) for text in ("abc", "a")]
    batch = TASK.collate(items, turkish)
    name = turkish.processor.tokenizer.convert_ids_to_tokens
    assert name(batch["decoder_input_ids"][0].tolist()) == [
        "<|startoftranscript|>", "<|tr|>", "<|transcribe|>", "<|notimestamps|>", "a", "b", "c",
    ]  # fmt: skip
    assert name(batch["labels"][0].tolist()) == [
        "<|tr|>", "<|transcribe|>", "<|notimestamps|>", "a", "b", "c", "<|endoftext|>",
    ]  # fmt: skip
    # the end token is the padding token: the one that ends the label counts, those behind it do not
    end = turkish.processor.tokenizer.eos_token_id
    assert batch["labels"][1].tolist()[-3:] == [end, -100, -100]


def test_the_utterance_s_own_language(whisper_folder: Path, corpus: Corpus) -> None:
    bundle = Whisper(checkpoint=str(whisper_folder)).build(corpus)
    assert tokens(bundle, utterance(language="Bulgarian"))[1] == "<|bg|>"
    assert tokens(bundle, utterance(language="tr-TR"))[1] == "<|tr|>"
    limits = bundle.family.limits()
    assert "language is not known" in str(TASK.problem(utterance(), limits, bundle))
    assert "<|xx|>" in str(TASK.problem(utterance(language="xx"), limits, bundle))
    assert TASK.problem(utterance(language="tr"), limits, bundle) is None


def test_the_recipe_s_language_wins(turkish: Bundle) -> None:
    assert tokens(turkish, utterance(language="bg"))[1] == "<|tr|>"


def test_timestamps_are_learned_by_their_share(whisper_folder: Path, corpus: Corpus) -> None:
    bundle = Whisper(checkpoint=str(whisper_folder), language="tr", timestamps=0.5).build(corpus)
    found = [tokens(bundle, utterance(id=f"u{number}")) for number in range(60)]
    timed = [names for names in found if "<|notimestamps|>" not in names]
    assert 15 < len(timed) < 45
    assert timed[0][3:] == ["<|0.00|>", "a", "b", "<|1.00|>", "<|endoftext|>"]
    assert found == [tokens(bundle, utterance(id=f"u{number}")) for number in range(60)]


def test_the_loss_is_the_sum_over_tokens(turkish: Bundle) -> None:
    batch = TASK.collate([TASK.features(utterance("abc"), noise(1.0), turkish)], turkish)
    total, count = TASK.loss(turkish, batch)
    logits = turkish.model(
        input_features=batch["input_features"], decoder_input_ids=batch["decoder_input_ids"]
    ).logits.double()
    by_hand = -functional.log_softmax(logits[0], -1)[torch.arange(7), batch["labels"][0]].sum()
    assert int(count) == 7
    assert total.dtype == torch.float32
    torch.testing.assert_close(total.double(), by_hand)


@pytest.mark.parametrize("context", ["window", "clip"])
def test_loss_and_gradients_do_not_depend_on_the_batch(whisper_folder: Path, corpus: Corpus, context: str) -> None:
    """Four clips at once, or in batches of 3 and 1: the same sums and gradients; `clip` for clips of equal length."""
    bundle = Whisper(checkpoint=str(whisper_folder), language="tr", encoder_context=context).build(corpus)  # type: ignore[arg-type]
    lengths = [1.0, 2.5, 0.3, 1.7] if context == "window" else [1.0] * 4
    texts = ["a", "abcdefgh", "", "xyz"]
    items = [
        TASK.features(utterance(text), noise(seconds, index), bundle)
        for index, (text, seconds) in enumerate(zip(texts, lengths, strict=True))
    ]

    def gradients(parts: list[list[dict[str, Any]]]) -> tuple[float, int, dict[str, torch.Tensor]]:
        bundle.model.train()
        bundle.model.zero_grad()
        losses = [TASK.loss(bundle, TASK.collate(part, bundle)) for part in parts]
        total, count = sum(float(loss.detach()) for loss, _ in losses), sum(int(n) for _, n in losses)
        for loss, _ in losses:
            (loss / count).backward()
        grads = {name: p.grad.clone() for name, p in bundle.model.named_parameters() if p.grad is not None}
        return total, count, grads

    whole = gradients([items])
    split = gradients([items[:3], items[3:]])
    assert split[1] == whole[1]
    assert split[0] == pytest.approx(whole[0], rel=1e-5)
    for name, gradient in whole[2].items():
        torch.testing.assert_close(split[2][name], gradient, rtol=1e-4, atol=1e-6)


def test_spec_augment_leaves_the_batch_alone(whisper_folder: Path, corpus: Corpus) -> None:
    family = Whisper(checkpoint=str(whisper_folder), language="tr", apply_spec_augment=True, mask_time_prob=0.5)
    bundle = family.build(corpus)
    bundle.model.train()
    batch = TASK.collate([TASK.features(utterance(), noise(1.0), bundle)], bundle)
    before = batch["input_features"].clone()
    total, _ = TASK.loss(bundle, batch)
    assert torch.equal(batch["input_features"], before)
    bundle.model.eval()
    assert not torch.equal(TASK.loss(bundle, batch)[0], total)


def test_labels_longer_than_the_decoder_are_named(turkish: Bundle) -> None:
    limits = turkish.family.limits()
    assert TASK.problem(utterance("a" * 60), limits, turkish) is None  # 4 tokens before the text, 64 positions
    reason = TASK.problem(utterance("a" * 61), limits, turkish)
    assert reason == "its label has 65 tokens, the decoder takes 64"
    batch = TASK.collate([TASK.features(utterance("a" * 60), noise(1.0), turkish)], turkish)
    TASK.loss(turkish, batch)


def test_audio_longer_than_the_window_is_never_cut(turkish: Bundle) -> None:
    limits = turkish.family.limits()
    assert "longer than the model's window of 3 s" in str(TASK.problem(utterance(duration=3.5), limits, None))
    with pytest.raises(DataError, match=r"u: 3.50 s of audio, and the model's window is 3 s"):
        TASK.features(utterance(duration=3.5), noise(3.5), turkish)


def test_workers_need_no_model(turkish: Bundle) -> None:
    import pickle

    light = pickle.loads(pickle.dumps(turkish.replace(model=None)))
    item = TASK.features(utterance("abc"), noise(1.0), light)
    assert TASK.collate([item], light)["labels"].shape == (1, 7)
    assert TASK.problem(utterance("a" * 70), turkish.family.limits(), light) is not None


def test_transcripts_without_references(turkish: Bundle) -> None:
    items = [TASK.features(utterance(None, d), noise(d), turkish) for d in (1.0, 2.0)]
    batch = TASK.collate(items, turkish)
    assert "labels" not in batch
    turkish.model.train()
    found = TASK.predict(turkish, batch, Decoding(max_new_tokens=8))
    assert [one.duration for one in found] == [1.0, 2.0]
    assert [one.language for one in found] == ["tr", "tr"]
    assert turkish.model.training
    assert len(TASK.predict(turkish, batch, Decoding())[0].text) > len(found[0].text)  # to the decoder's end


def test_language_is_detected_and_reported(whisper_folder: Path, corpus: Corpus) -> None:
    bundle = Whisper(checkpoint=str(whisper_folder)).build(corpus)
    batch = TASK.collate([TASK.features(utterance(None), noise(1.0), bundle)], bundle)
    heard = TASK.predict(bundle, batch, Decoding(max_new_tokens=4))[0].language
    with torch.inference_mode():
        token = bundle.model.detect_language(batch["input_features"], generation_config=bundle.model.generation_config)
    assert bundle.processor.tokenizer.convert_ids_to_tokens(int(token[0])) == f"<|{heard}|>"
    asked = TASK.predict(bundle, batch, Decoding(max_new_tokens=4, language="french"))[0]
    assert asked.language == "fr"


def test_english_only_models_are_never_asked_for_a_language(english_folder: Path, corpus: Corpus) -> None:
    bundle = Whisper(checkpoint=str(english_folder)).build(corpus)
    batch = TASK.collate([TASK.features(utterance("hi"), noise(1.0), bundle)], bundle)
    assert TASK.predict(bundle, batch, Decoding(max_new_tokens=4, language="en"))[0].language == "en"
    with pytest.raises(ModelError, match="knows English only, and the language asked for is 'tr'"):
        TASK.predict(bundle, batch, Decoding(language="tr"))
    with pytest.raises(ModelError, match="cannot translate"):
        TASK.predict(bundle, batch, Decoding(task="translate"))


def test_word_times_need_alignment_heads(turkish: Bundle) -> None:
    batch = TASK.collate([TASK.features(utterance(None), noise(1.0), turkish)], turkish)
    found = TASK.predict(turkish, batch, Decoding(timestamps="word", max_new_tokens=8))[0]
    assert all(0 <= word.start <= word.end <= 1.0 for segment in found.segments for word in segment.words)
    assert turkish.model.config._attn_implementation == "sdpa"
    turkish.model.generation_config.alignment_heads = None
    with pytest.raises(ModelError, match="no alignment heads") as caught:
        TASK.predict(turkish, batch, Decoding(timestamps="word"))
    assert "copy `alignment_heads`" in str(caught.value.help)


@pytest.mark.parametrize("long_audio", ["sequential", "windows"])
@pytest.mark.parametrize("context", ["window", "clip"])
def test_long_recordings(whisper_folder: Path, corpus: Corpus, long_audio: str, context: str) -> None:
    bundle = Whisper(checkpoint=str(whisper_folder), language="tr", encoder_context=context).build(corpus)  # type: ignore[arg-type]
    decoding = Decoding(timestamps="segment", long_audio=long_audio, max_new_tokens=6)  # type: ignore[arg-type]
    audio = noise(7.0)
    found = TASK.transcribe(bundle, audio, decoding)
    assert (found.duration, found.language) == (7.0, "tr")
    starts = [segment.start for segment in found.segments]
    assert starts == sorted(starts)
    assert starts[-1] > 3.0
    assert all(segment.start <= segment.end <= 7.0 for segment in found.segments)
    assert TASK.transcribe(bundle, audio, decoding) == found  # temperatures above 0 draw the same tokens each time


def test_a_long_recording_in_stretches_covers_all_of_it(turkish: Bundle) -> None:
    from voxcli.tasks import whisper_long

    found = whisper_long.sequential(turkish, noise(10.0), Decoding(max_new_tokens=6), stretch=6.0)
    starts = [segment.start for segment in found.segments]
    assert starts == sorted(starts)
    assert starts[-1] > 6.5
    assert found.segments[-1].end <= 10.0
