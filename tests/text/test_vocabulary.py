"""Classes of a CTC model and the tokenizer that goes with them."""

from __future__ import annotations

import pytest

from voxcli.errors import DataError
from voxcli.text.vocabulary import Vocabulary, characters_outside


def test_order_does_not_depend_on_the_input():
    vocabulary = Vocabulary.of("hello world")
    assert vocabulary == Vocabulary.of(" dehlorw") == Vocabulary.of(["world", "hello"])
    assert list(vocabulary.classes) == ["<pad>", "<unk>", "|", "d", "e", "h", "l", "o", "r", "w"]
    assert len(vocabulary) == 10
    assert "h" in vocabulary
    assert " " in vocabulary
    assert "x" not in vocabulary


@pytest.mark.parametrize(
    "text",
    ["hello  wood", "a b, n't .c 's", "ışık", "नमस्ते दुनिया", "น้ำ", "zero", "a_b ▁", "x<y> $1", "👍 ok"],
)
def test_what_is_encoded_is_decoded(text, tmp_path):
    from transformers import AutoTokenizer

    vocabulary = Vocabulary.of(text)
    for tokenizer in (
        vocabulary.tokenizer(),
        AutoTokenizer.from_pretrained(vocabulary.write_tokenizer(tmp_path / "made")),
    ):
        assert len(tokenizer) == tokenizer.vocab_size == len(vocabulary)
        ids = tokenizer(text).input_ids
        assert max(ids) < len(vocabulary)
        assert tokenizer.pad_token_id == 0
        assert 0 not in ids
        assert 1 not in ids
        assert tokenizer.decode(ids, group_tokens=False) == text
        frames = [frame for label in ids for frame in (label, label, 0)]  # as a CTC model says it: held, then blank
        assert tokenizer.decode(frames) == text


def test_a_bar_in_a_transcript_is_a_space():
    vocabulary = Vocabulary.of("a|b")
    assert vocabulary.characters == "ab"
    tokenizer = vocabulary.tokenizer()
    assert tokenizer("a|b").input_ids == tokenizer("a b").input_ids
    assert characters_outside(vocabulary, ["a|b"]) == {}


def test_unknown_characters_become_one_class():
    tokenizer = Vocabulary.of("abc").tokenizer()
    assert tokenizer("aéb").input_ids == [3, 1, 4]


def test_a_processor_of_a_log_mel_model_takes_it(tmp_path):
    from transformers import AutoProcessor, ParakeetFeatureExtractor, ParakeetProcessor

    tokenizer = Vocabulary.of("hello").tokenizer()
    ParakeetProcessor(ParakeetFeatureExtractor(), tokenizer).save_pretrained(tmp_path)
    read = AutoProcessor.from_pretrained(tmp_path)
    assert len(read.tokenizer) == len(tokenizer)
    h, e, el, o = tokenizer("helo").input_ids
    assert read.decode([h, h, 0, e, el, 0, el, o]) == "hello"


def test_characters_outside_are_counted():
    assert characters_outside(Vocabulary.of("abc"), ["a é é", None, "ß b"]) == {"é": 2, "ß": 1}
    assert characters_outside("abc", ["cab bac"]) == {}


def test_nothing_to_build_from():
    with pytest.raises(DataError, match="no characters"):
        Vocabulary.of("  ")
