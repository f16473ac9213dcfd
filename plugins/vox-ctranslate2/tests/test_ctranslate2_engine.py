"""The engine on tiny models: the texts of transformers, at the window and at clip length, of long and silent audio."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vox_ctranslate2 import hearing, pieces
from vox_ctranslate2.engine import CTranslate2Engine, Options
from vox_ctranslate2.exporter import CTranslate2
from voxcli.api import Decoding
from voxcli.checkpoints import engine_around, open_checkpoint
from voxcli.errors import ModelError
from voxcli.testing_models import tiny_whisper

TURKISH = Decoding(language="tr")
RATE = 16_000
LOUD: dict[str, Any] = {"seed": 8, "init_std": 0.3}  # weights so large that every clip has a text of its own


def sounds(*durations: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(0.1 * rng.standard_normal(round(duration * RATE))).astype(np.float32) for duration in durations]


def exported(checkpoint: Path, out: Path, quantization: Any = "float32") -> Path:
    out.mkdir()
    return CTranslate2(quantization=quantization).export(checkpoint, out)


def opened(folder: Path, **options: Any) -> CTranslate2Engine:
    return CTranslate2Engine.open(folder, device="cpu", options=Options(**options))


Pair = tuple[Any, CTranslate2Engine]
"""The engine of transformers and this one, with the same model."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pair]:
    """Both engines with a tiny model; `context` as the checkpoint of a run says it. Unless `times` are asked for, it
    suppresses them: random weights write them at any place, from which transformers decodes again.
    """
    made: dict[str, Pair] = {}

    def make(
        *, multilingual: bool = True, context: str = "window", window: int = 3, mels: int = 16, times: bool = False
    ) -> Pair:
        key = f"{multilingual}-{context}-{window}-{mels}-{times}"
        if key not in made:
            folder = tmp_path_factory.mktemp(key)
            checkpoint = tiny_whisper(
                folder / "checkpoint", multilingual=multilingual, window=window, num_mel_bins=mels, **LOUD
            )
            if not times:
                path = checkpoint / "generation_config.json"
                generation = json.loads(path.read_text())
                special = range(generation["eos_token_id"] + 1, generation["no_timestamps_token_id"] + 50 * window + 2)
                generation |= {"suppress_tokens": [*special], "begin_suppress_tokens": [generation["eos_token_id"]]}
                path.write_text(json.dumps(generation))
            settings = {"type": "whisper", "checkpoint": str(checkpoint), "encoder_context": context}
            (checkpoint / "vox.json").write_text(json.dumps({"model": settings}))
            here = engine_around(open_checkpoint(checkpoint, device="cpu"))
            made[key] = here, opened(exported(checkpoint, folder / "exported"))
        return made[key]

    return make


def texts(found: Any) -> list[str]:
    return [one.text for one in found]


@pytest.mark.parametrize("context", ["window", "merged", "clip"])
@pytest.mark.parametrize("multilingual", [True, False])
def test_the_texts_are_those_of_transformers(model: Callable[..., Pair], context: str, multilingual: bool) -> None:
    """Random weights write texts without end, so that one rounding too many is seen."""
    here, there = model(multilingual=multilingual, context=context)
    clips = sounds(0.4, 2.9, 1.1, 1.6)
    decoding = TURKISH if multilingual else Decoding()
    wanted = here.transcribe_batch(clips, decoding)
    found = there.transcribe_batch(clips, decoding)
    assert texts(found) == texts(wanted)
    assert len(set(texts(found))) > 1
    assert [one.language for one in found] == ["tr" if multilingual else "en"] * 4
    assert [one.duration for one in found] == [one.duration for one in wanted]


def test_a_clip_is_heard_at_its_own_length(model: Callable[..., Pair]) -> None:
    """The same weights at the window say something else: the export says how they learned."""
    clips = sounds(0.7)
    at_clip, at_window = (
        texts(model(context=context)[1].transcribe_batch(clips, TURKISH)) for context in ("clip", "window")
    )
    assert at_clip != at_window


def test_states_are_not_taken_for_log_mels(model: Callable[..., Pair]) -> None:
    """With a clip context there may be as many positions as mels: CTranslate2 would encode such states again."""
    here, there = model(context="clip", mels=70)
    clips = sounds(0.9, 0.6)
    assert there._features.batch(clips).shape == (2, 70, 140)
    assert texts(there.transcribe_batch(clips, TURKISH)) == texts(here.transcribe_batch(clips, TURKISH))
    timed = replace(TURKISH, timestamps="word", max_new_tokens=12)
    assert texts(there.transcribe_batch(clips, timed)) == texts(here.transcribe_batch(clips, timed))


