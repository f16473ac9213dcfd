"""From the command to a trained checkpoint: vox against the pipeline of transformers' example scripts.

python benchmarks/training.py KIND --model MODEL --data manifest.csv [--steps 60] [--clips 8] [--rounds 1]
    [--systems vox-duration,vox,random,grouped] [--language bg] [--longest 10] [--lowercase]
    [--context merged] [--contexts window,merged,clip]

KIND is ctc or seq2seq (Whisper). All sides begin from one checkpoint, hear the same clips in as many steps of as many
clips at the same rates, in float32, and see the same texts; the reference is benchmarks/reference_pipeline.py, with
batches of random clips or (grouped) of similar length; vox-duration has batches of so many seconds as that many clips
last on average, as `batch_duration` has them, and vox-window, vox-merged and vox-clip train a Whisper with that
`encoder_context`. Each is a process of its own. "command" is the time from the start of the process until the trained
checkpoint is written, imports and features included, evaluation left out; "step" the mean of the steps; "memory" the
peak resident set; "disk" what was written beside the checkpoint. Plugins that are installed beside voxcli are left out.
The checkpoints are scored by `vox evaluate` on the test split, a Whisper in each context.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RECIPE = """
name = "benchmark"
seed = {seed}

[[data]]
type = "manifest"
path = "{data}/all.csv"

[filter]
min_duration = 0.0
max_duration = {longest}

[model]
type = "{type}"
checkpoint = "{model}"
{keys}

[train]
max_steps = {steps}
{batching}
learning_rate = {learning_rate}
warmup_steps = {warmup}
lr_scheduler_type = "linear"
eval_steps = {steps}
"""
PUNCTUATION = dict.fromkeys(map(ord, ',?.!-;:"“”…()&'), None)


def main() -> None:
    """Train by each system in turn, score, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("ctc", "seq2seq"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--longest", type=float, default=10.0)
    parser.add_argument("--language")
    parser.add_argument("--lowercase", action="store_true", help="lower case without punctuation")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--systems", default="vox,random,grouped")
    parser.add_argument("--context", default="merged", help="the encoder_context that vox trains a Whisper with")
    parser.add_argument("--contexts", default="window,merged", help="in which a Whisper is scored")
    given = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in given.systems.split(",")}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _splits(given, folder)
        for number in range(given.rounds):
            for name in runs:
                at = folder / f"{name}-{number}"
                at.mkdir()
                runs[name].append((_vox if name.startswith("vox") else _reference)(name, given, folder, at))
                shutil.rmtree(at)
    _show(given, runs)


def _splits(given: argparse.Namespace, folder: Path) -> None:
    """A CSV for each split with absolute paths and the texts as both sides learn them."""
    with given.data.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = []
    for row in rows:
        if float(row["duration"]) < given.longest:
            text = row.get("text") or row["label"]
            text = text.translate(PUNCTUATION).lower().strip() if given.lowercase else text
            kept.append([(given.data.parent / row["path"]).absolute(), row["duration"], text, row["split"]])
    if not any(row[3] == "validation" for row in kept):  # the reference needs one
        for row in [row for row in kept if row[3] == "train"][::20]:
            row[3] = "validation"
    for split in ("train", "validation", "test", "all"):
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "duration", "text", "split"])
            writer.writerows(row for row in kept if split in (row[3], "all"))


