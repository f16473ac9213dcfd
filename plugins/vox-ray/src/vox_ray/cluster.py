"""Where Ray runs: a cluster that exists, or one of this machine that ends with the run. Nothing is sent anywhere."""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from voxcli.errors import PluginError, TrainingError, UsageError

if TYPE_CHECKING:
    from vox_ray.backend import Ray

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # https://docs.ray.io/en/latest/cluster/usage-stats.html
    "RAY_TRAIN_METRICS_ENABLED": "0",  # figures for a dashboard
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean what they mean in `vox train`
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",  # s between two looks at the workers; Ray's own is 2
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker without GPUs sees none; unset, Ray warns of a change
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process more, which tells workers what these do not ask for
}
"""Set unless they are set already, before Ray is imported; its processes inherit them."""
OBJECT_STORE = 96 * 2**20
"""Bytes of shared memory on this machine: nothing but a job and lines of text go through it. Ray's least is 75 MiB, its
own choice a third of the memory."""
CONNECT = 10.0  # s for the cluster to answer
GIB = 2**30


@contextlib.contextmanager
def connected(backend: Ray) -> Iterator[bool]:
    """Ray, as long as this is entered; whether it is a cluster of this machine alone.

    Raises `PluginError` where ray is missing, `UsageError` for a runtime environment that is none, and `TrainingError`
    where the cluster cannot be reached.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise PluginError(
            f"the backend ray needs Ray Train, and {error.name or 'a part of it'} is missing",
            help="pip install 'ray[train]>=2.60,<3'",
        ) from error
    _to_log()
    address = backend.address or os.environ.get("RAY_ADDRESS") or "local"
    local = address == "local"
    settings: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if backend.runtime_env:
        settings["runtime_env"] = _environment(backend.runtime_env)
    if local:
        cores = max(os.cpu_count() or 1, round(backend.num_workers * backend.cpus_per_worker + 0.5))
        settings |= {"include_dashboard": False, "num_cpus": cores, "object_store_memory": OBJECT_STORE}
    try:
        try:
            _answers(address)
            ray.init(**settings)
        except (OSError, RuntimeError, ValueError) as error:
            what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            where = "Ray does not start on this machine" if local else f"the Ray cluster at {address} does not answer"
            raise TrainingError(
                f"{where}: {what}",
                help="free memory and disk, or give the address of a cluster"
                if local
                else "start one (`ray start --head`, then `ray start --address=…` on each other machine), or leave out "
                "backend.address to train on this machine alone",
            ) from error
        logging.getLogger("ray").setLevel(logging.ERROR)
        yield local
    finally:
        ray.shutdown()  # of a cluster that goes on it ends the processes of this run


def _environment(keys: dict[str, Any]) -> dict[str, Any]:
    """The runtime environment as it is. Raises `UsageError` for what Ray does not take."""
    from ray.runtime_env import RuntimeEnv

    try:
        RuntimeEnv(**keys)
    except (OSError, TypeError, ValueError) as error:
        what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"backend.runtime_env: {what}",
            help='keys and values are those of ray.runtime_env.RuntimeEnv, for example env_vars = { NAME = "2" }',
        ) from error
    return keys


def _answers(address: str) -> None:
    """Raise `OSError` where nobody listens at host:port, for which Ray itself would wait for a quarter of an hour."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT).close()


def _to_log() -> None:
    """Let what Ray prints on stdout whatever it is told (ray 2.60, `listen_error_messages`) be a line of the log."""
    from ray._private import worker

    def said(data: dict[str, Any], **_: Any) -> None:
        logging.getLogger("voxcli.vox_ray").info("%s", " ".join(data.get("lines", ())))

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = said


def resources(backend: Ray, *, use_cpu: bool) -> dict[str, float]:
    """What Ray sets aside for each process, by Ray's own names. Raises `UsageError` for GPUs that are not there."""
    import ray

    there = ray.cluster_resources()
    gpus = backend.gpus_per_worker
    if gpus is None:
        gpus = 1 if there.get("GPU") and not use_cpu else 0
    elif gpus and use_cpu:
        raise UsageError(f"backend.gpus_per_worker is {gpus}, and train.use_cpu is true", help="remove one of the two")
    asked: dict[str, float] = {"CPU": backend.cpus_per_worker}
    if gpus:
        asked["GPU"] = gpus
    if backend.memory_per_worker:
        asked["memory"] = backend.memory_per_worker * GIB
    return asked


def missing(asked: dict[str, float], workers: int) -> list[str]:
    """What the cluster has too little of, in words; it may be growing."""
    import ray

    there = ray.cluster_resources()
    return [
        f"{_amount(name, there.get(name, 0.0))} of {_amount(name, workers * each)} {_UNITS[name]}"
        for name, each in asked.items()
        if there.get(name, 0.0) < workers * each
    ]


_UNITS = {"CPU": "cores", "GPU": "GPUs", "memory": "GiB"}


def _amount(name: str, value: float) -> str:
    return f"{value / GIB:.1f}" if name == "memory" else f"{value:g}"


def forwarded(patterns: tuple[str, ...]) -> dict[str, str]:
    """The variables of this process whose names match."""
    return {name: value for name, value in os.environ.items() if any(fnmatch.fnmatch(name, one) for one in patterns)}
