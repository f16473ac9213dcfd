"""Which recordings are of another length than their texts let expect."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from voxcli.doctor.data.speech_rate import letters_of, unexpected
from voxcli.text.codepoints import CodePoints


def spoken(number: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Letters, and durations at 14 letters a second with half a second of silence, a quarter up or down."""
    rng = np.random.default_rng(seed)
    letters = rng.integers(3, 120, number).astype(np.float64)
    return letters, (0.5 + letters / 14.0) * np.exp(rng.normal(0.0, 0.25, number))


def test_ordinary_speech_is_silent():
    assert not any(unexpected(*spoken(number, seed=number)).any() for number in (30, 60, 400, 4000))


def test_a_short_word_in_a_long_pause_is_no_outlier():
    letters, durations = spoken(100)
    letters[0], durations[0] = 3.0, 3.0
    assert unexpected(letters, durations)[0] == 0


def test_exchanged_texts_are_found_on_both_sides():
    letters, durations = spoken(100)
    letters[:2], durations[:2] = (100.0, 12.0), (1.3, 7.6)
    assert unexpected(letters, durations)[:2].tolist() == [-1, 1]
    assert unexpected(letters, durations)[2:].tolist() == [0] * 98


def test_few_utterances_say_nothing():
    letters, durations = spoken(29)
    letters[0] = 4000.0
    assert not unexpected(letters, durations).any()


def test_texts_of_one_length():
    durations = np.full(50, 1.0)
    durations[7] = 30.0
    assert unexpected(np.full(50, 4.0), durations).tolist() == [int(row == 7) for row in range(50)]


def test_letters_are_what_is_spoken():
    texts = pa.chunked_array([["Well, yes!", "42 %", "日本語", None, "한국"]])
    assert letters_of(CodePoints(texts)).tolist() == [7, 2, 6, 0, 4]
