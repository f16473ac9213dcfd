"""Background noise from a folder, mixed at a drawn signal-to-noise ratio: noise, music, or babble of several voices.

The ratio is that of the mean power of the clip to the mean power of the noise under it. What is played is a random
stretch of a random file, read by seeking; a file shorter than the clip is repeated from a random point. Babble is the
sum of several files at one level each (Kaldi's recipes take three to seven of MUSAN's speech).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.api import Finding, config
from voxcli.augment import bounds, draws
from voxcli.augment.recordings import files_in, folder_findings, stretch

if TYPE_CHECKING:
    import numpy as np


@config
class Noise:
    """Adds background noise. Hard ratios (below 5 dB) help noisy test sets and cost a little on clean ones."""

    root: Path
    """Folder of noise files (MUSAN's `noise`, DEMAND, recordings of your own); searched with its sub-folders."""
    p: float = 0.5
    """Share of the training utterances that get noise."""
    snr_db: tuple[float, float] = (5.0, 20.0)
    """Range of the ratio in dB, drawn uniformly. Lower is noisier."""
    labels: tuple[str, ...] = ()
    """Only files in sub-folders of these names (`music`), or with these labels in the folder's `manifest.csv` or
    `.tsv` (columns path, label). Empty: all files."""
    voices: tuple[int, int] = (1, 1)
    """How many files sound together, drawn from this range: `[3, 7]` of a folder of speech is babble."""

    def __call__(self, audio: np.ndarray, sampling_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(N,) -> (N,). A silent clip stays as it is. Raises `DataError` where the folder has nothing to play."""
        import numpy as np

        from voxcli.audio.level import SILENCE, mixed, power

        if power(audio) < SILENCE:
            return audio
        ratio = draws.between(self.snr_db, rng)
        files = files_in(self.root, self.labels)
        count = draws.count(self.voices, rng)
        drawn = [stretch(files, len(audio), sampling_rate, rng) for _ in range(count)]
        sounds = [sound for sound in drawn if sound is not None]
        if not sounds:
            return audio
        if len(sounds) > 1:
            sounds = [sound / np.float32(np.sqrt(power(sound))) for sound in sounds]
        noise = np.asarray(np.sum(sounds, axis=0), dtype=np.float32)
        return mixed(audio, noise, ratio) if power(noise) >= SILENCE else audio

    def longest(self, duration: float) -> float:
        """Noise lengthens nothing."""
        return duration

    def findings(self) -> Iterator[Finding]:
        """A folder that is not there or holds no audio, labels that it lacks; a share that is none."""
        yield from bounds.share(self.p)
        yield from bounds.within("snr_db", self.snr_db, -30, 100, "5 to 20 is usual", unit="dB")
        yield from bounds.within("voices", self.voices, 1, 20, "1 for noise or music, 3 to 7 for babble")
        yield from folder_findings(self.root, self.labels)
