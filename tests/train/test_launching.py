"""A backend that starts processes of its own: `vox train` hands it a job, and shows what becomes of it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "base"

    [backend]
    type = "fleet"

    [train]
    max_steps = 4
    per_device_train_batch_size = 2
    learning_rate = 1e-3
    warmup_steps = 0
    eval_steps = 2
    use_cpu = true
"""

FLEET = '''
    """A backend that trains in `processes` processes: as commands, or with `inside` by calling the job here."""

    import os, pickle, socket, subprocess
    from pathlib import Path
    from typing import ClassVar

    from voxcli.api import config, hookimpl
    from voxcli.backends.accelerate import Accelerate
    from voxcli.testing import Project


    @config
    class Fleet:
        """Processes on this machine."""

        processes: int = 2
        """How many."""
        forked: bool = True
        """Fork them from this process: they need not import anything anew."""
        inside: str = ""
        """What happens in this process instead: run, stop, break."""
        supports: ClassVar[frozenset[str]] = Accelerate.supports
        free_on_resume: ClassVar[frozenset[str]] = frozenset({"processes", "inside", "forked"})

        @property
        def world(self):
            return self.processes

        def fit(self, run):
            Accelerate().fit(run)

        def launch(self, job, *, progress):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = str(free.getsockname()[1])
            shared = {"WORLD_SIZE": str(self.processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            each = [shared | {"RANK": str(n), "LOCAL_RANK": str(n)} for n in range(self.processes)]
            if self.inside:
                return self.here(pickle.loads(pickle.dumps(job)), each[0], progress)
            progress.say(f"starting {self.processes} processes")
            if self.forked:
                from forked import Forked

                fleet = [Forked(Project(Path.cwd()), [job.command[3:]], env=one) for one in each]
                written = [one.communicate() for one in fleet]
                Path("written.txt").write_text("".join(out + err for out, err in written))
            else:
                fleet = [subprocess.Popen(job.command, env=os.environ | one) for one in each]
                [one.wait() for one in fleet]
            if any(one.returncode for one in fleet):
                raise SystemExit(max(one.returncode for one in fleet))

        def here(self, job, variables, progress):
            before = dict(os.environ)
            os.environ.update(variables)
            stop = lambda run: setattr(run.interruption, "requested", True)
            try:
                if self.inside == "break":
                    job = __import__("dataclasses").replace(job, folder=job.folder / "not-mounted")
                return job.run(begun=stop if self.inside == "stop" else None, progress=progress)
            finally:
                os.environ.clear()
                os.environ.update(before)


    @hookimpl
    def vox_register(registry):
        registry.add("backend", "fleet", f"{__name__}:Fleet")
    '''
