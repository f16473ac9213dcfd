"""`[backend] type = "ray"` for real: a cluster on this machine, two workers, one of which is killed, then Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from vox_ray.backend import Ray
from vox_ray.channel import Channel
from voxcli.errors import ModelError, PluginError, TrainingError, UsageError
from voxcli.progress import NULL
from voxcli.recipe.resolve import resolve
from voxcli.testing import Project, check_plugin
from voxcli.testing_models import tiny_ctc
from voxcli.train import launching

STEPS, KILLED, STOPPED = 24, 4, 10
RECIPE = f"""
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [[augment]]
    type = "gain"
    p = 0.5

    [model]
    type = "ctc"
    checkpoint = "base"

    [backend]
    type = "ray"
    num_workers = 2

    [train]
    max_steps = {STEPS}
    per_device_train_batch_size = 2
    learning_rate = 1e-3
    eval_steps = 8
    save_steps = 3
    use_cpu = true
"""
SLOW = '''
    """A worker takes its time for a step, so that a test can come between two, and counts them in a file."""
    import os, time

    from voxcli.api import hookimpl


    @hookimpl
    def vox_run_log(run, step, metrics):
        if "loss" in metrics:
            time.sleep(0.1)
    '''
QUIET = {"OMP_NUM_THREADS": "1", "VOX_PREDICT_MEMORY": "0", "VOX_TRACKERS": "none", "NO_COLOR": "1"}
MARK = "VOX_TEST_CLUSTER"
NOISE = ("raylet", "Traceback", "WARNING", "usage stats", "dashboard", "(RayTrainWorker")
COMMON = ("train", "r.toml", "--no-doctor")


@dataclass(frozen=True)
class Ended:
    """A command, and what it left."""

    code: int
    out: str
    err: str


def start(project: Project, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    variables = {**os.environ, **QUIET, "VOX_CACHE": str(project.path / "cache"), **(env or {})}
    return project.popen(*arguments, env=variables, start_new_session=True)


def finish(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=300)
    return Ended(process.returncode, out, err)


def plain(project: Project, *arguments: str) -> list[subprocess.Popen[str]]:
    """The two processes as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [start(project, *arguments, env={**shared, "RANK": rank, "LOCAL_RANK": rank}) for rank in ("0", "1")]


def steps_of(run: Path) -> list[dict[str, Any]]:
    path = run / "log.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.is_file() else []
    return [entry for entry in lines if "loss" in entry]


def of_cluster(mark: str, called: str = "") -> list[psutil.Process]:
    """Processes that belong to a cluster, by a variable that they have inherited."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get(MARK) == mark and called in " ".join(process.info["cmdline"] or ())
    ]


def until(what: Callable[[], Any], *, seconds: float = 300.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it has not happened"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("ray")
    made = Project(folder).write({"r.toml": RECIPE, "slow.py": SLOW})
    made.speech("data", n=12)
    tiny_ctc(folder / "base", hidden_dropout=0.2, feat_proj_dropout=0.2)
    shutil.copytree(folder / "base", folder / "broken", ignore=shutil.ignore_patterns("*.safetensors"))
    return made


@dataclass(frozen=True)
class Story:
    """What happened to a run in Ray's processes and to its undisturbed twin without Ray."""

    stopped: Ended
    left: list[str]
    """Processes of the cluster that did not end with the run."""


