"""Parts of several utterances: what they say is what is heard, where they are cut, what cannot be spliced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxcli.align.file import Alignment, Token
from voxcli.api import Segment, Utterance
from voxcli.augment.splice import Splice
from voxcli.errors import DataError

RATE = 16000
LETTER = 0.1  # s


def tone(letter: str) -> np.ndarray:
    """What a letter sounds like: a tone of its own pitch, or silence."""
    time = np.arange(round(LETTER * RATE)) / RATE
    pitch = 400 + 100 * (ord(letter) - ord("a"))
    return (0.0 * time if letter == " " else 0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def heard_letters(audio: np.ndarray) -> str:
    """The letters that sound, each once however long, by the strongest pitch of every 10 ms."""
    found = []
    for begin in range(0, len(audio) - 320, 160):
        frame = audio[begin : begin + 320]
        if np.abs(frame).mean() > 0.1:
            spectrum = np.abs(np.fft.rfft(frame * np.hanning(320), RATE))
            found.append(chr(round((int(spectrum.argmax()) - 400) / 100) + ord("a")))
    return "".join(one for one, before in zip(found, ["", *found], strict=False) if one != before)


class Split:
    """Utterances whose letters are tones."""

    def __init__(self, *texts: str, **changes: object) -> None:
        self.rows = [
            Utterance(f"u{n}", Path(), duration=len(text) * LETTER, text=text).replace(**changes)
            for n, text in enumerate(texts)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def utterance(self, row: int) -> Utterance:
        return self.rows[row]

    def audio(self, row: int) -> np.ndarray:
        return np.concatenate([tone(letter) for letter in self.rows[row].text or ""])


def aligned(path: Path, split: Split) -> Path:
    fast = tuple(Token(letter, n * LETTER / 3, (n + 1) * LETTER / 3) for n, letter in enumerate("bcdef"))
    lines = [Alignment("fast", "bcdef", fast, -0.1).line()]  # not drawn: it says how fast one may speak
    for one in split.rows:
        text = one.text or ""
        tokens = tuple(Token(letter, n * LETTER, (n + 1) * LETTER) for n, letter in enumerate(text))
        lines.append(Alignment(one.id, text, tokens, -0.1).line())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def spliced(splice: Splice, split: Split, row: int = 0, seed: int = 0) -> tuple[np.ndarray, Utterance]:
    return splice.blend(split.utterance(row), split.audio(row), RATE, np.random.default_rng(seed), split)


TEXTS = ("bcdef ghijk lmnop", "qrstu vwxyz", "klmno bqrs cfghi", "defgh")


@pytest.mark.parametrize("inside", [0.0, 0.5, 1.0])
def test_what_is_heard_is_what_the_text_says(tmp_path: Path, inside: float) -> None:
    split = Split(*TEXTS)
    splice = Splice(alignment=aligned(tmp_path / "a.jsonl", split), inside=inside)
    texts = set()
    for seed in range(40):
        audio, utterance = spliced(splice, split, seed=seed)
        text = utterance.text or ""
        texts.add(text)
        letters = text.replace(" ", "")
        once = "".join(one for one, before in zip(letters, " " + letters, strict=False) if one != before)
        assert heard_letters(audio) == once
        assert utterance.duration == pytest.approx(len(audio) / RATE)
        assert len(audio) <= len(split.audio(0))
    assert len(texts - set(TEXTS)) > 10


def test_whole_words_stay_whole_and_cut_ones_have_two_letters(tmp_path: Path) -> None:
    split = Split(*TEXTS)
    path = aligned(tmp_path / "a.jsonl", split)
    words = {word for text in TEXTS for word in text.split()}
    for seed in range(20):
        _, utterance = spliced(Splice(alignment=path, inside=0.0), split, seed=seed)
        assert set((utterance.text or "").split()) <= words
        _, utterance = spliced(Splice(alignment=path, inside=1.0), split, seed=seed)
        assert min(len(word) for word in (utterance.text or "").split()) >= 2
    texts = {spliced(Splice(alignment=path, inside=1.0), split, seed=seed)[1].text for seed in range(20)}
    assert any(set((text or "").split()) - words for text in texts)


def test_a_seed_repeats_itself(tmp_path: Path) -> None:
    split = Split(*TEXTS)
    splice = Splice(alignment=aligned(tmp_path / "a.jsonl", split))
    one, other = spliced(splice, split, seed=5), spliced(splice, split, seed=5)
    assert np.array_equal(one[0], other[0])
    assert one[1] == other[1]
    assert len({spliced(splice, split, seed=seed)[1].text for seed in range(8)}) > 3


def test_words_are_cut_where_it_is_quietest(tmp_path: Path) -> None:
    """The letters' times are 60 ms late: a cut halfway between them would be inside a letter."""
    split = Split("bcdef ghijk")
    late = tuple(Token(letter, n * LETTER + 0.06, (n + 1) * LETTER + 0.06) for n, letter in enumerate("bcdef ghijk"))
    path = tmp_path / "a.jsonl"
    path.write_text(Alignment("u0", "bcdef ghijk", late, 0.0).line(), encoding="utf-8")
    splice = Splice(alignment=path, words=(1, 1), inside=0.0)
    heard = {heard_letters(spliced(splice, split, seed=seed)[0]) for seed in range(8)}
    assert heard <= {"bcdefghijk", "ghijkbcdef", "bcdef", "ghijk", "bcdefbcdef", "ghijkghijk"}


