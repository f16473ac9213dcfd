"""`[backend] type = "ray"`: the loop of the backend `accelerate`, in processes that Ray Train starts and watches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voxcli.api import Finding, config, field
from voxcli.backends.accelerate import Accelerate

if TYPE_CHECKING:
    from voxcli.progress import Progress
    from voxcli.recipe.schema import Train
    from voxcli.train.launching import Job
    from voxcli.train.run import Run


@config
class Ray:
    """Processes on the machines of a Ray cluster, or on this one; each trains as the backend accelerate does."""

    num_workers: int = 1
    """Processes. Batches are per process: a step takes so many times what `[train]` says."""
    cpus_per_worker: float = 1.0
    """Processor cores that Ray sets aside for each process."""
    gpus_per_worker: int | None = None
    """GPUs that Ray sets aside for each process, which uses the first; None: 1 where the cluster has any and
    `[train] use_cpu` is false."""
    memory_per_worker: float | None = None
    """GiB of memory that a machine must have free for each process. It places them and is no limit; None: not asked."""
    placement: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] = "PACK"
    """On as few machines as possible, or on as many; STRICT: on one, or each on its own."""
    address: str | None = None
    """The cluster, host:port, or "auto" for the one that this machine belongs to. None: RAY_ADDRESS, else a cluster of
    this machine alone that lives as long as the run."""
    max_failures: int = 0
    """How often the processes are started again, from the newest checkpoint, when one of them or its machine dies;
    -1: always. An error that a person has to repair ends the run at once."""
    storage: str | None = None
    """Folder in which run folders are made instead of ./runs; made itself if need be; `--run-dir` wins. With several
    machines it has to be on a disk that all of them have mounted, under the same name."""
    environment: tuple[str, ...] = ("VOX_*", "OMP_NUM_THREADS", "HF_HOME", "HF_HUB_OFFLINE", "HF_HUB_CACHE")
    """Names of variables that the processes of a cluster get as they are where `vox train` was started; * at the end
    stands for anything. Ray shows the values in its dashboard: no secrets."""
    runtime_env: dict[str, Any] = field(default_factory=dict)
    """Ray's runtime environment of the processes, as it is: { pip = [...], working_dir = "." }."""

    supports: ClassVar[frozenset[str]] = Accelerate.supports
    free_on_resume: ClassVar[frozenset[str]] = frozenset(
        {
            "num_workers",
            "cpus_per_worker",
            "gpus_per_worker",
            "memory_per_worker",
            "placement",
            "address",
            "max_failures",
            "storage",
            "environment",
            "runtime_env",
        }
    )

    @property
    def world(self) -> int:
        """Number of processes."""
        return self.num_workers

    def findings(self) -> Iterator[Finding]:
        """Values that cannot be meant."""
        least = {"num_workers": 1, "cpus_per_worker": 0, "gpus_per_worker": 0, "memory_per_worker": 0}
        for key, smallest in {**least, "max_failures": -1}.items():
            value = getattr(self, key)
            if value is not None and value < smallest:
                yield Finding("error", f"{key} is {value}, expected at least {smallest}", None, path=(key,))
        if self.address is not None and "://" in self.address:
            message = f"address is {self.address}, expected host:port: Ray's client trains nothing by itself"
            yield Finding("error", message, "start `vox train` on a machine of the cluster", path=("address",))
        if self.cpus_per_worker == 0 and not self.gpus_per_worker:
            message = "cpus_per_worker is 0, and so Ray would start all processes on one machine"
            yield Finding("error", message, "cpus_per_worker = 1", path=("cpus_per_worker",))

    def check(self, train: Train) -> None:
        """Raise `RecipeError` for an optimizer or scheduler that does not exist."""
        Accelerate().check(train)

    def launch(self, job: Job, *, progress: Progress) -> list[dict[str, Any]]:
        """Train a job in Ray's processes, and show what they say; what process 0 came to.

        Raises `PluginError` without ray, the `VoxError` of a process, `TrainingError` where processes died more often
        than `max_failures`, `KeyboardInterrupt` after the checkpoint of an interrupted run.
        """
        from vox_ray.driver import drive

        return drive(self, job, progress=progress)

    def fit(self, run: Run) -> None:
        """The loop, in one of the processes."""
        Accelerate().fit(run)