@pytest.fixture(scope="module")
def story(project: Project) -> Story:
    """One worker is killed, the person stops the run, and it ends without Ray; the twin trains meanwhile."""
    run = project.path / "runs" / "r"
    disturbed = start(project, "--plugin", "slow.py", *COMMON, "backend.max_failures=1", env={MARK: "own"})
    twins: list[subprocess.Popen[str]] = []
    try:
        until(lambda: len(steps_of(run)) >= KILLED)
        max(of_cluster("own", "RayTrainWorker"), key=lambda process: process.pid).kill()
        twins = plain(project, *COMMON, "name=twin")
        until(lambda: len(steps_of(run)) >= STOPPED)
        os.killpg(disturbed.pid, signal.SIGINT)  # as a terminal does
        stopped = finish(disturbed)
        left = [process.name() for process in of_cluster("own")]
        twins += plain(project, *COMMON, "--resume", "backend.max_failures=1")
        assert [finish(process).code for process in twins] == [0, 0, 0, 0]
    finally:
        for process in (disturbed, *twins):
            process.kill()
    return Story(stopped, left)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster that goes on when a run has ended, whose processes carry a mark."""
    from vox_ray.cluster import OBJECT_STORE
    from vox_ray.cluster import QUIET as SILENT

    os.environ.update(SILENT, **{MARK: "shared"})
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": OBJECT_STORE})
    yield made.address
    made.shutdown()
    for name in (*SILENT, MARK):
        os.environ.pop(name, None)


def test_a_killed_worker_costs_nothing_but_time(project: Project, story: Story) -> None:
    """Killed, started again by Ray, stopped by Ctrl-C, ended without Ray: the losses and weights of two processes."""
    run, twin = project.path / "runs" / "r", project.path / "runs" / "twin"
    assert [entry["step"] for entry in steps_of(run)] == list(range(1, STEPS + 1))
    assert [entry["loss"] for entry in steps_of(run)] == [entry["loss"] for entry in steps_of(twin)]
    last = Path("checkpoints") / f"step-{STEPS:06d}"
    same = {path.relative_to(run / last) for path in (run / last).rglob("*.safetensors")}
    assert len(same) > 1, "the weights, and the state of the optimizer"
    for name in same:
        assert (run / last / name).read_bytes() == (twin / last / name).read_bytes(), name


def test_the_person_hears_of_it_once(story: Story) -> None:
    err = story.stopped.err
    assert story.stopped.code == 130
    assert story.stopped.out == "", "stdout is for results"
    assert re.search(r"process [01] on ", err)
    assert "its process was killed or crashed; all processes start again from the newest checkpoint (1 of 1)" in err
    assert err.count("training 10,822 of 10,822 parameters") == 2, "process 0 says it, each time it begins"
    assert err.count("step 8: validation") in (1, 2)
    assert "continuing " in err
    assert "interrupted: finishing this step and writing a checkpoint" in err
    assert "is on disk. Continue with:\n  vox train r.toml backend.max_failures=1" in err
    assert "--plugin slow.py --no-doctor --resume" in err
    for noise in NOISE:
        assert noise not in err


def test_nothing_of_a_run_is_left_behind(project: Project, story: Story) -> None:
    assert story.left == []
    assert not list((project.path / "runs").glob("*/.launched-*"))


def test_the_lock_names_the_plugin(project: Project, story: Story) -> None:
    assert "vox-ray" in json.dumps(json.loads((project.path / "runs" / "r" / "lock.json").read_text())["plugins"])


def test_the_plugin_keeps_its_contracts(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps on a cluster that RAY_ADDRESS names, among them; nothing is left of them there."""
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    monkeypatch.setenv("VOX_PREDICT_MEMORY", "0")
    check_plugin("vox_ray")
    until(lambda: not of_cluster("shared", "RayTrainWorker"), seconds=20)


# --------------------------------------------------------------------------------------------------------- without Ray


def test_without_ray_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from vox_ray.cluster import connected

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PluginError, match="needs Ray Train, and ray is missing") as raised, connected(Ray()):
        pass
    assert raised.value.help == "pip install 'ray[train]>=2.60,<3'"


class Near:
    """A channel in this process: what Ray sends to an actor is called at once."""

    def __init__(self) -> None:
        self.channel = Channel()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.channel, name)
        return SimpleNamespace(remote=lambda *given: asyncio.run(method(*given)))


