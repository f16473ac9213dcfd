"""The engine `ctranslate2`: recordings -> transcripts by a CTranslate2 folder, on the processor or a GPU.

Clips within the window share batches. Longer recordings go from window to window as faster-whisper does it, or are cut
in silences and decoded several pieces at a time: with `--long-audio windows`, with `vad_filter`, and always where the
model learned clips at their own length, which faster-whisper would pad to 30 s.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from vox_ctranslate2 import pieces
from vox_ctranslate2.description import describe
from vox_ctranslate2.features import Features
from vox_ctranslate2.hearing import Hearing, room, within
from voxcli.api import Decoding, Segment, Transcript, Word, config
from voxcli.checkpoints import merged_encoder, pack
from voxcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

# Thresholds of arXiv 2212.04356, section 4.5, which are those of voxcli's own engine
FALLBACK: dict[str, Any] = {
    "temperature": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
    "compression_ratio_threshold": 2.4,
    "log_prob_threshold": -1.0,
    "no_speech_threshold": 0.6,
    "condition_on_previous_text": False,  # true carries repetitions from window to window
}


WINDOWS_AT_ONCE = 8
"""Clips with merged silence that the decoder takes together on a processor: each brings the keys and values of a whole
window in every layer, and more of them were slower, not faster (docs/performance.md)."""


@config
class Options:
    """What `--engine-option KEY=VALUE` sets."""

    compute_type: Literal[
        "default", "auto", "float32", "float16", "bfloat16", "int16", "int8", "int8_float32", "int8_float16"
    ] = "default"
    """What is computed in. `default`: in what is stored, or the nearest that the device has; `auto`: the quickest."""
    cpu_threads: int = 0
    """Threads of the processor; 0: what OMP_NUM_THREADS says, else all cores."""
    encoder_context: Literal["merged", "window"] | None = None
    """`merged`: the silence behind a short clip costs little, where the export holds its encoder twice; `window`: every
    clip is encoded as 30 s. None: as voxcli hears the model. One that learned at the clip's own length is always heard
    so."""
    vad_filter: bool = False
    """Decode only where somebody speaks, so that nothing is made up in silence."""
    vad_threshold: float = 0.5
    """Probability above which a moment counts as speech, 0 to 1."""
    vad_min_silence: float = 0.5
    """Silence that ends a stretch of speech, s."""
    vad_pad: float = 0.2
    """What is kept before and after a stretch of speech, s."""
    hotwords: str = ""
    """Names and terms that are likely, as text before each window: "Asterisk, voicemail". It is a hint, and one that a
    model which never saw a prompt in training may take for speech."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not 0.0 < self.vad_threshold < 1.0:
            raise ValueError(f"vad_threshold is {self.vad_threshold:g}, expected between 0 and 1")
        for key in ("cpu_threads", "vad_min_silence", "vad_pad"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ValueError(f"{key} is {getattr(self, key):g}, expected 0 or more")


class CTranslate2Engine:
    """Transcribes with a Whisper on CTranslate2."""

    exporter: ClassVar[str] = "ctranslate2"
    options: ClassVar[type] = Options

    def __init__(
        self, folder: Path, whisper: Any, options: Options, batch_duration: float, *, device: str = "cpu"
    ) -> None:
        description = describe(folder, multilingual=bool(whisper.model.is_multilingual))
        whisper.max_length = description.positions
        context = (
            description.context if description.context == "clip" else options.encoder_context or description.context
        )
        encoder = None
        if context == "merged":
            import torch

            encoder = merged_encoder(folder, device=device if torch.cuda.is_available() else "cpu")
        if context == "merged" and encoder is None:
            context = "window"
            log.warning("%s has no second encoder for short clips: whole windows are encoded; export it again", folder)
        self._hearing = Hearing(whisper, description, hotwords=options.hotwords, encoder=encoder)
        self._features = Features(folder, n_mels=int(whisper.model.n_mels), context=context)
        self._options = options
        self._batch_duration = batch_duration
        self.decoding: Decoding = description.decoding
        self.sampling_rate: int = self._features.sampling_rate

    @classmethod
    def open(
        cls,
        name: str | Path,
        *,
        device: str | None = None,
        batch_duration: float = 120.0,
        options: Options | None = None,
    ) -> Self:
        """Load a CTranslate2 folder, or one from the hub. Raises `ModelError`."""
        import ctranslate2
        import tokenizers
        from faster_whisper import WhisperModel

        options = options or Options()
        # CTranslate2 says on the standard error what it computes in where the device lacks the stored type
        ctranslate2.set_log_level(logging.ERROR)
        # for the temperatures above 0 of recordings beyond the window; a worker takes the seed once, when it begins
        ctranslate2.set_random_seed(0)
        kind, _, number = (device or ("cuda" if ctranslate2.get_cuda_device_count() else "cpu")).partition(":")
        local = Path(name).is_dir()
        try:
            if local:  # faster-whisper would take that of whisper-tiny from the hub, and raises a bare Exception
                tokenizers.Tokenizer.from_buffer((Path(name) / "tokenizer.json").read_bytes())
            whisper = WhisperModel(
                str(name),
                device=kind,
                device_index=int(number or 0),
                compute_type=options.compute_type,
                cpu_threads=options.cpu_threads or _threads(),
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"CTranslate2 cannot open {name}: {str(error).splitlines()[0]}",
                help=_help(Path(name), error, cuda=kind == "cuda"),
            ) from error
        log.info("%s on %s, computed in %s", name, device or kind, whisper.model.compute_type)
        folder = Path(name) if local else Path(_snapshot(str(name)))
        placed = kind if not number else f"{kind}:{number}"
        return cls(folder, whisper, options, batch_duration, device=placed)

    @staticmethod
    def opens(folder: Path) -> bool:
        """Whether a folder holds a model of CTranslate2."""
        return (folder / "model.bin").is_file() and any(folder.glob("vocabulary.*"))

    def transcribe_batch(self, audio: Sequence[np.ndarray], decoding: Decoding) -> list[Transcript | None]:
        """Several recordings, each (N,) float32 at `sampling_rate`, in order; None: does not fit the memory alone.

        Raises `ModelError` for a language or a task that the model does not have.
        """
        if decoding.decoder is not None:
            raise ModelError(
                "a [decoder] is for CTC models, and this is a Whisper", help="leave --decoder out; `hotwords` is a hint"
            )
        language = self._hearing.language(decoding)
        done: dict[int, Transcript | None] = {}
        spans: list[tuple[int, pieces.Span]] = []
        for index, clip in enumerate(audio):
            found = self._spans(clip, decoding)
            if found is None:
                done[index] = self._sequential(clip, decoding, language)
            else:
                spans += [(index, span) for span in found]
        heard = self._together([audio[index][slice(*span)] for index, span in spans], decoding, language)
        for index, clip in enumerate(audio):
            if index not in done:
                own = [(span, one) for (of, span), one in zip(spans, heard, strict=True) if of == index]
                done[index] = self._joined(own, len(clip), language)
        return [done[index] for index in range(len(audio))]

    def _spans(self, audio: np.ndarray, decoding: Decoding) -> list[pieces.Span] | None:
        """The stretches of a recording that are decoded; None: from window to window, by faster-whisper."""
        options, window = self._options, self._features.window
        n_window = round(window * self.sampling_rate)
        fits = len(audio) <= n_window
        if not len(audio):
            return []
        if fits and not options.vad_filter:
            return [(0, len(audio))]
        if decoding.long_audio == "sequential" and not options.vad_filter and self._sequential_is_right:
            return None
        voice = pieces.Voice(options.vad_threshold, options.vad_min_silence, options.vad_pad)
        found = pieces.speech(audio, voice, window=window)
        if options.vad_filter:
            return pieces.spoken_only(found, window=n_window, joined=round(pieces.JOINED * self.sampling_rate))
        return pieces.everything(found, len(audio), window=n_window)

    @property
    def _sequential_is_right(self) -> bool:
        """Whether faster-whisper asks the model as it learned: it pads to 30 s, and takes a small vocabulary for an
        English one, whose prompt has no language."""
        description, whisper = self._hearing.description, self._hearing.whisper
        return description.context != "clip" and description.multilingual == bool(whisper.model.is_multilingual)

    def _together(
        self, clips: Sequence[np.ndarray], decoding: Decoding, language: str | None
    ) -> list[Transcript | None]:
        """Clips within the window, in batches of about equal length."""
        durations = [len(clip) / self.sampling_rate for clip in clips]
        done: dict[int, Transcript | None] = {}

        def decode(members: Sequence[int]) -> list[Transcript]:
            mels = self._features.batch([clips[index] for index in members])
            return self._hearing.transcripts(mels, [durations[index] for index in members], decoding, language)

        heavy = self._hearing.encoder is not None and self._hearing.whisper.model.device == "cpu"
        most = WINDOWS_AT_ONCE if heavy else None
        for members in pack(durations, self._batch_duration, shortest=self._features.shortest, most=most):
            done.update(zip(members, _halving(decode, members), strict=True))
        return [done[index] for index in range(len(clips))]

    def _sequential(self, audio: np.ndarray, decoding: Decoding, language: str | None) -> Transcript:
        """A recording beyond the window, each window begun where the last segment ended."""
        hearing, description = self._hearing, self._hearing.description
        options = {}
        if decoding.max_new_tokens is not None:  # faster-whisper refuses more than fit after the prompt
            tokenizer = hearing.tokenizer(language or "en", decoding)  # no language makes the prompt longer
            n_prompt = len(hearing.whisper.get_prompt(tokenizer, [], hotwords=hearing.hotwords))
            options["max_new_tokens"] = min(decoding.max_new_tokens, room(n_prompt, description.positions))
        found, info = hearing.whisper.transcribe(
            audio,
            language=language,
            task=decoding.task,
            beam_size=decoding.num_beams,
            no_repeat_ngram_size=decoding.no_repeat_ngram_size,
            word_timestamps=decoding.timestamps == "word",
            hotwords=hearing.hotwords,
            suppress_tokens=[-1] if description.suppressed is None else list(description.suppressed),
            **FALLBACK,
            **options,
        )
        duration = len(audio) / self.sampling_rate  # the last window is padded, and times may lie there
        segments = tuple(
            Segment(
                one.text.strip(),
                within(one.start, duration),
                within(one.end, duration),
                tuple(
                    Word(word.word.strip(), within(word.start, duration), within(word.end, duration), word.probability)
                    for word in one.words or ()
                ),
            )
            for one in found
        )
        text = " ".join(segment.text for segment in segments)
        return Transcript(text, segments, info.language, duration)

    def _joined(
        self, parts: Sequence[tuple[pieces.Span, Transcript | None]], length: int, language: str | None
    ) -> Transcript | None:
        """The transcript of a recording of `length` samples from those of its stretches; None where one is missing."""
        segments: list[Segment] = []
        texts: list[str] = []
        for (begin, _), one in parts:
            if one is None:
                return None
            texts.append(one.text)
            segments += [_moved(segment, begin / self.sampling_rate) for segment in one.segments]
            language = language or one.language
        text = " ".join(text for text in texts if text)
        return Transcript(text, tuple(segments), language, length / self.sampling_rate)


def _halving(work: Callable[[Sequence[int]], list[Transcript]], members: Sequence[int]) -> list[Transcript | None]:
    """`work` on clips, in halves where the memory does not suffice; None for one that does not fit alone."""
    try:
        return [*work(members)]
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and "out of memory" not in str(error):
            raise
    if len(members) == 1:
        return [None]
    log.warning("out of memory with %d clips: going on in halves, a lower --batch-duration needs less", len(members))
    middle = (len(members) + 1) // 2
    return [*_halving(work, members[:middle]), *_halving(work, members[middle:])]


def _moved(segment: Segment, by: float) -> Segment:
    words = tuple(dataclasses.replace(word, start=word.start + by, end=word.end + by) for word in segment.words)
    return dataclasses.replace(segment, start=segment.start + by, end=segment.end + by, words=words)


def _help(folder: Path, error: Exception, *, cuda: bool) -> str:
    """What to do about a model that does not open."""
    if "compute type" in str(error):
        help = "leave compute_type out: what is stored is then computed in the nearest type that the device has"
    elif "unsupported device" in str(error) or "CUDA" in str(error):
        help = "--device cpu, or cuda where there is a GPU"
    elif (folder / "vox.json").is_file():
        help = f"a copy that was cut short? remove {folder}: it is exported again where its run is the --model"
    elif (folder / "model.bin").is_file():
        help = "a copy that was cut short? model.bin, config.json, tokenizer.json and a vocabulary belong there"
    else:
        help = "give a run or a checkpoint, which is exported, or a folder of `vox export --to ctranslate2`"
    if cuda:
        help += "; a GPU needs cuBLAS and cuDNN 9 (pip install nvidia-cublas-cu12 'nvidia-cudnn-cu12==9.*')"
    return help


def _threads() -> int:
    """OMP_NUM_THREADS, else the cores that this process may use; CTranslate2 itself would take four."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _snapshot(name: str) -> str:
    """The folder that faster-whisper has downloaded a model into."""
    from faster_whisper.utils import download_model

    return str(download_model(name, local_files_only=True))
