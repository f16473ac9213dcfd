"""`[decoder] type = "lm"`: prefix beam search with an n-gram language model and hot words."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.api import Alphabet, Emission, Finding, config
from voxcli.decoders.search import BEAM_THRESHOLD, TOKEN_THRESHOLD, findings, search

if TYPE_CHECKING:
    import numpy as np

    from vox_lm.scoring import Words


@config
class LanguageModel:
    """The most probable text by the frames and by an n-gram model of words."""

    path: Path | None = None
    """An ARPA file, also compressed, or a KenLM binary. None: hot words alone."""
    alpha: float = 0.5
    """Weight of the language model's log-probability. More trusts it against the frames."""
    beta: float = 1.5
    """Added for each word (natural logarithm): a language model alone prefers few words."""
    unknown_word: float = -2.0
    """Added for each word that the model does not know (natural logarithm), as soon as no known word begins so."""
    unknown_letter: float = -1.5
    """Added for each letter of such a word: long ones are less likely to be a mishearing of a known one."""
    hot_words: tuple[str, ...] = ()
    """Words or phrases that are likely here: names, products. Spelt as the model writes."""
    hot_word_weight: float = 8.0
    """Added for each hot word or phrase (natural logarithm), growing as it is spelt."""
    beam_width: int = 100
    """Texts that are followed at a time. More is slower."""
    beam_threshold: float = BEAM_THRESHOLD
    """Texts this much below the best (natural logarithm) are given up."""
    token_threshold: float = TOKEN_THRESHOLD
    """Tokens whose log-probability in a frame is below it are not tried there; the most probable class always is."""

    def findings(self) -> Iterator[Finding]:
        """Keys that cannot be meant."""
        yield from findings(self.beam_width, self.beam_threshold, self.token_threshold)
        if self.path is None and not self.hot_words:
            message = "the decoder lm has neither a language model (path) nor hot words"
            yield Finding("error", message, 'set path, or type = "beam" for a search without either')
        if self.alpha < 0:
            yield Finding("error", f"alpha is {self.alpha}, expected at least 0", None, path=("alpha",))
        for key in ("unknown_word", "unknown_letter"):
            if (value := getattr(self, key)) > 0:
                message = f"{key} is {value}, expected at most 0: it would reward words that do not exist"
                yield Finding("error", message, None, path=(key,))
        for index, phrase in enumerate(self.hot_words):
            if not phrase.strip():
                yield Finding("error", "a hot word is empty", None, path=("hot_words", index))

    def check(self, alphabet: Alphabet) -> None:
        """Load the model. Raises `DataError` where its words, or hot words, cannot be written with the alphabet."""
        from vox_lm.fit import check

        check(self, alphabet)

    def decode(self, log_probabilities: np.ndarray, alphabet: Alphabet) -> list[Emission]:
        """Log-probabilities (T, V) -> the tokens of the best text."""
        return search(
            log_probabilities,
            alphabet,
            beam_width=self.beam_width,
            beam_threshold=self.beam_threshold,
            token_threshold=self.token_threshold,
            scorer=_scorer(self),
        )


@functools.lru_cache(maxsize=4)
def _scorer(decoder: LanguageModel) -> Words:
    from vox_lm.hot_words import HotWords
    from vox_lm.models import opened
    from vox_lm.scoring import Words

    return Words(
        None if decoder.path is None else opened(decoder.path),
        HotWords(decoder.hot_words, weight=decoder.hot_word_weight),
        alpha=decoder.alpha,
        beta=decoder.beta,
        unknown_word=decoder.unknown_word,
        unknown_letter=decoder.unknown_letter,
    )