def test_an_error_of_a_worker_is_the_error_of_the_command(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised in the process that a person started, as it is, and is no failure that Ray should try again."""
    import ray

    from vox_ray.driver import _Drive
    from vox_ray.worker import work

    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(ray, "get", lambda found: found)
    near, overrides = Near(), ("name=f", "model.checkpoint=broken")
    with contextlib.chdir(project.path):
        run = project.path / "runs" / "f"
        recipe = resolve(Path("r.toml"), overrides)
        job = launching.job(recipe, run, asked="r.toml", overrides=overrides, resume=False, json=False)
        run.mkdir(parents=True)
        (run / "mark").touch()
        work({"job": job, "channel": near, "mark": "mark", "level": logging.WARNING})
    assert near.channel.over, "no process begins after it"
    kind, error = pickle.loads(pickle.dumps(near.channel.ends[0]))
    drive = _Drive(Ray(max_failures=3), job, NULL, None)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"the model of .*broken") as raised:
        drive._outcome({0: (kind, error)})
    assert raised.value.help is not None
    assert raised.value.help.startswith("check that the folder is whole")


def test_a_cluster_that_does_not_answer_is_said_at_once() -> None:
    from vox_ray.cluster import connected

    with pytest.raises(TrainingError, match="does not answer") as raised, connected(Ray(address="127.0.0.1:9")):
        pass
    assert "ray start --head" in str(raised.value.help)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"env_vars": {"OMP_NUM_THREADS": 2}}, "the value 2 is of type"),
        ({"working_dir": "/nowhere"}, "/nowhere is not a valid path"),
    ],
)
def test_a_runtime_environment_that_is_none_is_said(keys: dict[str, Any], said: str) -> None:
    from vox_ray.cluster import connected

    with pytest.raises(UsageError, match=f"^backend.runtime_env: .*{said}"), connected(Ray(runtime_env=keys)):
        pass


def test_the_folder_for_runs_need_not_exist(project: Project) -> None:
    with contextlib.chdir(project.path):
        recipe = resolve(Path("r.toml"), ('backend.storage="new/runs"',))
    assert launching.folder_of(recipe, None) == Path("new/runs/r")


def test_a_folder_of_the_same_name_is_another_one(tmp_path: Path) -> None:
    from vox_ray.worker import _same_folder

    with pytest.raises(TrainingError, match=f"{tmp_path} is another folder on {socket.gethostname()}"):
        _same_folder(SimpleNamespace(folder=tmp_path), ".launched-1", None)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="does not exist on"):
        _same_folder(SimpleNamespace(folder=tmp_path / "x"), ".launched-1", None)  # type: ignore[arg-type]


def test_values_that_cannot_be_meant() -> None:
    found = [one.message for one in Ray(num_workers=0, max_failures=-2, cpus_per_worker=0).findings()]
    assert "num_workers is 0, expected at least 1" in found
    assert "max_failures is -2, expected at least -1" in found
    assert any("cpus_per_worker is 0" in message for message in found)
    assert ["host:port" in one.message for one in Ray(address="ray://head:10001").findings()] == [True]
    assert not list(Ray(num_workers=2, max_failures=-1, gpus_per_worker=1, cpus_per_worker=0).findings())


def test_the_variables_that_workers_get(monkeypatch: pytest.MonkeyPatch) -> None:
    from vox_ray.cluster import forwarded

    monkeypatch.setenv("VOX_TRACKERS", "none")
    monkeypatch.setenv("HF_TOKEN", "secret")
    found = forwarded(Ray().environment)
    assert found["VOX_TRACKERS"] == "none"
    assert "HF_TOKEN" not in found


def test_why_a_worker_ended() -> None:
    from ray.exceptions import ActorDiedError

    from vox_ray.failures import reasons, told

    died, other = ActorDiedError(), RuntimeError("Connection closed by peer")
    assert reasons({0: other, 1: died}) == {1: "its process was killed or crashed"}
    assert reasons({0: other}) == {0: "RuntimeError: Connection closed by peer"}
    died.error_msg = "Task was killed due to the node running low on memory."
    assert told(reasons({1: died}), {1: "gpu7"}) == (
        "process 1 on gpu7 ended: Ray ended it because the memory of its machine ran out"
    )


def test_steps_of_a_bar_travel_together() -> None:
    """What a worker says in one interval is one letter, and the driver's bar moves by the sum."""
    from vox_ray.channel import Line, Screen

    moved: list[Any] = []

    class Bar:
        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *of: object) -> None:
            moved.append("closed")

        def advance(self, amount: float = 1, **facts: Any) -> None:
            moved.append((amount, facts))

    class Progress:
        def say(self, text: str) -> None:
            moved.append(text)

        def task(self, description: str, *, total: float | None = None, unit: str = "") -> Bar:
            moved.append((description, total, unit))
            return Bar()

    line = Line.__new__(Line)
    line.__init__(None)  # type: ignore[misc]
    with line.task("training", total=3, unit="steps") as bar:
        bar.advance(1)
        bar.advance(2, loss=0.5)
    line.say("done")
    screen = Screen(Progress())
    for event in line.close():
        screen.show(event)
    assert moved == [("training", 3, "steps"), (3, {"loss": 0.5}), "closed", "done"]
