"""Where a session of a run begins and how it ends, for log.jsonl. A killed process leaves a beginning alone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from voxcli.errors import TrainingError, VoxError

if TYPE_CHECKING:
    from voxcli.train.run import Run

_CHUNK = 8192  # ids that are Python strings at a time


def begin(run: Run) -> None:
    """Log where this session begins, on what, and the order of its first epoch."""
    if run.rank != 0:
        return
    state = run.state
    session = {
        "resumed": run.resumed_from is not None,
        "world": run.world,
        "device": str(run.device),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "epoch": state.epoch,
        "order": order(run, state.epoch),
    }
    run.log({"step": state.step, "session": session})


def end(run: Run, error: BaseException | None) -> None:
    """Log how this session ended. A disk that takes no more does not hide the error that there was."""
    if run.rank != 0:
        return
    entry: dict[str, Any] = {"step": run.state.step}
    if error is None:
        entry["end"] = "stopped early" if run.state.stopped_early else "finished"
    elif isinstance(error, KeyboardInterrupt):
        entry["end"] = "interrupted"
    else:
        entry |= {"end": "error", "error": _described(error)}
    with contextlib.suppress(TrainingError):
        run.log(entry)


def order(run: Run, epoch: int) -> str:
    """A hash of the ids of an epoch's batches, in their order: where it differs, the data come in another order."""
    batches = run.batches(epoch)
    digest = hashlib.blake2b(np.array([len(batch) for batch in batches], dtype=np.int64).tobytes(), digest_size=8)
    ids = run.table(epoch).ids.array
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *batches])
    for start in range(0, len(rows), _CHUNK):
        names = ids.take(pa.array(rows[start : start + _CHUNK])).to_pylist()
        digest.update("\n".join(names).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _described(error: BaseException) -> dict[str, Any]:
    said = (error.message, error.help) if isinstance(error, VoxError) else (str(error), None)
    return {
        "type": type(error).__name__,
        "message": said[0],
        "help": said[1],
        "utterances": list(getattr(error, "utterances", ())),
    }
