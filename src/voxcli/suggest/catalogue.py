"""Checkpoints one begins with, and what is known of them without a network: sizes by their config.json, what they have
heard by their model cards and papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


WHISPER = _codes(
    """
    af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id is
    it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl
    sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh yue"""
)
"""Languages that Whisper has transcripts of (arXiv 2212.04356, appendix E)."""
WHISPER_GOOD = _codes("ca cs da de el en es fi fr gl hu id it ja ko ms nl no pl pt ro ru sk sv th tr uk vi zh")
"""Those that its large models write well untrained, roughly under 20 % WER on FLEURS (the same, appendix D)."""


@dataclass(frozen=True)
class Known:
    """One checkpoint."""

    name: str
    family: Literal["whisper", "ctc", "classifier", "pretraining"]
    parameters: float
    """Millions."""
    layers: int
    """Of the encoder; a decoder has as many unless `decoder_layers` says otherwise."""
    width: int
    heard: str
    """What it was trained on, in words."""
    languages: Literal["english", "many", "whisper"]
    rank: float
    """How good a start it is where all else is equal: larger, and more of the right data, is better."""
    supervised: bool = False
    """Writes text, or knows classes, before any training."""
    decoder_layers: int = 0
    window: float | None = None
    """s that every clip is filled up to."""
    licence: str = ""
    """Where it is not free for every use."""


_TEXT, _MORE_TEXT = "680,000 h with text", "5 million h with text"
_SPEECH = "53,000 h of English read aloud and spoken, without text"
_XLSR = "436,000 h in 128 languages, without text"
CHECKPOINTS: tuple[Known, ...] = (
    Known("openai/whisper-tiny", "whisper", 37.8, 4, 384, _TEXT, "whisper", 2.0, True, 4, 30.0),
    Known("openai/whisper-base", "whisper", 72.6, 6, 512, _TEXT, "whisper", 3.0, True, 6, 30.0),
    Known("openai/whisper-small", "whisper", 241.7, 12, 768, _TEXT, "whisper", 5.0, True, 12, 30.0),
    Known("openai/whisper-medium", "whisper", 763.9, 24, 1024, _TEXT, "whisper", 6.3, True, 24, 30.0),
    Known(
        "openai/whisper-large-v3-turbo", "whisper", 808.9, 32, 1280, _MORE_TEXT, "whisper", 7.0, True, 4, 30.0
    ),
    Known("openai/whisper-large-v3", "whisper", 1543.5, 32, 1280, _MORE_TEXT, "whisper", 7.5, True, 32, 30.0),
    Known("facebook/wav2vec2-base", "ctc", 94.4, 12, 768, "960 h of read English, without text", "english", 2.5),
    Known("facebook/wav2vec2-large-lv60", "ctc", 315.5, 24, 1024, _SPEECH, "english", 4.5),
    Known("microsoft/wavlm-large", "ctc", 315.5, 24, 1024, "94,000 h of English, without text", "english", 4.8),
    Known("facebook/wav2vec2-xls-r-300m", "ctc", 315.4, 24, 1024, _XLSR, "many", 4.0),
    Known("facebook/wav2vec2-xls-r-1b", "ctc", 962.5, 48, 1280, _XLSR, "many", 5.0),
    Known("facebook/w2v-bert-2.0", "ctc", 580.5, 24, 1024, "4.5 million h in 143 languages, without text", "many", 5.5),
    Known(
        "facebook/mms-1b-all", "ctc", 964.8, 48, 1280, "1,162 languages, with text", "many", 5.2, True,
        licence="not for commercial use (CC-BY-NC)",
    ),
    Known("openai/whisper-tiny", "classifier", 8.3, 4, 384, _TEXT, "whisper", 3.0, False, 0, 30.0),
    Known("ntu-spml/distilhubert", "classifier", 23.5, 2, 768, "960 h of read English", "english", 2.5),
    Known("facebook/wav2vec2-base", "classifier", 94.6, 12, 768, "960 h of read English", "english", 4.0),
    Known("microsoft/wavlm-base-plus", "classifier", 94.6, 12, 768, "94,000 h of English", "english", 4.5),
    Known("facebook/wav2vec2-xls-r-300m", "classifier", 315.7, 24, 1024, _XLSR, "many", 5.0),
    Known(
        "MIT/ast-finetuned-audioset-10-10-0.4593", "classifier", 86.6, 12, 768,
        "sounds of all kinds, with classes (AudioSet)", "many", 3.5, True, 0, 10.24,
    ),
    Known("facebook/wav2vec2-base", "pretraining", 95.0, 12, 768, "960 h of read English", "english", 2.0),
    Known("facebook/wav2vec2-xls-r-300m", "pretraining", 317.4, 24, 1024, _XLSR, "many", 4.0),
    Known("facebook/wav2vec2-xls-r-1b", "pretraining", 966.0, 48, 1280, _XLSR, "many", 4.5),
)  # fmt: skip


def of(task: str) -> list[Known]:
    """Those for a task of `vox recipe new`, or for recognition of either kind."""
    families = {
        "recognition": ("whisper", "ctc"),
        "seq2seq": ("whisper",),
        "ctc": ("ctc",),
        "classification": ("classifier",),
        "pretraining": ("pretraining",),
    }[task]
    return [one for one in CHECKPOINTS if one.family in families]
