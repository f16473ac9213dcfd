"""Two utterances of the training split in one clip: another under it, or another after it.

`background` plays other utterances below the clip, and the label stays: who is nearer is meant. `join` puts another
utterance after it and joins the texts, for models that meet longer speech than the clips they learn from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from voxcli.api import Finding, Segment, config
from voxcli.augment import bounds, draws
from voxcli.augment.segments import moved

if TYPE_CHECKING:
    import numpy as np

    from voxcli.api import Others, Utterance

_TRIES = 8  # utterances drawn before the clip stays as it is: some are too long, or of the same speaker


@config
class Mix:
    """Mixes utterances of the training split."""

    p: float = 0.2
    """Share of the training utterances that are mixed."""
    mode: Literal["background", "join"] = "background"
    """`background`: others sound below the clip, its text stays. `join`: another follows, its text too."""
    snr_db: tuple[float, float] = (5.0, 20.0)
    """Background: range of the ratio of the clip to all others together, dB, drawn uniformly."""
    voices: tuple[int, int] = (1, 1)
    """Background: how many others speak at once, drawn from this range; `[3, 7]` is babble."""
    gap: tuple[float, float] = (0.1, 0.5)
    """Join: range of the silence between the two, s, drawn uniformly."""
    max_duration: float = 30.0
    """Join: the longest that comes out, s. Only utterances that are no longer than the clip are joined to it, so that
    batches, which leave room for whatever is drawn, count it twice at most."""
    separator: str = " "
    """Join: what stands between the texts; `""` for scripts without spaces."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,): by itself there is nothing to mix with."""
        return audio

    def blend(
        self, utterance: Utterance, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator, others: Others
    ) -> tuple[np.ndarray, Utterance]:
        """(N,) -> (N,) with the utterance as it was, or (M,) with its text and the other's."""
        if self.mode == "join":
            return self._joined(utterance, audio, sampling_rate, rng, others)
        return self._under(utterance, audio, rng, others), utterance

    def _under(self, utterance: Utterance, audio: np.ndarray, rng: np.random.Generator, others: Others) -> np.ndarray:
        import numpy as np

        from voxcli.audio.level import SILENCE, fitted, mixed, power

        count, ratio = draws.count(self.voices, rng), draws.between(self.snr_db, rng)
        sounds = []
        for row in self._rows(utterance, rng, others, count):
            place, sound = float(rng.random()), _audio(others, row)
            if sound is not None and (loud := power(sound)) >= SILENCE:
                part = fitted(sound / np.float32(np.sqrt(loud)), len(audio), place)
                sounds.append(part)
        if not sounds or power(audio) < SILENCE:
            return audio
        under = np.asarray(np.sum(sounds, axis=0), dtype=np.float32)
        return mixed(audio, under, ratio) if power(under) >= SILENCE else audio

    def _rows(self, utterance: Utterance, rng: np.random.Generator, others: Others, count: int) -> Iterator[int]:
        """Rows of `count` others, by other speakers where speakers are known; fewer where draws find none."""
        for _ in range(count):
            for _ in range(_TRIES):
                row = int(rng.integers(len(others)))
                other = others.utterance(row)
                same = utterance.speaker is not None and other.speaker == utterance.speaker
                if other.id != utterance.id and not same:
                    yield row
                    break

    def _joined(
        self, utterance: Utterance, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator, others: Others
    ) -> tuple[np.ndarray, Utterance]:
        import numpy as np

        gap = draws.between(self.gap, rng)
        length = len(audio) / sampling_rate
        room = min(length, self.max_duration - length - gap)
        for _ in range(_TRIES):
            row = int(rng.integers(len(others)))
            other = others.utterance(row)
            if other.id == utterance.id or (other.duration or 0.0) > room or not _of_a_kind(utterance, other):
                continue
            sound = _audio(others, row)
            if sound is None or len(sound) > room * sampling_rate + 1:
                continue
            silence = np.zeros(round(gap * sampling_rate), dtype=np.float32)
            whole = np.concatenate([audio, silence, sound])
            text = None if utterance.text is None else f"{utterance.text}{self.separator}{other.text}"
            begin = (len(audio) + len(silence)) / sampling_rate
            segments = _segments(utterance, other, begin, len(sound) / sampling_rate)
            return whole, utterance.replace(text=text, duration=len(whole) / sampling_rate, segments=segments)
        return audio, utterance

    def longest(self, duration: float) -> float:
        """Twice the clip and the gap, s, as far as `max_duration`."""
        if self.mode == "background":
            return duration
        return max(duration, min(2 * duration + max(self.gap), self.max_duration))

    def findings(self) -> Iterator[Finding]:
        """A share that is none; ratios and lengths that cannot be."""
        yield from bounds.share(self.p)
        yield from bounds.within("snr_db", self.snr_db, -30, 100, "5 to 20 is usual", unit="dB")
        yield from bounds.within("voices", self.voices, 1, 20, "1, or 3 to 7 for babble")
        yield from bounds.within("gap", self.gap, 0, 10, "0.1 to 0.5", unit="s")
        yield from bounds.within("max_duration", self.max_duration, 0.1, 3600, "30.0", unit="s")


def _segments(utterance: Utterance, other: Utterance, begin: float, duration: float) -> tuple[Segment, ...]:
    """The segments of both, the other's from `begin` s on; one for all of it where it has none."""
    if not utterance.segments:
        return ()
    own = other.segments or (Segment(other.text or "", 0.0, duration),)
    return (*utterance.segments, *moved(own, later=begin))


def _audio(others: Others, row: int) -> np.ndarray | None:
    """None where it cannot be read: that is said when its own turn comes."""
    from voxcli.errors import VoxError

    try:
        return others.audio(row)
    except VoxError:
        return None


def _of_a_kind(utterance: Utterance, other: Utterance) -> bool:
    """Whether both have a text or neither has, in one language, with one label."""
    texts = (utterance.text is None) == (other.text is None)
    return texts and utterance.language == other.language and utterance.label == other.label
