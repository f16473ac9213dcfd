"""Seconds and memory of `vox doctor` on a manifest of a million rows and on the log of a run of 5,000 steps.

    python benchmarks/doctor_scale.py [--rows N] [--steps N] [--folder FOLDER] [--only TEXT]

Each is diagnosed in a process of its own, the manifests with an empty cache and once more with what the first has left
there. What importing costs is taken from a recipe of eight rows. Takes some minutes and 3 GB of disk; nothing is timed
in the test suite, because what a shared machine takes says nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from voxcli.testing_models import tiny_ctc

RATE = 16_000
_ENGLISH = "the of and to in that was he it is for as with his on be at by had not are but from or have an they"
_TURKISH = "ve bir bu için çok daha gibi kadar sonra ama olarak ile değil güzel şey büyük küçük öğrenci ışık"
WORDS, ABROAD = _ENGLISH.split(), _TURKISH.split()


def rows(count: int, words: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """(duration, text, speaker, split): sentences of 4 to 14 words at the pace of speech, 2 % of them set apart."""
    rng = random.Random(0)
    for number in range(count):
        text = " ".join(rng.choices(words, k=rng.randrange(4, 15)))
        split = {0: "validation", 1: "test"}.get(number % 100, "train")
        yield f"{len(text) / 14 + 0.4 + rng.random() * 0.4:.3f}", text, f"s{number % 997}", split


def plain(folder: Path, count: int, words: list[str] = WORDS) -> None:
    """CSV; every row has an id and one of fifty files."""
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir(parents=True)
    for number in range(50):
        noise = (0.1 * rng.standard_normal(20 * RATE)).astype(np.float32)
        soundfile.write(folder / f"audio/{number}.flac", noise, RATE)
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "path", "offset", "duration", "text", "speaker", "split"])
        for number, (duration, *rest) in enumerate(rows(count, words)):
            writer.writerow([f"u{number:07}", f"audio/{number % 50}.flac", f"{number // 50 % 8}", duration, *rest])


def abroad(folder: Path, count: int) -> None:
    """The same with letters beyond ASCII."""
    plain(folder, count, ABROAD)


def nemo(folder: Path, count: int) -> None:
    """JSON Lines, a manifest a split."""
    plain(folder, 0)
    files = {split: (folder / f"{split}.jsonl").open("w") for split in ("train", "validation", "test")}
    for number, (duration, text, _, split) in enumerate(rows(count, WORDS)):
        row = {"audio_filepath": f"audio/{number % 50}.flac", "offset": number // 50 % 8, "duration": float(duration)}
        files[split].write(json.dumps({**row, "id": f"u{number:07}", "text": text}) + "\n")
    for file in files.values():
        file.close()


def gone(folder: Path, count: int) -> None:
    """A file for each row, and half of them are not there."""
    (folder / "audio").mkdir(parents=True)
    sound = folder / "sound.flac"
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "duration", "text", "speaker", "split"])
        for number, (_, *rest) in enumerate(rows(count, WORDS)):
            if number % 50_000 == 0:  # a file has 65,000 names at most
                sound.unlink(missing_ok=True)
                soundfile.write(sound, (0.1 * np.random.default_rng(number).standard_normal(3 * RATE)), RATE)
            writer.writerow([f"audio/{number}.flac", "3.0", *rest])
            if number % 2:
                os.link(sound, folder / f"audio/{number}.flac")


def ragged(folder: Path, count: int) -> None:
    """Some rows in a thousand lack a field, others have no audio."""
    plain(folder, count)
    path = folder / "manifest.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    for number in range(500, len(lines), 1000):
        lines[number] = lines[number].rpartition(",")[0]
        lines[number + 1 - len(lines)] = lines[number + 1 - len(lines)].replace("audio/", "away/")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


DATA: dict[str, Callable[[Path, int], None]] = {
    "CSV": plain,
    "CSV, not ASCII": abroad,
    "JSONL": nemo,
    "half the files gone": gone,
    "uneven rows": ragged,
}


def recipe(folder: Path) -> Path:
    """A recipe beside the manifest."""
    tiny_ctc(folder / "ctc")
    one = 'path = "manifest.csv"'
    if (folder / "train.jsonl").exists():
        one = "\n".join(f'{split} = "{split}.jsonl"' for split in ("train", "validation", "test"))
    (folder / "r.toml").write_text(
        f'name = "large"\n[[data]]\ntype = "manifest"\n{one}\n[model]\ntype = "ctc"\ncheckpoint = "ctc"\n'
        "[train]\nmax_steps = 5000\nbatch_duration = 60.0\nlearning_rate = 1e-4\nuse_cpu = true\n"
    )
    return folder / "r.toml"


def run(folder: Path, steps: int) -> Path:
    """The folder of a run that went well."""
    plain(folder / "data", 100)
    made = folder / "run"
    made.mkdir()
    recipe(folder / "data").rename(made / "recipe.toml")
    rng = random.Random(0)
    session = {"resumed": False, "world": 1, "device": "cpu", "pid": 1, "host": "h", "time": "2026-01-01T00:00:00"}
    lines = [{"step": 0, "session": {**session, "epoch": 0, "order": "0"}}]
    for step in range(1, steps + 1):
        loss = 3.0 * math.exp(-step / 900) + 0.2 + 0.02 * rng.random()
        pace = {"epoch": step / 500, "audio_seconds": 55.0, "padded_seconds": 60.0, "seconds": 0.4}
        lines.append({"step": step, "loss": loss, "grad_norm": 1 + rng.random(), "learning_rate": 1e-4, **pace})
        if step % 500 == 0:
            scores = {"wer": loss / 4, "cer": loss / 10, "loss": loss + 0.05}
            lines.append({"step": step, "validation": scores, "best": True, "seconds": 9.0})
    lines.append({"step": steps, "end": "finished"})
    (made / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return made


def measured(subject: Path, cache: Path) -> tuple[float, float, str]:
    """(seconds, GB at the peak, what the report counts)."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "voxcli", "doctor", str(subject), "--json"],
        env={**os.environ, "VOX_CACHE": str(cache), "OMP_NUM_THREADS": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    report = json.loads(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    counts = ", ".join(f"{number} {level}s" for level, number in report["counts"].items() if number)
    found = " ".join(sorted({one["code"] for one in report["findings"] if one["level"] != "note"}))
    return seconds, usage.ru_maxrss * 1024 / 1e9, f"{counts or 'nothing'}  {found}"


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", default="", help="part of a name")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vox-scale-", dir=asked.folder) as place:
        folder = Path(place)
        plain(folder / "eight", 8)
        least, memory, _ = measured(recipe(folder / "eight"), folder / "cache")
        least = min(least, measured(folder / "eight/r.toml", folder / "cache")[0])
        print(f"{'eight rows (imports)':28}{least:8.1f} s  {memory:5.2f} GB", flush=True)
        for name, make in DATA.items():
            if asked.only not in name:
                continue
            make(folder / name, asked.rows)
            for when in ("cold", "warm"):
                seconds, memory, said = measured(recipe(folder / name), folder / "cache")
                title = f"{name}, {when}"
                print(f"{title:28}{seconds:8.1f} s  {memory:5.2f} GB  {said}", flush=True)
        if asked.only in "run":
            seconds, memory, said = measured(run(folder / "a run", asked.steps), folder / "cache")
            print(f"{f'a run of {asked.steps} steps':28}{seconds:8.1f} s  {memory:5.2f} GB  {said}", flush=True)
        print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
