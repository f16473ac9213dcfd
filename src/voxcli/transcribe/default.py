"""Which model is meant when none is named: the newest run below `./runs` that has a best checkpoint."""

from __future__ import annotations

from pathlib import Path

from voxcli.errors import UsageError

RUNS = Path("runs")


def newest_run(runs: Path = RUNS) -> Path:
    """The run whose best checkpoint is the newest. Raises `UsageError` where there is none."""
    found = [(best.stat().st_mtime, best.parent) for best in runs.glob("*/best") if best.exists()]
    if not found:
        where = f"{runs} holds no finished run" if runs.is_dir() else f"there is no folder {runs}"
        raise UsageError(
            f"no model is named, and {where}", help="--model RUN, FOLDER or HUB_ID, for example openai/whisper-small"
        )
    return max(found)[1]