def _vox(name: str, given: argparse.Namespace, data: Path, at: Path) -> dict[str, Any]:
    context = name.removeprefix("vox-") if name in ("vox-window", "vox-merged", "vox-clip") else given.context
    keys = 'vocabulary = "checkpoint"' if given.kind == "ctc" else f'encoder_context = "{context}"'
    if given.language and given.kind == "seq2seq":
        keys += f'\nlanguage = "{given.language}"'
    kind = "ctc" if given.kind == "ctc" else "whisper"
    batching = f"per_device_train_batch_size = {given.clips}"
    if name == "vox-duration":
        with (data / "train.csv").open(encoding="utf-8", newline="") as file:
            durations = [float(row["duration"]) for row in csv.DictReader(file)]
        batching = f"batch_duration = {given.clips * statistics.mean(durations):.1f}"
    values = vars(given) | {"data": data, "keys": keys, "type": kind, "batching": batching, "warmup": given.steps // 10}
    (at / "recipe.toml").write_text(RECIPE.format(**values), encoding="utf-8")
    environment = {"VOX_CACHE": str(at / "cache"), "VOX_DISABLE_PLUGINS": "all"}
    command = [sys.executable, "-m", "voxcli", "train", str(at / "recipe.toml"), "--run-dir", str(at / "run"), "--json"]
    made = _measured(command, given, environment)
    log = [json.loads(line) for line in (at / "run/log.jsonl").read_text().splitlines()]
    steps = [entry["seconds"] for entry in log if "loss" in entry and "learning_rate" in entry]
    waited = [entry.get("data_seconds", 0.0) for entry in log if "loss" in entry and "learning_rate" in entry]
    evaluated = sum(entry["seconds"] for entry in log if "validation" in entry)
    padding = statistics.mean(entry["padding"] for entry in log if "padding" in entry) if log else 0.0
    checkpoint = (at / "run/best").resolve()
    return made | {
        "command": made["wall"] - evaluated,
        "step": statistics.mean(steps),
        "training": sum(steps),
        "waited": sum(waited) / sum(steps),
        "padding": padding,
        "disk": _size(at) - _size(checkpoint),
        "scores": _scores(checkpoint, given, data, at),
    }


def _reference(name: str, given: argparse.Namespace, data: Path, at: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("reference_pipeline.py")), given.kind]
    command += [
        "--model",
        given.model,
        "--train",
        str(data / "train.csv"),
        "--validation",
        str(data / "validation.csv"),
    ]
    command += ["--out", str(at / "out"), "--cache", str(at / "cache"), "--steps", str(given.steps)]
    command += ["--clips", str(given.clips), "--learning-rate", str(given.learning_rate), "--seed", str(given.seed)]
    command += ["--longest", str(given.longest), *(["--group-by-length"] if name == "grouped" else [])]
    command += ["--language", given.language] if given.language and given.kind == "seq2seq" else []
    made = _measured(command, given, {})
    parts = json.loads(made["out"].strip().splitlines()[-1])
    return made | {
        "command": parts["command"],
        "step": parts["training"] / given.steps,
        "training": parts["training"],
        "features": parts["features"],
        "disk": _size(at) - _size(at / "out/model"),
        "scores": _scores(at / "out/model", given, data, at),
    }


def _measured(command: list[str], given: argparse.Namespace, more: dict[str, str]) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads), "HF_HUB_OFFLINE": "1", **more}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's start finds compiled files
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as said:
        begin = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=said, text=True)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        out.seek(0)
        said.seek(0)
        if status:
            raise SystemExit(f"{' '.join(command)}: {said.read()[-3000:]}")
        return {
            "wall": wall,
            "processor": used.ru_utime + used.ru_stime,
            "memory": used.ru_maxrss * 1024,
            "out": out.read(),
        }


def _scores(model: Path, given: argparse.Namespace, data: Path, at: Path) -> dict[str, str]:
    """WER of a checkpoint on the test split, a Whisper in each context."""
    contexts = given.contexts.split(",") if given.kind == "seq2seq" else [""]
    found = {}
    for context in contexts:
        command = [sys.executable, "-m", "voxcli", "evaluate", str(model), "--data", str(data / "all.csv")]
        command += ["--split", "test", "--worst", "0", "--json", "--output-dir", str(at / f"scores-{context}")]
        command += ["--encoder-context", context] if context else []
        if given.language and given.kind == "seq2seq":
            command += ["--language", given.language]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        raw = json.loads(made.stdout)["raw"]
        found[context or "wer"] = f"{100 * raw['wer']['rate']:.1f} / {100 * raw['cer']['rate']:.1f}"
    return found


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _show(given: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> None:
    def median(name: str, what: str) -> float:
        return statistics.median(run[what] for run in runs[name])

    first = next(iter(runs))
    scores = list(runs[first][0]["scores"])
    print(
        f"\n{given.kind}, {given.model}, {given.data}, {given.steps} steps of {given.clips} clips, seed {given.seed}\n"
    )
    heads = ["", "command s", "step s", "processor s", "memory GiB", "disk MB", *scores, "command", "step", "memory"]
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    for name, made in runs.items():
        cells = [
            name,
            f"{median(name, 'command'):.1f}",
            f"{median(name, 'step'):.3f}",
            f"{median(name, 'processor'):.0f}",
            f"{median(name, 'memory') / 2**30:.2f}",
            f"{median(name, 'disk') / 1e6:.1f}",
            *(made[-1]["scores"][one] for one in scores),
            *(f"{median(name, what) / median(first, what):.2f}" for what in ("command", "step", "memory")),
        ]
        print(f"| {' | '.join(cells)} |")
    for name, made in runs.items():
        if "waited" in made[-1]:
            print(
                f"{name}: padding {100 * median(name, 'padding'):.1f} %, waiting {100 * median(name, 'waited'):.2f} %"
            )
        else:
            print(f"{name}: features {median(name, 'features'):.1f} s, training {median(name, 'training'):.1f} s")


if __name__ == "__main__":
    main()
