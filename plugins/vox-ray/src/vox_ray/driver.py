"""The process that a person started: it starts Ray Train's workers, shows what they say, and ends with them.

Nothing is computed here. Ray Train watches the workers (`fitting`); this process hears of Ctrl-C, and decides what
becomes of it.
"""

from __future__ import annotations

import logging
import tempfile
import time
import uuid
from typing import TYPE_CHECKING, Any

from vox_ray import cluster, failures
from vox_ray.channel import PAUSE, Channel, Screen
from vox_ray.fitting import fit
from voxcli.errors import TrainingError
from voxcli.train.interrupt import Interruption

if TYPE_CHECKING:
    from vox_ray.backend import Ray
    from voxcli.progress import Progress
    from voxcli.train.launching import Job

GRACE = 10.0  # s for the other workers to end after one has ended with an error: they may wait for it
PATIENCE = 20.0  # s until it is said what Ray is waiting for


def drive(backend: Ray, job: Job, *, progress: Progress) -> list[dict[str, Any]]:
    """Train a job; see `Ray.launch`."""
    mark = f".launched-{uuid.uuid4().hex[:12]}"
    progress.say(f"starting Ray with {backend.num_workers} {'process' if backend.num_workers == 1 else 'processes'}")
    with cluster.connected(backend) as local:
        import ray

        asked = cluster.resources(backend, use_cpu=bool(job.tables["train"].get("use_cpu")))
        (job.folder / mark).touch()
        try:
            # instead of Ray's own handlers, which would kill the workers or end this process
            with Interruption(progress.say) as signals, tempfile.TemporaryDirectory(prefix="vox-ray-") as files:
                return _Drive(backend, job, progress, signals).run(asked, mark, files=files, local=local)
        except ray.exceptions.RayError as error:
            what = failures.last_line(error)
            raise TrainingError(f"the connection to Ray is lost: {what}", help="continue with --resume") from error
        finally:
            (job.folder / mark).unlink(missing_ok=True)


class _Drive:
    """One run from here."""

    def __init__(self, backend: Ray, job: Job, progress: Progress, signals: Interruption) -> None:
        self._backend, self._job, self._progress, self._signals = backend, job, progress, signals
        self._screen = Screen(progress)
        self._hosts: dict[int, str] = {}
        self._failures: list[dict[int, str]] = []
        self._without: str | None = None
        """Why Ray Train has no result."""

    def run(self, asked: dict[str, float], mark: str, *, files: str, local: bool) -> list[dict[str, Any]]:
        """Start the workers and stay until they have ended."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        options: dict[str, Any] = {"num_cpus": 0, "scheduling_strategy": here}
        channel = ray.remote(Channel).options(**options).remote()
        settings = {
            "job": self._job,
            "channel": channel,
            "mark": mark,
            "level": logging.getLogger("voxcli").getEffectiveLevel(),
            "variables": cluster.forwarded(self._backend.environment),
        }
        task = ray.remote(fit).options(**options, max_retries=0)
        fitting = task.remote(self._backend, settings, asked, files=files, local=local)
        try:
            ends = self._watch(channel, fitting, asked)
        finally:
            self._screen.clear()
        return self._outcome(ends)

    def _watch(self, channel: Any, fitting: Any, asked: dict[str, float]) -> dict[int, tuple[str, Any]]:
        """Show what the workers say until they have ended; how they did."""
        import ray

        began, over, said, stopping = time.monotonic(), 0.0, False, False
        while True:
            ready, _ = ray.wait([fitting], timeout=PAUSE)
            events, ends = ray.get(channel.take.remote())
            for event in events:
                self._show(event)
            now = time.monotonic()
            if ready:
                self._without = ray.get(fitting)
                return ends
            kinds = [kind for kind, _ in ends.values()]
            decided = "error" in kinds or "interrupted" in kinds
            whole = len(ends) == self._backend.num_workers
            if decided or (whole and set(kinds) == {"finished"}):
                over = over or now
                if (decided and whole) or now - over > GRACE:
                    return ends  # the connection is closed next, which ends whoever waits
            if self._signals.requested and not stopping:
                stopping = True
                channel.stop.remote()
                if not self._hosts:
                    raise KeyboardInterrupt
            if not self._hosts and not said and now - began > PATIENCE:
                said = True
                if lacking := cluster.missing(asked, self._backend.num_workers):
                    self._progress.say(f"waiting for the cluster, which has {', '.join(lacking)}")

    def _show(self, event: Any) -> None:
        match event:
            case ("joined", rank, host):
                self._hosts[rank] = host
            case ("failed", why):
                self._failures.append(why)
                self._screen.clear()
                most, count = self._backend.max_failures, len(self._failures)
                if most < 0 or count <= most:
                    again = "all processes start again from the newest checkpoint"
                    left = "" if most < 0 else f" ({count} of {most})"
                    self._progress.say(f"{failures.told(why, self._hosts)}; {again}{left}")
            case _:
                self._screen.show(event)

    def _outcome(self, ends: dict[int, tuple[str, Any]]) -> list[dict[str, Any]]:
        """What process 0 came to, or the error that counts."""
        for kind, value in ends.values():
            if kind == "error":
                raise value
        if any(kind == "interrupted" for kind, _ in ends.values()):
            raise KeyboardInterrupt
        if 0 in ends and ends[0][0] == "finished" and self._without is None:
            trained: list[dict[str, Any]] = ends[0][1]
            return trained
        defects = [value for kind, value in ends.values() if kind == "defect"]
        again = "continue with --resume; backend.max_failures = 3 lets Ray start the processes again by itself"
        if self._failures:
            why = self._failures[-1]
            for text in defects[:1]:
                self._progress.say(str(text).rstrip())
            raise TrainingError(failures.told(why, self._hosts), help=again)
        raise TrainingError(f"Ray Train ended without a result: {self._without}", help=again)
