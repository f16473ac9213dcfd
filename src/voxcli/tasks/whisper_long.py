"""A recording longer than Whisper's window -> one transcript with segments in order.

`sequential` is the decoding of arXiv 2212.04356, section 4.5, by transformers' `generate`: each window begins where the
last complete segment ended; a window whose text repeats itself or is improbable is decoded again at a higher
temperature. The recording is fed in stretches of ten minutes, so that memory does not grow with its length.
`in_windows` cuts at quiet places and decodes several windows at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Decoding, Segment, Task, Transcript, Utterance
from voxcli.engines.halving import Halving, whole
from voxcli.models.checkpoint import quietly
from voxcli.models.precision import in_float32
from voxcli.tasks.cuts import quiet_cuts
from voxcli.tasks.whisper_decoding import decode, spoken
from voxcli.tasks.wrapped import decoding_mode, device_of, unwrapped

if TYPE_CHECKING:
    import numpy as np

STRETCH = 600.0  # s that are in memory as log-mel at a time
WINDOWS_AT_ONCE = 8  # windows in one batch of `in_windows`

# The thresholds of arXiv 2212.04356; the compression ratio is transformers', which counts tokens where the paper's 2.4
# counts characters.
FALLBACK: dict[str, Any] = {
    "temperature": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "compression_ratio_threshold": 1.35,
    "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6,
    "condition_on_prev_tokens": False,  # true carries repetitions from window to window
}


def sequential(bundle: Bundle, audio: np.ndarray, decoding: Decoding, *, stretch: float = STRETCH) -> Transcript:
    """Audio (N,) at the model's rate, any length -> transcript; the same audio always gives the same text."""
    import torch

    extractor = bundle.processor.feature_extractor
    model = unwrapped(bundle.model)
    rate, window = extractor.sampling_rate, extractor.n_samples
    size = max(round(stretch * rate), 2 * window)
    with_times = decoding if decoding.timestamps == "word" else replace(decoding, timestamps="segment")
    devices = [device_of(model)] if device_of(model).type == "cuda" else []
    segments: list[Segment] = []
    language: str | None = None
    begin = 0
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)  # temperatures above 0 draw tokens
        while begin < len(audio):
            piece = audio[begin : begin + size]
            last = begin + size >= len(audio)
            mel = _mel(piece, extractor)
            if language is None:
                with quietly(), decoding_mode(model):
                    language = spoken(model, mel.to(device_of(model), model.dtype), decoding)[0]
            asked = (
                with_times if language == "en" and decoding.language is None else replace(with_times, language=language)
            )
            found = decode(bundle, mel, [len(piece) / rate], asked, **FALLBACK, return_segments=True)[0].segments
            if not last:
                found = _complete(found, len(piece) / rate, window / rate)
            segments += [_moved(segment, begin / rate) for segment in found]
            done = found[-1].end if found and not last else len(piece) / rate
            begin += max(round(done * rate), window)
    text = " ".join(segment.text for segment in segments)
    return Transcript(text=text, segments=tuple(segments), language=language, duration=len(audio) / rate)


def in_windows(task: Task, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
    """Audio (N,) -> transcript from windows that are cut where it is quiet, decoded several at a time."""
    extractor = bundle.processor.feature_extractor
    rate = extractor.sampling_rate
    cuts = quiet_cuts(audio, extractor.n_samples, rate)
    spans = list(zip([0, *cuts], [*cuts, len(audio)], strict=True))
    segments: list[Segment] = []
    texts: list[str] = []
    language: str | None = None

    def together(some: list[tuple[int, int]]) -> list[Transcript]:
        items = [
            task.features(Utterance(id=f"window {begin / rate:.1f} s", audio=_in_memory), audio[begin:end], bundle)
            for begin, end in some
        ]
        return list(task.predict(bundle, task.collate(items, bundle), decoding))

    halving = Halving(together)
    for first in range(0, len(spans), WINDOWS_AT_ONCE):
        some = spans[first : first + WINDOWS_AT_ONCE]
        found = whole(halving(some, [extractor.n_samples / rate] * len(some)))
        for (begin, _), transcript in zip(some, found, strict=True):
            texts.append(transcript.text)
            segments += [_moved(segment, begin / rate) for segment in transcript.segments]
            language = language or transcript.language
    text = " ".join(text for text in texts if text)
    return Transcript(text=text, segments=tuple(segments), language=language, duration=len(audio) / rate)


@in_float32
def _mel(audio: np.ndarray, extractor: Any) -> Any:
    """Audio (N,) -> log-mel (1, C, T), T at least one window."""
    mel = extractor(
        audio,
        sampling_rate=extractor.sampling_rate,
        truncation=False,
        padding="longest" if len(audio) >= extractor.n_samples else "max_length",
        return_tensors="pt",
    )
    return mel["input_features"]


def _complete(segments: tuple[Segment, ...], length: float, window: float) -> tuple[Segment, ...]:
    """Without the segments of the last window, which the end of the stretch may have cut: they are decoded again."""
    return tuple(segment for segment in segments if segment.end <= length - window / 2)


def _moved(segment: Segment, by: float) -> Segment:
    words = tuple(replace(word, start=word.start + by, end=word.end + by) for word in segment.words)
    return replace(segment, start=segment.start + by, end=segment.end + by, words=words)


def _in_memory() -> tuple[np.ndarray, int]:
    raise RuntimeError("the audio of this window is already in memory")
