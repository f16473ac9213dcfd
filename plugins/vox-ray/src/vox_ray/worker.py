"""What each process does: it is placed and connected by Ray Train, and then trains as under torchrun."""

from __future__ import annotations

import logging
import os
import socket
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.errors import TrainingError, VoxError

if TYPE_CHECKING:
    from voxcli.train.launching import Job
    from voxcli.train.run import Run


def work(settings: dict[str, Any]) -> None:
    """Train `settings["job"]` as the process that RANK names; how it ended goes through `settings["channel"]`.

    `mark` is a file in the run's folder that the driver has written, `level` that of the driver's log lines. What is
    raised counts as a failure for Ray, which may start all processes again: what a person has to repair is not raised.
    """
    import ray

    from vox_ray.channel import Line, LogLines
    from vox_ray.failures import sendable

    job: Job = settings["job"]
    channel = settings["channel"]
    rank = int(os.environ["RANK"])
    known = ray.get(channel.join.remote(rank, socket.gethostname()))
    if known["over"]:
        return
    line = Line(channel)
    log = logging.getLogger("voxcli")
    handler = LogLines(line, settings["level"])
    if rank == 0:
        log.addHandler(handler)
        log.setLevel(settings["level"])
        log.propagate = False

    def begun(run: Run) -> None:
        ray.get(channel.has_begun.remote())
        _stop_when_asked(line, run)

    kind: str = "interrupted"
    value: Any = None
    try:
        if not known["seen"]:
            _same_folder(job, settings["mark"], channel)
        value = job.run(resume=known["resume"], begun=begun, **({"progress": line} if rank == 0 else {}))
        kind = "finished"
    except KeyboardInterrupt:
        pass
    except VoxError as error:
        kind, value = "error", sendable(error)
    except BaseException:
        kind, value = "defect", traceback.format_exc()
        raise
    finally:
        log.removeHandler(handler)
        ray.get(channel.end.remote(rank, kind, value, line.close()))


def _stop_when_asked(line: Any, run: Run) -> None:
    """Ask a run to end after its step once the driver asks for it. Ray trains in a thread, where no signal arrives."""
    import threading

    def wait() -> None:
        line.stopped.wait()
        run.interruption.requested = True

    threading.Thread(target=wait, name="vox-ray-stop", daemon=True).start()


def _same_folder(job: Job, mark: str, channel: Any) -> None:
    """Raise `TrainingError` where the run's folder is not the one that the driver made, but another of that name."""
    import ray
    import torch.distributed as dist

    host = socket.gethostname()
    if not (job.folder / mark).is_file():
        what = "is another folder" if job.folder.is_dir() else "does not exist"
        raise TrainingError(
            f"the run's folder {job.folder} {what} on {host}",
            help="the processes of a run share its folder: --run-dir or backend.storage on a disk that all machines of "
            "the cluster have mounted, under the same name",
        )
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.barrier()
    if int(os.environ["RANK"]) == 0:
        Path(job.folder / mark).unlink(missing_ok=True)  # a run's folder is empty when it begins
        ray.get(channel.all_see.remote())