def test_nothing_is_spoken_faster_than_the_fastest(tmp_path: Path) -> None:
    """Tones leave no pauses between words, so parts in a row with spaces between would be faster than any of them."""
    split = Split(*TEXTS)
    path = aligned(tmp_path / "a.jsonl", split)
    path.write_text("\n".join(path.read_text("utf-8").splitlines()[1:]), encoding="utf-8")
    for seed in range(20):
        audio, utterance = spliced(Splice(alignment=path, inside=1.0), split, seed=seed)
        assert len(utterance.text or "") / (len(audio) / RATE) <= 1 / LETTER + 1e-6


def test_a_clip_too_short_for_two_parts_stays(tmp_path: Path) -> None:
    split = Split("bc", "defghijk lmnop")
    splice = Splice(alignment=aligned(tmp_path / "a.jsonl", split), inside=0.0)
    audio, utterance = spliced(splice, split)
    assert utterance is split.utterance(0)
    assert np.array_equal(audio, split.audio(0))


def test_a_script_without_spaces(tmp_path: Path) -> None:
    split = Split("bcdefghijklm", "nopqrstuvwxyz")
    splice = Splice(alignment=aligned(tmp_path / "a.jsonl", split), words=(2, 4), inside=0.0, separator="")
    texts = {spliced(splice, split, seed=seed)[1].text or "" for seed in range(10)}
    assert len(texts) > 5
    assert not any(" " in text for text in texts)


def test_other_languages_are_left_alone(tmp_path: Path) -> None:
    split = Split(*TEXTS, language="en")
    split.rows[1:] = [one.replace(language="fr") for one in split.rows[1:]]
    splice = Splice(alignment=aligned(tmp_path / "a.jsonl", split), inside=0.0)
    texts = " ".join(spliced(splice, split, seed=seed)[1].text or "" for seed in range(10))
    assert set(texts.split()) <= set(TEXTS[0].split())


def test_times_of_segments_go(tmp_path: Path) -> None:
    split = Split(*TEXTS, segments=(Segment("bcdef", 0.0, 0.5),))
    splice = Splice(alignment=aligned(tmp_path / "a.jsonl", split))
    found = [spliced(splice, split, seed=seed)[1] for seed in range(8)]
    assert {one.segments for one in found if one.text != TEXTS[0]} == {()}


def test_an_utterance_without_a_text_stays(tmp_path: Path) -> None:
    split = Split(*TEXTS)
    splice = Splice(alignment=aligned(tmp_path / "a.jsonl", split))
    silent = split.utterance(0).replace(text=None)
    audio, utterance = splice.blend(silent, split.audio(0), RATE, np.random.default_rng(0), split)
    assert utterance is silent
    assert np.array_equal(audio, split.audio(0))


@pytest.mark.parametrize(
    ("texts", "ids", "says"),
    [
        (("other text",), "u", "says other texts: 'other text' instead of 'bcdef ghijk lmnop'"),
        (TEXTS, "v", "is of other recordings"),
    ],
)
def test_an_alignment_of_other_data_is_refused(tmp_path: Path, texts: tuple[str, ...], ids: str, says: str) -> None:
    of = Split(*texts)
    of.rows = [one.replace(id=one.id.replace("u", ids)) for one in of.rows]
    with pytest.raises(DataError, match=says):
        spliced(Splice(alignment=aligned(tmp_path / "a.jsonl", of)), Split(*TEXTS))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"p": 1.5}, "p = 1.5 is no share"),
        ({"inside": -0.1}, "inside is -0.1"),
        ({"words": (0, 3)}, "words"),
    ],
)
def test_keys_that_cannot_be_meant(tmp_path: Path, keys: dict[str, object], says: str) -> None:
    splice = Splice(alignment=aligned(tmp_path / "a.jsonl", Split(*TEXTS)), **keys)  # type: ignore[arg-type]
    assert says in " ".join(one.message for one in splice.findings())


def test_a_file_that_is_no_alignment(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("path,text\n", encoding="utf-8")
    [finding] = Splice(alignment=path).findings()
    assert "a.jsonl, line 1 is no alignment" in finding.message
    assert "vox align" in (finding.help or "")
