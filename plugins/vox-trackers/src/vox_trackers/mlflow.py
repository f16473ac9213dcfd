"""MLflow: a run in the experiment of the project, at MLFLOW_TRACKING_URI or where MLflow keeps runs by itself.

https://mlflow.org, by its client alone: no global state of mlflow's is touched. Figures are sent together every few
seconds: a request takes as long as some steps.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from vox_trackers.tracker import About, End

V = TypeVar("V")

MOST, MOST_METRICS = 100, 1000  # parameters and metrics in one request (MLflow REST API, log-batch)
PAUSE = 5.0  # s between two requests with figures
PATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""Unless they are set: MLflow's own would let a run wait for minutes for a server that is not there."""
LONGEST_NAME = 240
"""Of a name, for which MLflow has 250, with room for `changed.` before it."""
LONGEST = 500  # characters of a parameter that every MLflow store takes
STATES: dict[End, str] = {
    "finished": "FINISHED",
    "stopped early": "FINISHED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}


class MLflow:
    """Writes one MLflow run."""

    def __init__(self) -> None:
        self._client: Any = None
        self._run = ""
        self._waiting: list[Any] = []
        self._sent = 0.0

    def start(self, about: About) -> dict[str, str]:
        """A new run, or the one that was begun: its parameters are as they were, what has changed is a tag."""
        for name, value in {**PATIENT, "MLFLOW_DISABLE_TELEMETRY": "true"}.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient()
        known: dict[str, str] = {}
        self._run = about.kept.get("run", "")
        if self._run:
            self._client.update_run(self._run, status="RUNNING")
            known = self._client.get_run(self._run).data.params
        else:
            made = self._client.create_run(_experiment(self._client, about.project), run_name=about.name)
            self._run = made.info.run_id
        try:
            self._describe(about, known)
        except BaseException:
            with contextlib.suppress(Exception):  # the first error counts; RUNNING would stay for ever
                self._client.set_terminated(self._run, status="FAILED")
            raise
        return {"run": self._run}

    def _describe(self, about: About, known: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        if not about.kept:
            tags = {"voxcli.folder": str(about.folder.absolute())} | (
                {"voxcli.group": about.group} if about.group else {}
            )
            self._tag(tags)
        values = legal({key: str(value)[:LONGEST] for key, value in about.recipe.items()})
        for some in _parts([Param(key, value) for key, value in values.items() if key not in known], MOST):
            self._client.log_batch(self._run, params=some)
        self._tag({f"changed.{key}": value for key, value in values.items() if known.get(key, value) != value})

    def where(self) -> str:
        """The store and the run."""
        return f"run {self._run} at {self._client.tracking_uri}"

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Figures wait until there is a request for them."""
        from mlflow.entities import Metric

        now = time.time()
        self._waiting += [Metric(name, value, int(now * 1000), step) for name, value in legal(figures).items()]
        if now - self._sent >= PAUSE:
            self._send()

    def _send(self) -> None:
        for some in _parts(self._waiting, MOST_METRICS):
            self._client.log_batch(self._run, metrics=some)
        self._waiting, self._sent = [], time.time()

    def checkpoint(self, path: Path, step: int, *, best: bool) -> None:
        """Its path as a tag."""
        self._send()
        self._tag({"voxcli.checkpoint": str(path)} | ({"voxcli.best": str(path)} if best else {}))

    def end(self, how: End, error: str | None) -> None:
        """MLflow's own state, and ours as a tag."""
        self._send()
        self._tag({"voxcli.end": how} | ({"voxcli.error": error[:LONGEST]} if error else {}))
        self._client.set_terminated(self._run, status=STATES[how])

    def _tag(self, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._client.set_tag(self._run, key, value)


def legal(values: Mapping[str, V]) -> dict[str, V]:
    """The same under names that MLflow takes: letters, digits and _-. :/ alone, no empty part, each once."""
    made: dict[str, V] = {}
    for key, value in values.items():
        parts = re.sub(r"[^\w\-. :/]", "_", key).split("/")
        name = start = "/".join(part for part in parts if part.strip("."))[:LONGEST_NAME].rstrip("/") or "_"
        number = 1
        while name in made:  # replace.& and replace.%
            number += 1
            name = f"{start}_{number}"
        made[name] = value
    return made


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    number: str = found.experiment_id if found is not None else client.create_experiment(name)
    return number


def _parts(values: list[Any], most: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), most):
        yield values[start : start + most]
