"""What a prefix is worth beyond its frames: log-probabilities of its words, a reward for each, hot words.

    score = sum over whole words of (alpha * ln P(word | words before) + beta), and for one not known
            unknown_word + unknown_letter * its letters
          + the bonuses of hot words

A word that is not finished yet costs what an unknown one does as soon as no known word begins so; the language model is
asked when it ends. Natural logarithms throughout; KenLM's are of base 10.
"""

from __future__ import annotations

import math
from typing import Any

from vox_lm.hot_words import HotWords, Node
from vox_lm.models import NGrams

_LN10 = math.log(10.0)


class Prefix:
    """The state of one prefix."""

    __slots__ = ("context", "hot", "score", "settled", "strange", "word")

    def __init__(self, context: Any, settled: float) -> None:
        self.context = context
        """KenLM's state after the whole words."""
        self.settled = settled
        """The score of what will not change any more."""
        self.word = ""
        """The unfinished word."""
        self.strange = False
        """No known word begins so."""
        self.hot: Node | None = None
        self.score = settled


class Words:
    """Scores prefixes word by word; the scorer of `voxcli.decoders.search`."""

    def __init__(
        self,
        model: NGrams | None,
        hot_words: HotWords,
        *,
        alpha: float,
        beta: float,
        unknown_word: float,
        unknown_letter: float,
    ) -> None:
        self._model = model
        self._hot = hot_words
        self._alpha = alpha * _LN10
        self._beta = beta
        self._unknown_word = unknown_word
        self._unknown_letter = unknown_letter

    def start(self) -> Prefix:
        """The beginning of a sentence."""
        if self._model is None:
            return Prefix(None, 0.0)
        import kenlm

        context = kenlm.State()
        self._model.model.BeginSentenceWrite(context)
        return Prefix(context, 0.0)

    def extend(self, state: Prefix, text: str) -> Prefix:
        """The prefix with the text of one token more."""
        new = Prefix(state.context, state.settled)
        new.word, new.strange, new.hot = state.word, state.strange, state.hot
        for character in text:
            if character == " ":
                self._space(new)
                continue
            new.hot, _ = self._hot.spelt(new.hot, new.word, character)
            new.word += character
            if self._model is not None and not new.strange:
                new.strange = not (self._model.begins(new.word) or self._hot.begins(new.word))
        new.score = (
            new.settled + (self._unknown(new.word) if new.strange else 0.0) + (new.hot.bonus if new.hot else 0.0)
        )
        return new

    def finish(self, state: Prefix) -> float:
        """The score with the last word and the end of the sentence."""
        last = Prefix(state.context, state.settled)
        last.word, last.strange, last.hot = state.word, state.strange, state.hot
        self._space(last)
        if self._model is None:
            return last.settled
        import kenlm

        return last.settled + self._alpha * float(self._model.model.BaseScore(last.context, "</s>", kenlm.State()))

    def _unknown(self, word: str) -> float:
        """What a word costs that the language model does not know."""
        return self._unknown_word + self._unknown_letter * len(word)

    def _space(self, new: Prefix) -> None:
        """The word is finished, where there is one."""
        if not new.word:
            return
        new.hot, kept = self._hot.spelt(new.hot, new.word, " ")
        new.settled += kept
        if self._model is not None:
            import kenlm

            context = kenlm.State()
            new.settled += self._alpha * float(self._model.model.BaseScore(new.context, new.word, context)) + self._beta
            if not (self._model.knows(new.word) or new.word in self._hot.words):
                new.settled += self._unknown(new.word)
            new.context = context
        new.word, new.strange = "", False
