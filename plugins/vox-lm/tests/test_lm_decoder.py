"""The decoder on frames that leave a choice, and what it refuses."""

from __future__ import annotations

import gzip
import itertools
import math
from pathlib import Path
from typing import Any

import kenlm
import pytest
from lm_texts import ALPHABET, SENTENCES, frames, text_of

from vox_lm.arpa import write
from vox_lm.decoder import LanguageModel
from vox_lm.hot_words import HotWords
from vox_lm.kneser_ney import estimate
from vox_lm.models import opened
from vox_lm.scoring import Words
from vox_lm.vocabulary import vocabulary
from voxcli.api import Alphabet
from voxcli.errors import DataError

HERE = Path(__file__).parent
DECIDES = frames(*"the ", "c", {"a": 0.3, "u": 0.6}, "t", *" sat")  # greedily "the cut sat"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    write(estimate(SENTENCES, 2), path)
    return path


def said(decoder: LanguageModel, log_probabilities: Any = DECIDES) -> str:
    return text_of([one.token for one in decoder.decode(log_probabilities, ALPHABET)])


def test_the_language_model_decides_where_the_frames_do_not(model: Path) -> None:
    assert said(LanguageModel(path=model)) == "the cat sat"
    assert said(LanguageModel(path=model, alpha=0.0, unknown_word=0.0, unknown_letter=0.0)) == "the cut sat"
    certain = frames(*"the ", "c", {"a": 0.001, "u": 0.99}, "t", *" sat")
    assert said(LanguageModel(path=model, unknown_word=0.0, unknown_letter=0.0), certain) == "the cut sat"


def test_a_binary_model_and_a_compressed_one_are_the_same_model(model: Path, tmp_path: Path) -> None:
    packed = tmp_path / "words.arpa.gz"
    packed.write_bytes(gzip.compress(model.read_bytes()))
    words = sorted(vocabulary(model))
    assert len(words) == 19
    for path in (HERE / "cat.trie.binary", HERE / "cat.probing.binary", packed):
        assert sorted(vocabulary(path)) == words
        assert said(LanguageModel(path=path)) == "the cat sat"


def test_a_score_is_that_of_the_sentence(model: Path) -> None:
    """Token by token, as characters or as pieces, the same as KenLM of the whole."""
    words = Words(opened(model), HotWords((), weight=0.0), alpha=0.7, beta=1.3, unknown_word=-4.0, unknown_letter=0.0)
    for text, unknown in (("the cat sat on the mat", 0), ("the zebra sat", 1), ("", 0)):
        whole = kenlm.Model(str(model)).score(text) * math.log(10) * 0.7 + 1.3 * len(text.split()) - 4.0 * unknown
        for pieces in (list(text), text.replace(" ", "\n ").split("\n") if text else []):
            state = words.start()
            for piece in pieces:
                state = words.extend(state, piece)
            assert words.finish(state) == pytest.approx(whole, abs=1e-4)


def test_a_word_that_cannot_become_a_known_one_costs_at_once(model: Path) -> None:
    words = Words(
        opened(model), HotWords(("zeppelin",), weight=0.0), alpha=0.0, beta=0.0, unknown_word=-4.0, unknown_letter=0.0
    )
    scores = [state.score for state in itertools.accumulate("caw", words.extend, initial=words.start())]
    assert scores == [0.0, 0.0, 0.0, -4.0]
    assert words.extend(words.start(), "zep").score == 0.0  # a hot word is a known one


def test_each_letter_of_an_unknown_word_costs(model: Path) -> None:
    words = Words(opened(model), HotWords((), weight=0.0), alpha=0.0, beta=0.0, unknown_word=-4.0, unknown_letter=-0.5)
    at_once = words.extend(words.start(), "zebra")
    assert at_once.score == pytest.approx(-4.0 - 5 * 0.5)
    assert words.finish(at_once) == pytest.approx(-4.0 - 5 * 0.5)
    assert words.finish(words.extend(words.start(), "the")) == pytest.approx(0.0)


def test_hot_words_alone() -> None:
    decoder = LanguageModel(hot_words=("cat",), hot_word_weight=3.0)
    assert said(decoder) == "the cat sat"
    assert said(LanguageModel(hot_words=("cathedral",), hot_word_weight=3.0)) == "the cut sat"


def test_the_bonus_of_a_hot_phrase_is_taken_back_where_it_is_not_said() -> None:
    words = Words(
        None, HotWords(("new york", "yak"), weight=6.0), alpha=1.0, beta=1.0, unknown_word=-9.0, unknown_letter=0.0
    )

    def scores(text: str) -> list[float]:
        return [round(state.score, 3) for state in itertools.accumulate(text, words.extend, initial=words.start())]

    def final(text: str) -> float:
        state = words.start()
        for character in text:
            state = words.extend(state, character)
        return words.finish(state)

    assert scores("new york ") == [0.0, 0.75, 1.5, 2.25, 3.0, 3.75, 4.5, 5.25, 6.0, 6.0]
    assert scores("newt") == [0.0, 0.75, 1.5, 2.25, 0.0]
    assert scores("xnew")[-1] == 0.0  # within a word it is none
    assert [final(text) for text in ("new york", "new yor", "new yak", "new yorker", "a new york yak")] == [
        6,
        0,
        6,
        0,
        12,
    ]


@pytest.mark.parametrize(
    ("alphabet", "expected"),
    [
        (Alphabet(("", " ", *"абвгдежзиклмнопрст"), 0), "is of another alphabet: the acoustic model can write 0%"),
        (Alphabet(("", " ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 0), "build it from texts in upper case"),
        (Alphabet(("", *"abcdefghijklmnopqrstuvwxyz"), 0), "writes no spaces"),
    ],
    ids=["script", "case", "no spaces"],
)
def test_another_alphabet_is_refused(model: Path, alphabet: Alphabet, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        LanguageModel(path=model).check(alphabet)
    assert expected in f"{caught.value.message} {caught.value.help}"
    LanguageModel(path=model).check(ALPHABET)


def test_a_hot_word_that_cannot_be_written() -> None:
    with pytest.raises(DataError, match="the hot word 'naïve' has characters that the model never writes: ï"):
        LanguageModel(hot_words=("naïve",)).check(ALPHABET)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"just some text\n", "neither an ARPA file nor a KenLM binary"),
        (b"\\data\\\nngram 1=2\n\n\\1-grams:\n-1\ta\n", "is not a language model that KenLM reads"),
        (b"\x80\x81\x82", "neither an ARPA file nor a KenLM binary"),
        (b"", "neither an ARPA file nor a KenLM binary"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_language_model(tmp_path: Path, content: bytes | None, expected: str) -> None:
    path = tmp_path / "lm.arpa"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=expected):
        LanguageModel(path=path).check(ALPHABET)
