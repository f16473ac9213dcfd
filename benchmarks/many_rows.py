"""The start of a training on a manifest of a million rows: seconds to the first batch, memory, and resuming far on.

python benchmarks/many_rows.py [--rows 1000000] [--folder FOLDER]

Each start is a process of its own, from its first instruction to the first batch of features in the training process,
the checks that `vox train` makes left out: with an empty cache, and three times with what the first has left there.
"more" is its resident memory beyond that of the same recipe with 800 rows; the batches of an epoch are looked
through for every row exactly once. Then a run that stands at step 10 and one at step 1,000,000 take their next batch.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import doctor_scale


def main() -> None:
    """Print a line for each start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--step", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.start:
        _start(asked.start, asked.step)
        return
    with tempfile.TemporaryDirectory(prefix="vox-rows-", dir=asked.folder) as place:
        folder = Path(place)
        doctor_scale.plain(folder / "few", 800)
        _measured(doctor_scale.recipe(folder / "few"), folder, 0)
        few = _measured(folder / "few/r.toml", folder, 0)
        print(f"{'800 rows':24}{few['batch']:7.1f} s  {few['resident'] / 1e6:6.0f} MB")
        doctor_scale.plain(folder / "many", asked.rows)
        recipe = doctor_scale.recipe(folder / "many")
        for title, step in (
            ("empty cache", 0),
            ("second start", 0),
            ("third start", 0),
            ("fourth start", 0),
            ("at step 10", 10),
            ("at step 1,000,000", 1_000_000),
            ("at step 10", 10),
            ("at step 1,000,000", 1_000_000),
        ):
            made = _measured(recipe, folder, step)
            more = (made["resident"] - few["resident"]) / 1e6
            print(
                f"{title:24}{made['batch']:7.1f} s  {made['resident'] / 1e6:6.0f} MB ({more:+.0f})  peak "
                f"{made['peak'] / 1e6:6.0f} MB  from run to batch {made['next']:.2f} s  {made['rows']:,} rows, "
                f"{made['seen']:,} different ones in the epoch's {made['batches']:,} batches",
                flush=True,
            )


def _measured(recipe: Path, folder: Path, step: int) -> dict[str, float]:
    environment = {**os.environ, "VOX_CACHE": str(folder / "cache"), "BEGIN": repr(time.time())}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's start finds compiled files
    command = [sys.executable, __file__, "--start", str(recipe), "--step", str(step)]
    made = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(made.stdout)
    return found


def _start(path: Path, step: int) -> None:
    """Prepare the run of a recipe, stand at a step, take the next batch."""
    import resource

    from voxcli.cli import imports
    from voxcli.recipe.resolve import resolve

    recipe = resolve(str(path))
    imports.libraries()  # as `vox train` does
    from voxcli.train.prepare import prepare
    from voxcli.train.steps import steps

    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        run = prepare(recipe, folder=Path(place) / "run")
        count = len(run.batches(0))
        run.state.step, (run.state.epoch, run.state.position) = step, divmod(step, count)
        run._batches = None
        begin = time.perf_counter()
        source = steps(run)
        next(source)
        now = time.perf_counter()
        found = {
            "batch": time.time() - float(os.environ["BEGIN"]),
            "next": now - begin,
            "resident": _resident(),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        batches = run.batches(run.state.epoch)
        rows = [int(row) for batch in batches for row in batch]
        found |= {"rows": len(run.splits.train), "seen": len(set(rows)), "batches": len(batches)}
        assert len(rows) == len(set(rows)) == len(run.splits.train)
        print(json.dumps(found))
        source.close()


def _resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
