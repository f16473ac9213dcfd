"""ms that each augmentation takes for ten seconds of speech at 16 kHz, on one core.

    OMP_NUM_THREADS=1 python benchmarks/augmentations.py [--noise FOLDER] [--rounds 15]

The median over rounds that each draw anew; the clip is ten seconds of the shipped English prompts. Prints a Markdown
table, which docs/augment.md holds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from voxcli.api import Utterance
from voxcli.audio.decode import read
from voxcli.augment.audiomentations import Audiomentations
from voxcli.augment.clipping import Clipping
from voxcli.augment.codec import Codec
from voxcli.augment.gain import Gain
from voxcli.augment.low_pass import LowPass
from voxcli.augment.mix import Mix
from voxcli.augment.noise import Noise
from voxcli.augment.pitch import Pitch
from voxcli.augment.reverb import Reverb
from voxcli.augment.spec_augment import SpecAugment
from voxcli.augment.speed import Speed
from voxcli.augment.telephone import Telephone
from voxcli.augment.time_mask import TimeMask
from voxcli.augment.time_stretch import TimeStretch

RATE = 16000


class Split:
    """The prompts as a training split, for `mix`."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def utterance(self, row: int) -> Utterance:
        return Utterance(self.paths[row].name, self.paths[row], duration=soundfile.info(self.paths[row]).duration)

    def audio(self, row: int) -> np.ndarray:
        return read(self.paths[row], sampling_rate=RATE)


def main() -> None:
    """Time each and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--noise", type=Path, help="a folder of noise; white noise is written where it is missing")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with as_file(files("voxcli") / "sample" / "speech" / "audio") as folder, tempfile.TemporaryDirectory() as made:
        split = Split(sorted(folder.glob("*.flac")))
        clip = np.resize(np.concatenate([split.audio(row) for row in range(12)]), 10 * RATE)
        noise = given.noise or _white(Path(made))
        named: dict[str, Any] = {
            "gain": Gain(),
            "speed": Speed(factors=(0.9, 1.1)),
            "time-stretch": TimeStretch(),
            "pitch": Pitch(),
            "noise": Noise(root=noise),
            "noise, five voices": Noise(root=noise, voices=(5, 5)),
            "reverb, computed": Reverb(),
            "reverb, folder": Reverb(root=_responses(Path(made) / "rooms")),
            "mix, background": Mix(),
            "clipping": Clipping(),
            "low-pass": LowPass(),
            "telephone": Telephone(),
            "codec, mp3": Codec(codecs=("mp3",)),
            "codec, opus": Codec(codecs=("opus",)),
            "codec, vorbis": Codec(codecs=("vorbis",)),
            "codec, gsm": Codec(codecs=("gsm",)),
            "time-mask": TimeMask(),
            "spec-augment": SpecAugment(),
            "audiomentations, SevenBandParametricEQ": Audiomentations(transform="SevenBandParametricEQ"),
            "audiomentations, PitchShift": Audiomentations(transform="PitchShift"),
        }
        print("| augmentation | ms for 10 s |\n|---|---|")
        for name, augmentation in named.items():
            print(f"| {name} | {_median(augmentation, clip, split, given.rounds):.1f} |", flush=True)


def _median(augmentation: Any, clip: np.ndarray, split: Split, rounds: int) -> float:
    seconds = []
    for seed in range(rounds + 1):
        rng = np.random.default_rng(seed)
        begin = time.process_time()  # of this process: others on the machine do not count
        if isinstance(augmentation, Mix):
            augmentation.blend(split.utterance(0), clip, RATE, rng, split)
        else:
            augmentation(clip, RATE, rng)
        seconds.append(time.process_time() - begin)
    return 1000 * statistics.median(seconds[1:])  # the first also imports


def _white(folder: Path) -> Path:
    soundfile.write(folder / "white.wav", 0.1 * np.random.default_rng(0).standard_normal(60 * RATE), RATE)
    return folder


def _responses(folder: Path) -> Path:
    folder.mkdir()
    decay = np.exp(-np.arange(RATE) / (0.07 * RATE))
    for number in range(8):
        soundfile.write(folder / f"{number}.wav", np.random.default_rng(number).standard_normal(RATE) * decay / 5, RATE)
    return folder


if __name__ == "__main__":
    main()
