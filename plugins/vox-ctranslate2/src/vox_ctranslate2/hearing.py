"""Log-mels of clips within the window -> transcripts, by CTranslate2's encoder, search and alignment.

faster-whisper's own batches hold the windows of one recording, padded to 30 s. Here clips of many recordings share a
batch, in the shape that the model learned; prompts, hot words and the times of words are faster-whisper's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vox_ctranslate2.description import Description, language_code
from voxcli.api import Decoding, Segment, Transcript, Word
from voxcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

STEP = 0.02  # s between two timestamp tokens
PREFIX = 4  # positions that voxcli's own engine keeps for the tokens before the text, however many there are
FIRST_TIME = 50  # the latest of them with which a transcript may begin: openai/whisper, decoding.py
_BEFORE, _AFTER = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # punctuation that joins the next word, and the one before


class Hearing:
    """A loaded model and what it is asked with."""

    def __init__(
        self,
        whisper: Any,
        description: Description,
        *,
        hotwords: str = "",
        encoder: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.whisper = whisper
        self.encoder = encoder
        self.description = description
        self.hotwords = hotwords.strip() or None
        self._warned = False
        from transformers.models.whisper.tokenization_whisper import LANGUAGES

        known = whisper.hf_tokenizer.get_vocab()
        self.codes = {code for code in LANGUAGES if f"<|{code}|>" in known}

    def language(self, decoding: Decoding) -> str | None:
        """The language that is asked for or is the model's own; None: as each clip is heard. Raises `ModelError`."""
        if self.description.multilingual:
            named = decoding.language or self.description.language
            return None if named is None else language_code(named, self.codes)
        if decoding.language is not None and decoding.language.lower() not in ("en", "english"):
            raise ModelError(
                f"this model knows English only, and the language asked for is '{decoding.language}'",
                help="leave the language out, or take a multilingual checkpoint (without .en)",
            )
        if decoding.task == "translate":
            raise ModelError(
                "this model knows English only and cannot translate", help="take a multilingual checkpoint"
            )
        return "en"

    def tokenizer(self, language: str, decoding: Decoding) -> Any:
        """faster-whisper's tokenizer for a language and a task."""
        from faster_whisper.tokenizer import Tokenizer

        return Tokenizer(
            self.whisper.hf_tokenizer, self.description.multilingual, task=decoding.task, language=language
        )

    def transcripts(
        self, mels: np.ndarray, durations: Sequence[float], decoding: Decoding, language: str | None
    ) -> list[Transcript]:
        """Log-mels (B, C, T) and the clips' lengths in s -> B transcripts."""
        import ctranslate2
        import numpy as np

        model = self.whisper.model
        given = mels if self.encoder is None else self.encoder(mels)
        states = ctranslate2.StorageView.from_array(np.ascontiguousarray(given))
        if self.encoder is None and mels.shape[2] // 2 != model.n_mels:
            states = model.encode(states)
        # Else they are encoded where they are used. CTranslate2 (4.8) takes whatever has `n_mels` rows for log-mels:
        # states of as many positions, as a clip of 1.1 s has for 80 mels, would be encoded a second time.
        if language is None:
            heard = self._heard(states, len(mels))
            if len(set(heard)) > 1:
                return self._by_language(mels, durations, decoding, heard)
            language = heard[0]
        tokenizer = self.tokenizer(language, decoding)
        times = decoding.timestamps != "none"
        prompt = self.whisper.get_prompt(tokenizer, [], without_timestamps=not times, hotwords=self.hotwords)
        found = model.generate(
            states,
            [prompt] * len(mels),
            beam_size=decoding.num_beams,
            no_repeat_ngram_size=decoding.no_repeat_ngram_size,
            max_length=_max_length(len(prompt), self.description.positions, decoding.max_new_tokens),
            max_initial_timestamp_index=FIRST_TIME,
            suppress_blank=True,  # config.json: suppress_ids_begin
            suppress_tokens=[-1],  # config.json: suppress_ids
        )
        tokens = [list(one.sequences_ids[0]) for one in found]
        if not times:
            return [
                Transcript(tokenizer.decode(one).strip(), (), language, duration)
                for one, duration in zip(tokens, durations, strict=True)
            ]
        stretches = [
            _stretches(one, tokenizer.timestamp_begin, tokenizer.eot, duration)
            for one, duration in zip(tokens, durations, strict=True)
        ]
        words = self._words(states, stretches, durations, tokenizer) if decoding.timestamps == "word" else None
        made = []
        for index, (pieces, duration) in enumerate(zip(stretches, durations, strict=True)):
            segments = _segments(pieces, tokenizer, None if words is None else words[index])
            text = " ".join(segment.text for segment in segments)
            made.append(Transcript(text, segments, language, duration))
        return made

    def _heard(self, states: Any, n_clips: int) -> list[str]:
        """The language of each clip; CTranslate2 hears it where the vocabulary is as large as that of Whisper."""
        if self.whisper.model.is_multilingual:
            return [found[0][0].strip("<|>") for found in self.whisper.model.detect_language(states)]
        if not self._warned:
            self._warned = True
            log.warning(
                "CTranslate2 cannot hear the language with a vocabulary of this size, and English is taken: "
                "--language names another"
            )
        return ["en"] * n_clips

    def _by_language(
        self, mels: np.ndarray, durations: Sequence[float], decoding: Decoding, heard: Sequence[str]
    ) -> list[Transcript]:
        """A batch in which several languages were heard, one language after the other."""
        made: dict[int, Transcript] = {}
        for language in dict.fromkeys(heard):
            rows = [row for row, one in enumerate(heard) if one == language]
            some = self.transcripts(mels[rows], [durations[row] for row in rows], decoding, language)
            made.update(zip(rows, some, strict=True))
        return [made[row] for row in range(len(heard))]

    def _words(
        self, states: Any, stretches: Sequence[Sequence[_Stretch]], durations: Sequence[float], tokenizer: Any
    ) -> list[list[list[Word]]]:
        """The words of each stretch of each clip with their times, in order."""
        texts = [[token for stretch in clip for token in stretch[0]] for clip in stretches]
        if not any(texts):
            return [[[] for _ in clip] for clip in stretches]
        # a clip without a text cannot be aligned: one token stands in for it
        asked = [text or [0] for text in texts]
        frames = [max(2, round(100 * duration)) for duration in durations]
        found = self.whisper.find_alignment(tokenizer, asked, states, frames)
        return [
            _dealt(alignment, clip, duration)
            for alignment, clip, duration in zip(found, stretches, durations, strict=True)
        ]


