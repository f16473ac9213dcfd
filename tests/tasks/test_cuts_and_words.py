"""Where long recordings are cut, and how tokens become words."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer

from voxcli.tasks.cuts import quiet_cuts
from voxcli.tasks.whisper_words import words_of

RATE = 16_000


def test_cuts_fall_into_pauses() -> None:
    audio = np.random.default_rng(0).standard_normal(70 * RATE).astype(np.float32)
    for pause in (26.0, 50.0):
        audio[round(pause * RATE) : round((pause + 0.4) * RATE)] *= 0.001
    cuts = quiet_cuts(audio, 30 * RATE, RATE)
    assert [26.0 < cut / RATE < 26.4 for cut in cuts[:1]] == [True]
    assert [50.0 < cut / RATE < 50.4 for cut in cuts[1:]] == [True]


def test_no_piece_is_longer_than_the_window() -> None:
    for n_samples in (1, 48_000, 48_001, 500_000):
        bounds = [0, *quiet_cuts(np.zeros(n_samples, np.float32), 48_000, RATE), n_samples]
        assert all(0 < end - begin <= 48_000 for begin, end in itertools.pairwise(bounds))


def words(folder: Path, text: str, language: str) -> list[tuple[str, float, float]]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(text, add_special_tokens=False).input_ids
    ends = [0.1 * (index + 1) for index in range(len(tokens))]
    first_time = tokenizer.convert_tokens_to_ids("<|0.00|>")
    found = words_of(
        [first_time, *tokens, first_time + 99], [0.0, *ends, 9.0], tokenizer,
        language=language, start=0.0, stop_at=first_time,
    )  # fmt: skip
    return [(word.text, round(word.start, 2), round(word.end, 2)) for word in found]


def test_letters_of_several_bytes_stay_whole(whisper_folder: Path) -> None:
    assert words(whisper_folder, " ağı, bal", "tr") == [("ağı,", 0.1, 0.7), ("bal", 0.8, 1.1)]


def test_languages_without_spaces(whisper_folder: Path) -> None:
    found = words(whisper_folder, "你好。", "zh")
    assert [word for word, _, _ in found] == ["你", "好。"]