def test_segments_are_those_of_transformers(model: Callable[..., Pair]) -> None:
    """Until the last that is complete: transformers decodes again from there, which here is one more to the end."""
    here, there = model(times=True)
    clips = sounds(0.4, 2.9)
    decoding = replace(TURKISH, timestamps="segment")
    wanted, found = (engine.transcribe_batch(clips, decoding)[1].segments for engine in (here, there))
    assert len(found) == 3
    for one, other in zip(found[:2], wanted[:2], strict=True):
        assert (one.text, one.start, one.end) == (other.text, pytest.approx(other.start), pytest.approx(other.end))
    assert found[2].end == 2.9


def test_words_lie_within_their_segments(model: Callable[..., Pair]) -> None:
    _, there = model(times=True)
    found = there.transcribe_batch(sounds(2.0, 0.2, 1.3), replace(TURKISH, timestamps="word", max_new_tokens=24))
    words = 0
    for one in found:
        for segment in one.segments:
            words += len(segment.words)
            times = [segment.start, *(t for w in segment.words for t in (w.start, w.end)), segment.end]
            assert all(0 <= time <= one.duration for time in times)
            assert all(word.probability is not None and 0 <= word.probability <= 1 for word in segment.words)
        said = "".join(word.text for segment in one.segments for word in segment.words)
        assert said == "".join(one.text.split())
    assert words > 2


def test_lengths_beams_and_repeats_are_as_asked(model: Callable[..., Pair]) -> None:
    """Of the 64 positions four are the prompt's; CTranslate2 left alone would write 32."""
    here, there = model(multilingual=False)
    clips = sounds(1.0)
    (whole,) = there.transcribe_batch(clips, Decoding())
    assert len(there._hearing.whisper.hf_tokenizer.encode(whole.text).ids) > 32
    (short,) = there.transcribe_batch(clips, Decoding(max_new_tokens=5))
    assert whole.text.startswith(short.text)
    (wanted,) = here.transcribe_batch(clips, Decoding(max_new_tokens=5))
    assert short.text == wanted.text
    (beams,) = there.transcribe_batch(clips, Decoding(num_beams=3, no_repeat_ngram_size=1, max_new_tokens=20))
    assert beams.text != whole.text[: len(beams.text)]


def test_hot_words_stand_before_the_text(model: Callable[..., Pair], tmp_path: Path) -> None:
    checkpoint = tiny_whisper(tmp_path / "whisper", **LOUD)
    folder = exported(checkpoint, tmp_path / "exported")
    clips = sounds(1.0)
    plain, hinted = (
        texts(opened(folder, hotwords=words).transcribe_batch(clips, TURKISH)) for words in ("", " Asterisk, voicemail")
    )
    assert plain != hinted


def test_nothing_is_said_of_silence_where_it_is_filtered(model: Callable[..., Pair]) -> None:
    _, there = model()
    silence = [0.001 * clip for clip in sounds(2.0, 7.0)]
    assert all(texts(there.transcribe_batch(silence[:1], TURKISH)))
    filtered = CTranslate2Engine(Path("."), there._hearing.whisper, Options(vad_filter=True), 120.0)
    filtered._features, filtered._hearing = there._features, there._hearing
    for one in filtered.transcribe_batch(silence, TURKISH):
        assert one is not None
        assert (one.text, one.segments) == ("", ())


def test_long_recordings_from_window_to_window_and_in_pieces(model: Callable[..., Pair]) -> None:
    """faster-whisper knows windows of 30 s; pieces are cut for any window, and all of them are decoded."""
    _, there = model(window=30, multilingual=False)
    (long,) = sounds(33.0)
    decoding = Decoding(max_new_tokens=8)
    (one,) = there.transcribe_batch([long], decoding)
    assert one is not None
    assert one.duration == 33.0
    assert all(0 <= segment.start <= segment.end <= 33.0 for segment in one.segments)
    (cut,) = there.transcribe_batch([long], replace(decoding, long_audio="windows"))
    alone = there.transcribe_batch([long[: 30 * RATE], long[30 * RATE :]], decoding)
    assert cut is not None
    assert cut.text == " ".join(texts(alone))
    _, clip = model(context="clip", times=True)
    (found,) = clip.transcribe_batch([long[: 7 * RATE]], replace(TURKISH, timestamps="segment"))
    assert found is not None
    starts = [segment.start for segment in found.segments]
    assert starts == sorted(starts)
    assert starts[-1] >= 6.0  # the third piece of 3 s


def test_more_tokens_than_fit_are_bounded_from_window_to_window(model: Callable[..., Pair]) -> None:
    _, there = model(window=30, multilingual=False)
    (long,) = sounds(31.0)
    (one,) = there.transcribe_batch([long], Decoding(max_new_tokens=64))
    assert one is not None
    there._hearing.hotwords = "Asterisk " * 20
    (one,) = there.transcribe_batch([long], Decoding(max_new_tokens=50))
    there._hearing.hotwords = None
    assert one is not None


