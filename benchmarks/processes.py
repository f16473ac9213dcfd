"""Two processes with a core each beside one: seconds of audio a second on the same data.

python benchmarks/processes.py --model MODEL --data manifest.csv [--steps 40] [--batch-duration 30] [--rounds 2]
    [--type ctc] [--key vocabulary=checkpoint]

One process on one core takes two batches a step (`gradient_accumulation_steps = 2`), two processes (`vox train --nproc
2`, one core each, gloo) one each. Throughput is that of the steps after the first, without evaluations. That the losses
are the same for the same utterances is tested (tests/backends/test_invariance.py).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RECIPE = """
name = "processes"

[[data]]
type = "manifest"
path = "{data}"

[filter]
max_duration = 10.0

[model]
type = "{type}"
checkpoint = "{model}"
{keys}

[train]
max_steps = {steps}
batch_duration = {batch_duration}
gradient_accumulation_steps = {batches}
learning_rate = 1e-4
warmup_steps = 5
eval_steps = {steps}
"""


def main() -> None:
    """Train in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--type", default="ctc")
    parser.add_argument("--key", action="append", default=[], help="of [model], key=value")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-duration", type=float, default=30.0, help="s, of each batch")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    pace: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as place:
        for number in range(asked.rounds):
            for count in pace:
                log = _train(asked, count, Path(place) / f"{count}-{number}")
                steps = [entry for entry in log if "grad_norm" in entry]
                pace[count].append(
                    sum(entry["audio_seconds"] for entry in steps[1:]) / sum(entry["seconds"] for entry in steps[1:])
                )
    one, two = (statistics.median(pace[count]) for count in (1, 2))
    print(
        f"{asked.model.name}, {asked.steps} steps of two batches of {asked.batch_duration:g} s, {asked.rounds} rounds"
    )
    for count, found in pace.items():
        print(f"{count} process{'es' * (count > 1):2}  {statistics.median(found):7.1f} s of audio a second {found}")
    print(f"{two / one:.2f} times")


def _train(asked: argparse.Namespace, count: int, folder: Path) -> list[dict[str, float]]:
    folder.mkdir()
    recipe = folder / "recipe.toml"
    values = {
        **vars(asked),
        "batches": 3 - count,
        "data": asked.data.absolute(),
        "model": asked.model.absolute(),
        "keys": "\n".join('{} = "{}"'.format(*key.split("=", 1)) for key in asked.key),
    }
    recipe.write_text(RECIPE.format(**values), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "VOX_CACHE": str(folder.parent / "cache")}
    command = [sys.executable, "-m", "voxcli", "train", str(recipe), "--run-dir", str(folder / "run"), "--no-doctor"]
    command += ["--nproc", "2"] if count == 2 else []
    prefix = [] if count == 2 else ["taskset", "-c", "0"]
    subprocess.run([*prefix, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    return [json.loads(line) for line in (folder / "run/log.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    main()
