"""Whether a language model and hot words are written in the alphabet of an acoustic model."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vox_lm.models import NGrams, opened
from voxcli.api import Alphabet
from voxcli.errors import DataError

if TYPE_CHECKING:
    from vox_lm.decoder import LanguageModel

log = logging.getLogger(__name__)

LEAST = 0.5
"""Share of the words that have to be writable. Lists of words hold numerals and foreign names, seldom a tenth; another
script or case leaves next to none."""
SHOWN = 12  # characters


def check(decoder: LanguageModel, alphabet: Alphabet) -> None:
    """Raise `DataError` where most words of the model, or any hot word, cannot be written."""
    writable = alphabet.characters
    if not any(" " in token for token in alphabet.tokens):
        raise DataError(
            "this model writes no spaces, and a language model of words needs to see where words end",
            help='type = "beam" searches without one',
        )
    if decoder.path is not None:
        _model(opened(decoder.path), writable)
    for phrase in decoder.hot_words:
        missing = sorted(set(phrase) - {" "} - writable)
        if missing:
            raise DataError(
                f"the hot word '{phrase}' has characters that the model never writes: {' '.join(missing)}",
                help=_case(phrase, writable) or f"it writes: {_shown(writable)}",
            )


def _model(model: NGrams, writable: frozenset[str]) -> None:
    missing: Counter[str] = Counter()
    count = 0
    for word in model.words:
        if strange := set(word) - writable:
            missing.update(strange)
            count += 1
    share = 1 - count / len(model.words)
    foreign = " ".join(character for character, _ in missing.most_common(SHOWN))
    if share < LEAST:
        raise DataError(
            f"the language model {model.path} is of another alphabet: the acoustic model can write {share:.0%} of its "
            f"{len(model.words)} words. Theirs, not its: {foreign}",
            help=_case("".join(model.words[:1000]), writable)
            or f"the acoustic model writes: {_shown(writable)}. Build the model from texts after the recipe's [text] "
            "rules: vox lm build RECIPE",
        )
    if count:
        log.info("%s: %d of %d words cannot be written, by %s", model.path, count, len(model.words), foreign)


def _case(text: str, writable: frozenset[str]) -> str | None:
    """The help where only the case differs."""
    for name, folded in (("upper", text.upper()), ("lower", text.lower())):
        if folded != text and _part(folded, writable) > 0.9 > _part(text, writable):
            return f"the acoustic model writes {name} case: build it from texts in {name} case"
    return None


def _part(text: Iterable[str], writable: frozenset[str]) -> float:
    letters = [character for character in text if character != " "]
    return sum(character in writable for character in letters) / max(len(letters), 1)


def _shown(writable: frozenset[str]) -> str:
    shown = "".join(sorted(writable))
    return shown if len(shown) <= 80 else f"{shown[:80]}…"
