"""A job -> its processes on this machine, or this machine's share of several, by PyTorch's elastic launcher.

The same as `torchrun --no-python COMMAND` (torch.distributed.run, https://docs.pytorch.org/docs/stable/elastic/run.html),
without its traceback where a process has said what is wrong, and with time for a checkpoint after Ctrl-C.
"""

from __future__ import annotations

import logging
import os
import uuid
from dataclasses import dataclass

from voxcli.errors import TrainingError, UsageError
from voxcli.train.launching import Job

SHUTDOWN = 600  # s that the processes have for their checkpoint
MARK = "VOX_LAUNCHED"
"""Set in the environment of the processes: who started them says how to go on after Ctrl-C."""


@dataclass(frozen=True)
class Processes:
    """How many there are, and where they meet."""

    nproc: int
    """On each machine."""
    nnodes: int = 1
    """Machines; on each of them the same command is given."""
    endpoint: str | None = None
    """HOST[:PORT] of one of the machines, for all of them."""

    def __post_init__(self) -> None:
        """Refuse machines that could not find each other."""
        if self.nnodes > 1 and not self.endpoint:
            raise UsageError(
                f"{self.nnodes} machines need a place to meet",
                help="--rdzv-endpoint HOST:29500, the name of one of them, in the command on each",
            )


def launch(job: Job, processes: Processes) -> None:
    """Train a job; process 0 shows what comes of it.

    Raises `TrainingError` where a process failed, which has said why, and `KeyboardInterrupt` after Ctrl-C.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.elastic")]:
        logging.getLogger(name).setLevel(logging.ERROR)  # what happens to the processes is said once, by us
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes.nproc)))
    os.environ[MARK] = "1"
    several = processes.nnodes > 1
    config = LaunchConfig(
        min_nodes=processes.nnodes,
        max_nodes=processes.nnodes,
        nproc_per_node=processes.nproc,
        run_id=job.name if several else uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint=processes.endpoint or "localhost:0",
        max_restarts=0,
        shutdown_timeout=SHUTDOWN,
    )
    try:
        elastic_launch(config, entrypoint=job.command[0])(*job.command[1:])
    except SignalException:
        raise KeyboardInterrupt from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        raise TrainingError(
            f"process {rank} of {processes.nproc * processes.nnodes} ended with exit code {failure.exitcode}",
            help="what it said stands above; --resume goes on from the newest checkpoint",
        ) from None