WITH = ("--plugin", "fleet.py")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CTC checkpoint without dropout, so that the number of processes makes no difference."""
    still = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}
    return tiny_ctc(tmp_path_factory.mktemp("models") / "base", **still, final_dropout=0.0)


@pytest.fixture
def project(vox_project: Callable[..., Project], base: Path) -> Project:
    made = vox_project({"r.toml": RECIPE, "fleet.py": FLEET})
    made.speech("data", n=8)
    shutil.copytree(base, made.path / "base")
    return made


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[float]:
    return [entry["loss"] for entry in log_of(run) if "loss" in entry]


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"step-{step:06d}" / "model.safetensors")


def test_two_commands_take_the_steps_of_one_process(project: Project) -> None:
    """Stages, an override, a plugin file, --run-dir: what the command line says holds in the processes."""
    stages = '\n[[stage]]\nname = "a"\n\n[[stage]]\nname = "b"\ntrain.max_steps = 2\n'
    project.write({"s.toml": (project.path / "r.toml").read_text() + stages})
    asked = (*WITH, "train", "s.toml", "train.learning_rate=5e-4", "--no-doctor", "--json", "--run-dir")
    assert "starting 2 processes" in project.run(*asked, "two").assert_ok().err
    written = (project.path / "written.txt").read_text()
    one = project.run(*asked, "one", "backend.inside=run", "backend.processes=1", "train.per_device_train_batch_size=4")

    told = json.loads(written[: written.index("\n}") + 2])
    assert told["stages"][1]["run"] == str(project.path / "two" / "stages" / "2-b"), "process 0 prints, once"
    assert json.loads(one.assert_ok().out)["stages"][1]["run"] == "one/stages/2-b"
    for stage, steps in (("1-a", 4), ("2-b", 2)):
        here, there = (project.path / run / "stages" / stage for run in ("one", "two"))
        assert log_of(there)[0]["session"]["world"] == 2
        assert len(losses(there)) == steps
        assert losses(there) == pytest.approx(losses(here), rel=1e-5)
        mine, theirs = weights(here, steps), weights(there, steps)
        for name in mine:
            assert torch.allclose(mine[name], theirs[name], atol=1e-5), name
    lock = json.loads((project.path / "two" / "stages" / "2-b" / "lock.json").read_text())
    assert any("fleet.py" in name for name in lock["plugins"])
    assert written.count("training ") == 2, "process 0 says it, for each stage"


def test_what_the_first_process_came_to_is_reported(project: Project) -> None:
    result = project.run(*WITH, "train", "r.toml", "backend.inside=run", "backend.processes=1").assert_ok()

    assert "model       runs/r/best (step" in result.out
    assert "-> runs/r" in result.err
    assert "RANK" not in os.environ


def test_an_interrupted_job_says_how_to_go_on_and_does(project: Project) -> None:
    settings = ("backend.processes=1", "backend.inside=stop")
    stopped = project.run(*WITH, "train", "r.toml", *settings).assert_code(130)
    assert "step-000001 is on disk" in stopped.err
    assert "vox train r.toml backend.processes=1 backend.inside=stop --plugin fleet.py --resume" in stopped.err

    taken = project.run(*WITH, "train", "r.toml", "backend.inside=run").assert_code(2)
    assert "runs/r already holds a run with 1 checkpoint" in taken.err.replace(str(project.path) + "/", "")
    assert "starting" not in taken.err

    on = ("backend.processes=1", "backend.inside=run", "--resume")  # where it runs may change, what it computes may not
    project.run(*WITH, "train", "r.toml", *on).assert_ok()
    project.run(*WITH, "train", "r.toml", *on[:2], "name=whole").assert_ok()
    assert losses(project.path / "runs" / "r") == losses(project.path / "runs" / "whole")
    refused = project.run(*WITH, "train", "r.toml", *on, "train.learning_rate=1").assert_code(1)
    assert "train.learning_rate: 0.001 -> 1" in refused.err


def test_a_folder_that_a_process_does_not_see_is_said(project: Project) -> None:
    result = project.run(*WITH, "train", "r.toml", "backend.inside=break").assert_code(1)

    assert "runs/r/not-mounted does not exist on" in result.err
    assert "all machines" in result.err
    assert not (project.path / "runs" / "r").exists(), "nothing came of it"


def test_a_process_that_fails_ends_the_command_with_its_code(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    (project.path / "data" / "manifest.csv").write_text("path,text,split\n")
    settings = ("--no-doctor", "backend.processes=1", "backend.forked=false")
    result = project.run(*WITH, "train", "r.toml", *settings).assert_code(1)

    written = capfd.readouterr()
    assert written.err.count("error:") == 1, "the process says it"
    assert "error" not in result.err, "and nobody says it again"
    assert "Traceback" not in written.err


def test_the_lock_and_the_plugin_files_travel_with_the_job(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """To another machine, where neither the environment nor the working directory are those of here."""
    from voxcli.plugins import locking
    from voxcli.plugins.manager import forget, use_files
    from voxcli.recipe.resolve import resolve
    from voxcli.train import launching

    monkeypatch.chdir(project.path)
    use_files([Path("fleet.py")])
    locking.use(locking.Lock([locking.Locked("fleet.py", is_file=True)], Path("vox-plugins.lock")))
    try:
        recipe = resolve("r.toml", ["train.max_steps=1"])
        job = launching.job(
            recipe, Path("runs/r"), asked="r.toml", overrides=["train.max_steps=1"], resume=True, json=False
        )
        sent = pickle.loads(pickle.dumps(job))
    finally:
        locking.forget()
        forget()
    assert [one.name for one in sent.lock.plugins] == ["fleet.py"]
    assert sent.plugins == (project.path / "fleet.py",)
    assert sent.folder == project.path / "runs" / "r"
    assert sent.tables["train"]["max_steps"] == 1
    assert sent.tables["data"][0]["path"] == str(project.path / "data" / "manifest.csv")
    assert str(sent.places[0]["train", "max_steps"]) == "command line"
    plugin, folder = str(project.path / "fleet.py"), str(project.path / "runs" / "r")
    assert sent.command[:7] == (
        sys.executable,
        "-m",
        "voxcli",
        "--plugin",
        plugin,
        "train",
        str(project.path / "r.toml"),
    )
    assert sent.command[7:] == ("train.max_steps=1", "--run-dir", folder, "--no-doctor", "--resume")


def test_a_backend_may_say_where_runs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.train.launching import folder_of

    def recipe(storage: str | None) -> Any:
        return SimpleNamespace(name="r", backend=SimpleNamespace(storage=storage))

    monkeypatch.setenv("HOME", "/home/ada")
    assert folder_of(recipe(None), None) == Path("runs/r")
    assert folder_of(recipe("~/mine"), None) == Path("/home/ada/mine/r")
    assert folder_of(recipe("~/mine"), Path("x")) == Path("x")


def test_a_dry_run_counts_the_processes(project: Project) -> None:
    result = project.run(*WITH, "train", "r.toml", "--dry-run", "--json").assert_ok()

    counted = json.loads(result.out)
    assert counted["processes"] == 2
    assert counted["batches"]["per_epoch"] == 4
    assert counted["steps"]["per_epoch"] == 2
    assert not (project.path / "runs").exists()
