"""New sentences of the old: parts of several utterances one after the other, cut between letters.

A model that learns from minutes of speech soon knows the sentences by heart, then the words: what it hears in a new
word is the old one that begins alike. Spliced clips say words and halves of words in an order that nobody can know, and
only their sound tells what they are. (Word-level splices: Lam et al. 2021, "On-the-fly aligned data augmentation for
sequence-to-sequence ASR", arXiv 2104.01393; the cuts inside words are ours.)

Where to cut is in a file that `vox align` wrote: between two words where it is quietest, inside a word halfway between
two letters.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws
from voxcli.errors import DataError, VoxError

if TYPE_CHECKING:
    import numpy as np

    from voxcli.align.file import Alignment
    from voxcli.api import Others, Utterance

_TRIES = 8  # utterances drawn for one part: some are not aligned, or of another language
_FADE = 0.01  # s that two parts overlap
_LOOKED_AT = 1000  # utterances, to see whether an alignment is of these data
_OFF = 4  # letters that a cut inside a word takes off at most
_WINDOW = 0.01  # s over which it is quiet


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of an utterance and what it says."""

    audio: np.ndarray
    text: str
    begins_inside: bool
    """Its first letter is not the first of a word."""
    ends_inside: bool


@config
class Splice:
    """Plays parts of training utterances instead of one, with the text that they say together."""

    alignment: Path
    """What `vox align` wrote of the training split; `sample-speech` is that of the shipped prompts."""
    p: float = 0.5
    """Share of the training utterances that are replaced. Much more, and words are forgotten for their parts."""
    words: tuple[int, int] = (1, 3)
    """How many words a part holds, drawn from this range; characters, where `separator` is empty."""
    inside: float = 0.5
    """Share of the parts' ends that are cut inside a word, two to four letters from its end. 0: whole words only."""
    separator: str = " "
    """What stands between the words; `""` for scripts without spaces."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,): by itself there is nothing to play instead."""
        return audio

    def blend(
        self, utterance: Utterance, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator, others: Others
    ) -> tuple[np.ndarray, Utterance]:
        """(N,) -> (M,) of at most as many samples, with the text of the parts; the clip as it was where nothing fits.

        Nothing is spoken faster than the fastest utterance of the file: a text that fits its frames still does. Raises
        `DataError` where the file knows none of the utterances.
        """
        import numpy as np

        if not utterance.text:
            return audio, utterance
        known = _known(self.alignment)
        known.check(others)
        fade = round(_FADE * sampling_rate)
        parts: list[_Part] = []
        room = len(audio)
        while part := self._drawn(utterance, sampling_rate, rng, others, known):
            if not fade < len(part.audio) <= room:
                break  # to draw again until one fits would fill clips with fragments
            parts.append(part)
            room -= len(part.audio)
        heard = _joined([part.audio for part in parts], fade)
        text = self._text(parts)
        if len(parts) < 2 or len(text) * sampling_rate > known.fastest * len(heard):
            return audio, utterance
        heard = np.asarray(heard, dtype=np.float32)
        return heard, utterance.replace(text=text, duration=len(heard) / sampling_rate, segments=())

    def _drawn(
        self, utterance: Utterance, sampling_rate: int, rng: np.random.Generator, others: Others, known: _Known
    ) -> _Part | None:
        """A part of an utterance that is aligned, can be read and is in the same language; None where none is drawn."""
        for _ in range(_TRIES):
            row = int(rng.integers(len(others)))
            other = others.utterance(row)
            found = known.of.get(other.id)
            if found is None or found.text != other.text or other.language != utterance.language:
                continue
            first, last, begins_inside, ends_inside = self._letters(found, rng)
            text = "".join(token.text for token in found.tokens[first:last]).strip()
            try:
                audio = others.audio(row)
            except VoxError:
                continue  # that is said when its own turn comes
            begin, end = (_cut(found, place, audio, sampling_rate) for place in (first, last))
            return _Part(audio[begin:end], text, begins_inside, ends_inside)
        return None

    def _letters(self, found: Alignment, rng: np.random.Generator) -> tuple[int, int, bool, bool]:
        """Which tokens a part takes, [first, last), and whether either end is inside a word."""
        starts = _starts(found) if self.separator else list(range(len(found.tokens)))
        count = min(draws.count(self.words, rng), len(starts))
        word = int(rng.integers(len(starts)))
        first = starts[word]
        last = starts[word + count] if word + count < len(starts) else len(found.tokens)
        begins_inside, ends_inside = bool(rng.random() < self.inside), bool(rng.random() < self.inside)
        # a cut before such a token leaves two letters of its word or more on either side
        inner = [place for place in range(first + 2, last - 1) if _together(found, place - 2, place + 2)]
        early = [place for place in inner if place <= first + _OFF] if begins_inside else []
        if early:
            first = int(rng.choice(early))
        late = [place for place in inner if place >= max(first + 2, last - _OFF)] if ends_inside else []
        if late:
            last = int(rng.choice(late))
        return first, last, bool(early), bool(late)

    def _text(self, parts: list[_Part]) -> str:
        text = ""
        for before, part in zip([None, *parts], parts, strict=False):
            joined = before is None or (before.ends_inside and part.begins_inside)
            text += part.text if joined else self.separator + part.text
        return text

    def longest(self, duration: float) -> float:
        """Parts are drawn as long as there is room."""
        return duration

    def findings(self) -> Iterator[Finding]:
        """A share that is none, a range without words, a file that holds no alignments."""
        yield from bounds.share(self.p)
        yield from bounds.within("words", self.words, 1, 100, "1 to 3")
        if not 0 <= self.inside <= 1:
            yield Finding("error", f"inside is {self.inside}, expected 0 to 1", None, path=("inside",))
        try:
            if self.alignment.exists():  # where it does not, that is said of every path
                _known(self.alignment)
        except DataError as error:
            yield Finding("error", error.message, error.help, path=("alignment",))


