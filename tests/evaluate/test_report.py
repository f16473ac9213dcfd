"""What a person reads of the scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxcli.api import Decoding, Utterance
from voxcli.evaluate.align import align
from voxcli.evaluate.report import aligned, describe, lines
from voxcli.evaluate.scores import Scored, Tally


def test_the_report() -> None:
    tally = Tally()
    for name, speaker, reference, hypothesis in [
        ("ann-1", "ann", "the cat sat on the mat", "the cat sat on the mat"),
        ("bob-1", "bob", "the cat sat", "a cap sat down"),
        ("bob-2", "bob", "Yes", "yes"),
    ]:
        utterance = Utterance(id=name, audio=Path("x.wav"), duration=30.0, text=reference, speaker=speaker)
        tally.add(Scored.of(utterance, hypothesis, reference.lower(), hypothesis.lower()))
    got = "\n".join(lines(tally.scores(decoding=Decoding(), seconds=1.0)))
    assert got == (
        "            WER %       95 %  CER %      95 %  words  sub  del  ins\n"
        "normalised   30.0  0.0–100.0   25.0  0.0–81.8     10    2    0    1\n"
        "raw          40.0  0.0–100.0   27.8  0.0–81.8     10    3    0    1\n"
        "\n"
        "by speaker  utterances  minutes  WER %  CER %  raw WER %\n"
        "bob                  2      1.0   75.0   64.3      100.0\n"
        "ann                  1      0.5    0.0    0.0        0.0\n"
        "\n"
        "most often confused: the → a (1), cat → cap (1)\n"
        "\n"
        "worst 1 of 3 (WER %, normalised; capitals are errors)\n"
        "  100.0  bob-1\n"
        "         ref  THE CAT sat ****\n"
        "         hyp  A   CAP sat DOWN"
    )


@pytest.mark.parametrize(
    ("reference", "hypothesis", "above", "below"),
    [
        ("one two three", "one three", "one TWO three", "one *** three"),
        ("", "thank you", "***** ***", "THANK YOU"),
        ("yes", "", "YES", "***"),
    ],
)
def test_texts_one_above_the_other(reference: str, hypothesis: str, above: str, below: str) -> None:
    assert aligned(align(reference, hypothesis)) == (above, below)


@pytest.mark.parametrize(
    ("decoding", "text"),
    [
        (Decoding(), "greedy, language as the model has it"),
        (
            Decoding(num_beams=4, language="tr", task="translate", max_new_tokens=50, no_repeat_ngram_size=3),
            "4 beams, language tr, translate, at most 50 tokens, no 3-gram twice",
        ),
        (Decoding(timestamps="word"), "greedy, language as the model has it, times by word"),
    ],
)
def test_the_decoding_in_one_line(decoding: Decoding, text: str) -> None:
    assert describe(decoding) == text