_Stretch = tuple[list[int], float, float]
"""Tokens of text, begin and end in s."""


def _stretches(tokens: Sequence[int], first_time: int, end: int, duration: float) -> list[_Stretch]:
    """Tokens with timestamps among them -> stretches of text; what has no end goes to the end of the clip."""
    made: list[_Stretch] = []
    text: list[int] = []
    begin = clock = 0.0
    for token in tokens:
        if token >= first_time:
            clock = min((token - first_time) * STEP, duration)
            if text:
                made.append((text, begin, max(clock, begin)))
                text = []
            begin = clock
        elif token < end:
            text.append(token)
    if text:
        made.append((text, begin, max(duration, begin)))
    return made


def _dealt(alignment: list[dict[str, Any]], clip: Sequence[_Stretch], duration: float) -> list[list[Word]]:
    """faster-whisper's words of a clip -> those of each stretch: a word belongs where its first token stands."""
    from faster_whisper.transcribe import merge_punctuations

    made = []
    place = until = at = 0
    for tokens, _, _ in clip:
        until += len(tokens)
        own = []
        while at < len(alignment) and place < until:
            own.append(alignment[at])
            place += len(alignment[at]["tokens"])
            at += 1
        merge_punctuations(own, _BEFORE, _AFTER)
        made.append([_word(one, duration) for one in own if one["word"].strip()])
    return made


def _segments(clip: Sequence[_Stretch], tokenizer: Any, words: list[list[Word]] | None) -> tuple[Segment, ...]:
    """Stretches of tokens -> segments. Where there are words, they say when a segment begins and ends."""
    made = []
    for number, (tokens, begin, end) in enumerate(clip):
        text = tokenizer.decode(tokens).strip()
        own = tuple(words[number]) if words is not None else ()
        if own:
            begin, end = min(begin, own[0].start), max(end, own[-1].end)
        if text:
            made.append(Segment(text, begin, end, own))
    return tuple(made)


def _word(one: dict[str, Any], duration: float) -> Word:
    start = within(float(one["start"]), duration)
    return Word(one["word"].strip(), start, max(start, within(float(one["end"]), duration)), float(one["probability"]))


def within(time: float, duration: float) -> float:
    """A time in s within the clip. The alignment's lie outside of short ones, the last window's in its padding."""
    return min(max(time, 0.0), duration)


def _max_length(n_prompt: int, positions: int, max_new_tokens: int | None) -> int:
    """What CTranslate2 is to be told: of a length M it generates min(M / 2, M - prompt) tokens (whisper.cc).

    As many tokens as the positions allow are asked for, as transformers does: half of them, which is openai/whisper's
    limit, cuts texts of languages whose letters are several tokens.
    """
    free = room(n_prompt, positions)
    wanted = free if max_new_tokens is None else min(max_new_tokens, free)
    return max(2 * wanted, wanted + n_prompt - 1)


def room(n_prompt: int, positions: int) -> int:
    """How many tokens fit after a prompt."""
    return max(positions - max(n_prompt, PREFIX), 1)
