"""Choose the English prompts that ship as `sample-speech` and copy them into the package.

In: a folder with `manifest.csv` (path, duration, text, split) made from Debian's asterisk-core-sounds-en-g722, decoded
to 16 kHz FLAC. Out: src/voxcli/sample/speech/{manifest.csv, audio/*.flac}; what is said in the validation or test split
is never said in training.

    python scripts/sample_speech.py FOLDER

Chosen: prompts of letters only (no digits, so that a character model has nothing to guess), up to 8 s, in an order
drawn once, until each split has the seconds below. Samples are rounded to 12 bits, whose noise is below that of G.722:
one second takes 12 kB instead of 20, so that twice the speech fits into the same package.

What is left joins the training split as Opus, up to 8.5 s, digits as words: 3 kB a second.
"""

from __future__ import annotations

import csv
import random
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile

OUT = Path(__file__).resolve().parents[1] / "src" / "voxcli" / "sample" / "speech"
SECONDS = {"train": 600.0, "validation": 45.0, "test": 80.0}
LONGEST = 8.0  # s
LONGEST_MORE = 8.5  # s, of what joins training: in a batch of 10 s also where it is spoken slower
OPUS = 0.95  # of libsndfile's scale, 0 to 1: some 20 kbit/s
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
STEP = 16  # of a 16-bit sample: 12 bits are left
LETTERS = re.compile(r"[A-Za-z' .,;:!?…-]+")
COLUMNS = ("path", "duration", "text", "language", "speaker", "split")


def main(source: Path) -> None:
    """Copy the chosen prompts of `source` and write their manifest."""
    with (source / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if LETTERS.fullmatch(row["text"])]
    rows = [row for row in rows if 0.5 <= float(row["duration"]) <= LONGEST]
    random.Random(0).shuffle(rows)
    taken = dict.fromkeys(SECONDS, 0.0)
    chosen = []
    for row in rows:
        duration = float(row["duration"])
        if taken[row["split"]] + duration <= SECONDS[row["split"]]:
            taken[row["split"]] += duration
            chosen.append(row)
    chosen = [row for row in chosen if said(row) not in {said(other) for other in chosen if later(row, other)}]
    chosen += more(source, chosen)
    chosen.sort(key=lambda row: (list(SECONDS).index(row["split"]), row["path"]))
    shutil.rmtree(OUT / "audio", ignore_errors=True)
    (OUT / "audio").mkdir(parents=True)
    for row in chosen:
        if row["path"].endswith(".opus"):
            samples, rate = soundfile.read((source / row["path"]).with_suffix(".flac"), dtype="float32")
            soundfile.write(OUT / row["path"], samples, rate, format="OGG", subtype="OPUS", compression_level=OPUS)
            continue
        samples, rate = soundfile.read(source / row["path"], dtype="int16")
        rounded = np.clip(np.round(samples / STEP) * STEP, -(2**15), 2**15 - STEP).astype(np.int16)
        soundfile.write(OUT / row["path"], rounded, rate, subtype="PCM_16", compression_level=1.0)
    with (OUT / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(chosen)
    for split in SECONDS:
        durations = [float(row["duration"]) for row in chosen if row["split"] == split]
        print(f"{split}: {len(durations)} prompts, {sum(durations):.0f} s")


def more(source: Path, chosen: list[dict[str, str]]) -> list[dict[str, str]]:
    """Every other prompt that says what is not held out, for the training split."""
    held_out = {said(row) for row in chosen if row["split"] != "train"}
    taken = {row["path"] for row in chosen}
    with (source / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["path"] not in taken]
    found = []
    for row in rows:
        words = re.sub(r"\b\d\b", lambda digit: DIGITS[int(digit.group())], row["text"])
        row = {**row, "text": words, "split": "train", "path": str(Path(row["path"]).with_suffix(".opus"))}
        if LETTERS.fullmatch(words) and 0.5 <= float(row["duration"]) <= LONGEST_MORE and said(row) not in held_out:
            found.append(row)
    return found


def said(row: dict[str, str]) -> str:
    """The words alone: a prompt with other punctuation says the same."""
    return " ".join(re.findall(r"[a-z']+", row["text"].lower()))


def later(row: dict[str, str], other: dict[str, str]) -> bool:
    """Whether `other` belongs to a split that `row` must not give away."""
    order = list(SECONDS)
    return order.index(row["split"]) < order.index(other["split"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