def _starts(found: Alignment) -> list[int]:
    """The tokens at which words begin."""
    starts = []
    before = " "
    for place, token in enumerate(found.tokens):
        if token.text.strip() and (before.endswith(" ") or token.text.startswith(" ")):
            starts.append(place)
        before = token.text
    return starts


def _together(found: Alignment, first: int, last: int) -> bool:
    """Whether the tokens [first, last) are of one word."""
    texts = [token.text for token in found.tokens[first:last]]
    return " " not in texts[0].lstrip(" ") + "".join(texts[1:]) and texts[0] != " "


def _cut(found: Alignment, place: int, audio: np.ndarray, sampling_rate: int) -> int:
    """The sample before which the token at `place` has not begun: the quietest between words, halfway inside one."""
    spoken = [number for number, token in enumerate(found.tokens) if token.text.strip()]
    earlier = [number for number in spoken if number < place]
    later = [number for number in spoken if number >= place]
    if not earlier:
        return 0
    if not later:
        return len(audio)
    left, right = found.tokens[earlier[-1]], found.tokens[later[0]]
    begin, end = (left.start + left.end) / 2, (right.start + right.end) / 2
    parted = later[0] - earlier[-1] > 1 or right.text.startswith(" ")
    return _quietest(audio, begin, end, sampling_rate) if parted else round((begin + end) / 2 * sampling_rate)


def _quietest(audio: np.ndarray, begin: float, end: float, sampling_rate: int) -> int:
    """The middle of the quietest 10 ms between two times, s."""
    import numpy as np

    window = max(round(_WINDOW * sampling_rate), 2)
    first, last = max(round(begin * sampling_rate), 0), min(round(end * sampling_rate), len(audio))
    if last - first < 2 * window:
        return (first + last) // 2
    power = np.convolve(audio[first:last].astype(np.float64) ** 2, np.ones(window), mode="valid")
    return first + int(power.argmin()) + window // 2


def _joined(parts: list[np.ndarray], fade: int) -> np.ndarray:
    """One after the other, each faded into the next over `fade` samples."""
    import numpy as np

    if not parts:
        return np.zeros(0, dtype=np.float32)
    rise = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    heard = parts[0]
    for part in parts[1:]:
        end = len(heard) - fade
        heard = np.concatenate([heard[:end], heard[end:] * (1 - rise) + part[:fade] * rise, part[fade:]])
    return heard


class _Known:
    """What a file says."""

    def __init__(self, path: Path) -> None:
        from voxcli.align.file import read

        self.path = path
        self.of = read(path)
        self.fastest = max(len(one.text) / max(one.tokens[-1].end, 1e-3) for one in self.of.values())
        """Characters a second of the utterance that is spoken fastest."""
        self._looked = False

    def check(self, others: Others) -> None:
        """Raise `DataError` where the file says nothing of these data, or nothing of what they say now."""
        if self._looked:
            return
        rows = range(0, len(others), max(len(others) // _LOOKED_AT, 1))
        named = [one for one in map(others.utterance, rows) if one.id in self.of]
        if not any(self.of[one.id].text == one.text for one in named):
            why = "is of other recordings"
            if named:
                why = f"says other texts: {self.of[named[0].id].text!r} instead of {named[0].text!r}"
            raise DataError(
                f"{self.path} {why}", help="make it anew, with a model of the same [text] rules: `vox align`"
            )
        self._looked = True


@functools.lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> _Known:
    return _Known(path)


def _known(path: Path) -> _Known:
    """What the file says, read once."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", help="`vox align` writes one") from error
