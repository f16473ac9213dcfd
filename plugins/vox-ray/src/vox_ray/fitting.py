"""Ray Train at work: it places the workers, watches them, and starts all of them again when one has died.

It runs as a task of the cluster, on the driver's machine: Ray Train takes Ctrl-C for itself, and waits in a way that
cannot be ended but with its process.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from vox_ray import cluster, failures
from vox_ray.worker import work

if TYPE_CHECKING:
    from vox_ray.backend import Ray


def fit(backend: Ray, settings: dict[str, Any], asked: dict[str, float], *, files: str, local: bool) -> str | None:
    """Run the workers to their end; why there was none, in a line.

    `settings` are those of `work`, `asked` what each worker gets (`cluster.resources`); `files` is a folder for Ray
    Train's own files. Checkpoints are the run's, in its folder.
    """
    for name, value in cluster.QUIET.items():
        os.environ.setdefault(name, value)
    from ray.train import FailureConfig, RunConfig, ScalingConfig, UserCallback
    from ray.train.torch import TorchConfig, TorchTrainer

    channel = settings["channel"]

    class Failed(UserCallback):
        """Runs in Ray Train's controller, which alone knows why a worker has gone."""

        def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
            channel.failed.remote(failures.reasons(worker_exceptions))

    variables = {} if local else settings["variables"]
    trainer = TorchTrainer(
        work,
        train_loop_config=settings,
        torch_config=TorchConfig(backend="nccl" if asked.get("GPU") else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=backend.num_workers,
            use_gpu=bool(asked.get("GPU")),
            resources_per_worker=asked,
            placement_strategy=backend.placement,
        ),
        run_config=RunConfig(
            name=f"{settings['job'].name}-{settings['mark'][-12:]}",
            storage_path=files,
            failure_config=FailureConfig(max_failures=backend.max_failures),
            callbacks=[Failed()],
            worker_runtime_env={"env_vars": variables} if variables else None,
        ),
    )
    try:
        trainer.fit()
    except Exception as error:  # Ray Train's own and whatever a worker raised: the driver has heard of it
        return failures.last_line(error)
    return None
