"""Bounds for many utterances at once: whatever `problem` refuses is among the candidates, and few others are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxcli.api import Corpus, Split, Utterance
from voxcli.data.corpus import list_split
from voxcli.data.filters import refused
from voxcli.data.table import Table
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.tasks import bounds
from voxcli.tasks.bounds import by_byte, by_character, most_tokens
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.seq2seq import Seq2Seq

CHARACTERS = "aaab 'éßㅎ㍿ﷺ|Ωx\u0301"


class Rows:
    def __init__(self, rows: list[Utterance]) -> None:
        self.rows = rows

    def utterances(self, split: Split) -> Iterator[Utterance]:
        return iter(self.rows)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Texts and durations around every limit; None and characters without a class among them."""
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.wav").write_bytes(b"x")
    rng = random.Random(0)
    rows = []
    for number in range(400):
        text = "".join(rng.choices(CHARACTERS, k=rng.choice((0, 1, 5, 20, 60, 130)))) if number % 17 else None
        rows.append(
            Utterance(
                id=f"u{number}",
                audio=tmp_path / "a.wav",
                text=text,
                duration=rng.choice((0.01, 0.02, 0.025, 0.1, 0.4, 1.0, 2.99, 3.0, 3.009, 3.011, 5.0)),
                language=rng.choice((None, "tr", "English", "klingon")),
            )
        )
    return list_split([Rows(rows)], "train")


@pytest.mark.parametrize("kind", ["ctc", "whisper", "whisper in turkish"])
def test_all_that_is_refused_is_a_candidate(
    kind: str, table: Table, wav2vec2_folder: Path, whisper_folder: Path, corpus: Corpus
) -> None:
    family: Any = {
        "ctc": lambda: CTC(checkpoint=str(wav2vec2_folder)),
        "whisper": lambda: Whisper(checkpoint=str(whisper_folder)),
        "whisper in turkish": lambda: Whisper(checkpoint=str(whisper_folder), language="tr"),
    }[kind]()
    task: Any = CTCTask() if kind == "ctc" else Seq2Seq()
    bundle, limits = family.build(corpus), family.limits()
    found = task.candidates(table, limits, bundle)
    wrong = np.asarray([task.problem(utterance, limits, bundle) is not None for utterance in table])
    assert not (wrong & ~found).any()
    assert wrong.any()
    assert (found & ~wrong).mean() < 0.1
    every = refused(table, "train", lambda one: task.problem(one, limits, bundle))
    few = refused(
        table,
        "train",
        lambda one: task.problem(one, limits, bundle),
        candidates=lambda rows: task.candidates(rows, limits, bundle),
    )
    assert list(few[0].ids) == list(every[0].ids)
    assert few[1] == every[1]


def test_what_is_not_known_of_a_tokenizer_is_not_assumed(whisper_folder: Path, corpus: Corpus, table: Table) -> None:
    tokenizer = Whisper(checkpoint=str(whisper_folder)).build(corpus).processor.tokenizer
    assert by_byte(tokenizer)
    assert not by_character(tokenizer)

    class Other:
        """A tokenizer that may write characters out."""

        class backend_tokenizer:
            normalizer, pre_tokenizer = "NFKC", "Metaspace"

    texts = table.texts.array
    bound = most_tokens(texts, Other())
    for most, text in zip(bound.tolist(), texts.to_pylist(), strict=True):
        assert most == (len(text or "") + (text is not None) if (text or "").isascii() else 1 << 40) or text is None


def test_only_labels_that_may_be_too_long_are_read(
    table: Table, wav2vec2_folder: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million rows: the bytes of a text are known without reading it."""
    family = CTC(checkpoint=str(wav2vec2_folder))
    bundle = family.build(corpus)
    read: list[int] = []
    exact = bounds.most_frames_needed

    def counted(texts: Any, tokenizer: Any) -> np.ndarray:
        read.append(len(texts))
        return exact(texts, tokenizer)

    monkeypatch.setattr(bounds, "most_frames_needed", counted)
    frames = np.asarray([2 * len((text or "").encode()) for text in table.texts], np.int64)
    assert not bounds.too_long(table.texts, bundle.processor.tokenizer, frames).any()
    assert read == [0]
    frames = np.full(len(table), 60, np.int64)
    found = bounds.too_long(table.texts, bundle.processor.tokenizer, frames)
    assert list(found) == list(exact(table.texts.array, bundle.processor.tokenizer) > frames)
    assert read == [0, sum(len((text or "").encode()) > 30 for text in table.texts)]
    assert 0 < found.sum() < read[1] < len(table)