@pytest.mark.parametrize("threads", [1, 2])
def test_sampled_texts_are_the_same_each_time_a_model_is_opened(tmp_path: Path, threads: int) -> None:
    folder = exported(tiny_whisper(tmp_path / "whisper", multilingual=False, window=30), tmp_path / "exported")
    (long,) = sounds(31.0)
    found = [opened(folder, cpu_threads=threads).transcribe_batch([long], Decoding(max_new_tokens=8)) for _ in range(2)]
    assert texts(found[0]) == texts(found[1])


def test_words_lie_within_the_clip() -> None:
    word = {"word": " hi", "start": -0.14, "end": -0.02, "probability": 0.5}
    found = hearing._word(word, 0.1)
    assert (found.start, found.end) == (0.0, 0.0)
    assert hearing.within(0.3, 0.1) == 0.1


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1.0])
def test_durations_that_have_no_meaning(value: float) -> None:
    with pytest.raises(ValueError, match=r"vad_min_silence is .*, expected 0 or more"):
        Options(vad_min_silence=value)


def test_what_the_model_does_not_have(model: Callable[..., Pair]) -> None:
    english, turkish = model(multilingual=False)[1], model()[1]
    clips = sounds(0.5)
    with pytest.raises(ModelError, match="knows English only, and the language asked for is 'tr'"):
        english.transcribe_batch(clips, TURKISH)
    with pytest.raises(ModelError, match="cannot translate"):
        english.transcribe_batch(clips, Decoding(task="translate"))
    with pytest.raises(ModelError, match="does not know the language 'elvish'"):
        turkish.transcribe_batch(clips, Decoding(language="elvish"))
    with pytest.raises(ModelError, match=r"a \[decoder\] is for CTC models"):
        turkish.transcribe_batch(clips, Decoding(decoder={"type": "beam"}))
    assert turkish.transcribe_batch(clips, Decoding(language="Turkish"))[0].language == "tr"  # type: ignore[union-attr]
    assert turkish.transcribe_batch([], TURKISH) == []


@pytest.mark.parametrize(("context", "sizes"), [("merged", [8, 2]), ("clip", [10])])
def test_merged_clips_share_the_decoder_in_small_batches(
    model: Callable[..., Pair], context: str, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them brings the states of a whole window."""
    _, there = model(context=context)
    seen: list[int] = []
    batch = there._features.batch

    def watched(some: Any) -> Any:
        seen.append(len(some))
        return batch(some)

    monkeypatch.setattr(there._features, "batch", watched)
    assert len(there.transcribe_batch(sounds(*[0.5] * 10), TURKISH)) == 10
    assert seen == sizes


def test_memory_that_does_not_suffice(model: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's message: three clips are decoded, the one that is too large alone is None."""
    _, there = model(context="clip")
    clips = sounds(2.9, 0.5, 1.0, 0.8)
    halves = [clips[2:3], [clips[3], clips[1]]]  # longest first: 2.9 and 1.0, 0.8 and 0.5
    wanted = [text for some in halves for text in texts(there.transcribe_batch(some, TURKISH))]
    batch = there._features.batch

    def small(some: Any) -> Any:
        if any(len(one) > 2 * RATE for one in some):
            raise RuntimeError("CUDA failed with error out of memory")
        return batch(some)

    monkeypatch.setattr(there._features, "batch", small)
    found = there.transcribe_batch(clips, TURKISH)
    assert found[0] is None
    assert [found[index].text for index in (2, 3, 1)] == wanted  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------- which stretches


def test_stretches_of_speech_are_joined_within_the_window() -> None:
    speech = [(0, 10), (12, 20), (60, 70), (71, 95), (96, 99)]
    assert pieces.spoken_only(speech, window=30, joined=5) == [(0, 20), (60, 70), (71, 99)]
    assert pieces.spoken_only(speech, window=40, joined=5) == [(0, 20), (60, 99)]
    assert pieces.spoken_only([(5, 47)], window=20, joined=5) == [(5, 25), (25, 45), (45, 47)]
    assert pieces.spoken_only([], window=20, joined=5) == []


def test_a_recording_is_cut_in_its_silences_and_nothing_is_lost() -> None:
    speech = [(0, 10), (14, 28), (34, 50), (80, 85)]
    assert pieces.everything(speech, 100, window=40) == [(0, 31), (31, 65), (65, 100)]
    assert pieces.everything([], 100, window=40) == [(0, 40), (40, 80), (80, 100)]
    assert pieces.everything(speech, 30, window=40) == [(0, 30)]
