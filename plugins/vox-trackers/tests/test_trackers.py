"""What a real run leaves in each tracker, read back with the library's own reader, or its own format."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import vox_trackers
from vox_trackers.figures import figures, flat
from voxcli.testing import Project, check_plugin, write_speech
from voxcli.testing_models import tiny_ctc

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "base"

    [train]
    max_steps = 4
    per_device_train_batch_size = 2
    learning_rate = 1e-3
    warmup_steps = 0
    lr_scheduler_type = "constant"
    eval_steps = 2
    use_cpu = true

    [evaluate]
    metrics = ["cer"]
"""
END = '''
    """A run that ends as the variable END says, at step 3."""
    import os

    from voxcli.api import hookimpl


    @hookimpl
    def vox_run_start(run):
        before = run.after_step

        def after_step(*arguments, **named):
            if run.state.step == 2 and os.environ["END"] == "failed":
                raise ZeroDivisionError("on purpose")
            before(*arguments, **(named | {"interrupted": run.state.step == 2}))

        run.after_step = after_step
    '''


@pytest.fixture
def project(
    vox_project: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    from voxcli.plugins.manager import forget

    made = vox_project({"r.toml": RECIPE, "end.py": END})
    for folder, write in (("base", tiny_ctc), ("data", write_speech)):
        once = tmp_path_factory.getbasetemp() / f"trackers-{folder}"
        if not once.exists():
            write(once)  # type: ignore[operator]
        shutil.copytree(once, made.path / folder)
    monkeypatch.setenv("VOX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))  # what is known of plugins, once
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{made.path}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow 3.17 wants a database, which needs sqlalchemy
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("VOX_PREDICT_MEMORY", "0")  # a second or two before each run
    monkeypatch.delenv("VOX_TRACKERS", raising=False)
    forget()
    yield made
    forget()


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [entry["loss"] for entry in lines if "loss" in entry]


def tensorboard(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def scalars(folder: Path, name: str) -> dict[int, float]:
    return {event.step: event.value for event in tensorboard(folder).Scalars(name)}


def texts(folder: Path, name: str) -> list[str]:
    return [event.tensor_proto.string_val[0].decode() for event in tensorboard(folder).Tensors(f"{name}/text_summary")]


def mlflow_run(run: Path) -> tuple[Any, Any]:
    from mlflow.tracking import MlflowClient

    client, kept = MlflowClient(), json.loads((run / "trackers.json").read_text())
    return client, client.get_run(kept["mlflow"]["run"])


def wandb_records(folder: Path) -> list[Any]:
    """The records of an offline run: LevelDB's log format after a header of 7 bytes, as `wandb sync` reads it."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("run-*.wandb")
    data, place, parts, found = file.read_bytes(), 7, b"", []
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            found.append(Record.FromString(parts))
            parts = b""
    return found


def wandb_rows(folder: Path) -> list[dict[str, Any]]:
    history = [record.history for record in wandb_records(folder) if record.HasField("history")]
    return [{(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in one.item} for one in history]


def test_three_trackers_have_the_run_and_go_on_with_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOX_TRACKERS", "tensorboard, mlflow, wandb")
    first = project.run("train", "r.toml").assert_ok()
    run = project.path / "runs" / "r"
    assert "tensorboard: tensorboard --logdir runs/r/tensorboard" in first.err
    kept = (run / "trackers.json").read_text()
    last = run / "checkpoints" / "step-000004"

    expected = dict(enumerate(losses(run), 1))
    assert scalars(run / "tensorboard", "train/loss") == pytest.approx(expected)
    assert list(scalars(run / "tensorboard", "validation/cer")) == [2, 4]
    assert texts(run / "tensorboard", "end") == ["finished"]
    assert str(last) in texts(run / "tensorboard", "checkpoint")[-1]

    client, stored = mlflow_run(run)
    history = client.get_metric_history(stored.info.run_id, "train/loss")
    assert {one.step: one.value for one in history} == pytest.approx(expected)
    assert stored.data.params["train.max_steps"] == "4"
    assert stored.data.params["data.0.path"] == str(project.path / "data" / "manifest.csv")
    assert (stored.info.status, stored.data.tags["voxcli.end"]) == ("FINISHED", "finished")
    assert stored.data.tags["voxcli.checkpoint"] == str(last)

    (offline,) = (run / "wandb").glob("offline-run-*")
    rows = wandb_rows(offline)
    assert {row["step"]: row["train/loss"] for row in rows if "train/loss" in row} == pytest.approx(expected)
    assert [row["step"] for row in rows if "validation/cer" in row] == [2, 4]
    begun = next(record.run for record in wandb_records(offline) if record.HasField("run"))
    assert (begun.display_name, begun.project) == ("r", "voxcli")
    settings = {item.key: json.loads(item.value_json) for item in begun.config.update}
    assert settings["train.learning_rate"] == 0.001

    # as if it had been killed at step 3 and is made longer: it goes back to step 2
    shutil.rmtree(last)
    project.run("train", "r.toml", "--resume", "train.max_steps=6").assert_ok()
    assert (run / "trackers.json").read_text() == kept
    whole = dict(enumerate(losses(run), 1))
    assert list(whole) == [1, 2, 3, 4, 5, 6]
    assert scalars(run / "tensorboard", "train/loss") == pytest.approx(whole), "each step once"
    client, stored = mlflow_run(run)
    history = client.get_metric_history(stored.info.run_id, "train/loss")
    assert [one.step for one in history] == [1, 2, 3, 4, 3, 4, 5, 6]
    assert stored.data.params["train.max_steps"] == "4", "as it began"
    assert stored.data.tags["changed.train.max_steps"] == "6"
    assert len(client.search_runs([stored.info.experiment_id])) == 1
    again = [folder for folder in (run / "wandb").glob("offline-run-*") if folder != offline]
    assert {record.run.run_id for one in again for record in wandb_records(one) if record.HasField("run")} == {
        begun.run_id
    }
    assert [row["step"] for row in wandb_rows(again[0]) if "train/loss" in row] == [3, 4, 5, 6]


@pytest.mark.parametrize(("end", "code", "status"), [("interrupted", 130, "KILLED"), ("failed", None, "FAILED")])
def test_how_a_run_ended(
    project: Project, monkeypatch: pytest.MonkeyPatch, end: str, code: int | None, status: str
) -> None:
    monkeypatch.setenv("VOX_TRACKERS", "tensorboard,mlflow")
    monkeypatch.setenv("END", end)
    if code is None:
        with pytest.raises(ZeroDivisionError):
            project.run("--plugin", "end.py", "train", "r.toml")
    else:
        project.run("--plugin", "end.py", "train", "r.toml").assert_code(code)

    run = project.path / "runs" / "r"
    _, stored = mlflow_run(run)
    assert (stored.info.status, stored.data.tags["voxcli.end"]) == (status, end)
    reason = "ZeroDivisionError: on purpose" if end == "failed" else None
    assert stored.data.tags.get("voxcli.error") == reason
    assert texts(run / "tensorboard", "end") == [end if reason is None else f"{end}: {reason}"]


def test_a_tracker_that_fails_is_named_once_and_the_others_go_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at port 9. The names that cannot be had are named too; stages are runs of one group."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("VOX_TRACKERS", "mlflow,tensorbored,tensorboard")
    stages = '\n[[stage]]\nname = "a"\n\n[[stage]]\nname = "b"\ntrain.max_steps = 2\n'
    project.write({"s.toml": (project.path / "r.toml").read_text() + stages})
    result = project.run("train", "s.toml").assert_ok()

    assert result.err.count("mlflow gets nothing more, the run goes on: ") == 2, "once for each stage"
    assert "names 'tensorbored', which is no tracker; did you mean tensorboard? known: tensorboard" in result.err
    folders = [project.path / "runs" / "r" / "stages" / stage for stage in ("1-a", "2-b")]
    assert [list(scalars(folder / "tensorboard", "train/loss")) for folder in folders] == [[1, 2, 3, 4], [1, 2]]
    assert set(json.loads((folders[0] / "trackers.json").read_text())) == {"tensorboard"}


def test_one_that_fails_later_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    from vox_trackers.session import Session

    class Fails:
        def log(self, found: dict[str, float], step: int) -> None:
            raise OSError(28, "No space left on device")

    said: list[str] = []
    session = Session({"acme": Fails()}, said.append)  # type: ignore[dict-item]
    for step in (1, 2):
        session.log({"step": step, "loss": 1.0}, step)
    assert said == ["acme gets nothing more, the run goes on: OSError: [Errno 28] No space left on device"]


def test_what_is_not_named_is_not_used(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default TensorBoard, which writes into the run's folder; `none` is nothing at all."""
    from vox_trackers import choice

    assert choice.asked() == ["tensorboard"]
    monkeypatch.setenv("VOX_TRACKERS", "none")
    project.run("train", "r.toml", "train.max_steps=1").assert_ok()
    run = project.path / "runs" / "r"
    assert not (run / "tensorboard").exists()
    assert not (run / "trackers.json").exists()
    monkeypatch.setenv("VOX_TRACKERS", "mlflow")
    monkeypatch.setattr(choice.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'vox-trackers[mlflow]'" in str(choice.problem("mlflow"))


def test_only_the_first_process_has_trackers(tmp_path: Path) -> None:
    vox_trackers.vox_run_start(SimpleNamespace(rank=1, folder=tmp_path))  # type: ignore[arg-type]
    assert not vox_trackers._sessions
    assert not list(tmp_path.iterdir())


def test_the_names_of_figures() -> None:
    assert figures({"step": 3, "loss": 2.5, "learning_rate": 1e-4, "padding": 0, "other": "text"}) == {
        "train/loss": 2.5,
        "train/learning_rate": 1e-4,
        "train/padding": 0.0,
    }
    evaluation = {
        "step": 4,
        "validation": {"wer": 0.5},
        "best": True,
        "seconds": 2,
        "texts": {"empty": 0, "blank": None},
    }
    assert figures(evaluation) == {"validation/wer": 0.5, "texts/empty": 0.0}
    assert figures({"step": 1, "loss": None}) == {}
    assert figures({"step": 1, "incident": "loss", "loss": 3.0}) == {}
    assert figures({"step": 1, "session": {"pid": 3}}) == {}


def test_the_names_of_keys() -> None:
    tables = {"seed": 0, "data": [{"type": "m", "split": {}}], "evaluate": {"metrics": ["cer", "wer"]}, "x": None}
    assert flat(tables) == {"seed": 0, "data.0.type": "m", "evaluate.metrics": "cer, wer"}


def test_no_secret_leaves_the_machine() -> None:
    from vox_trackers.session import Session

    environment = {"env_vars": {"WANDB_API_KEY": "k1"}, "working_dir": "https://ada:k2@host/x.zip"}
    tables = {"backend": {"runtime_env": environment, "api_key": "k3", "tokens": ["s3://a:k4@b"], "pad_token_id": 5}}
    assert flat(tables) == {
        "backend.runtime_env.working_dir": "https://<secret>@host/x.zip",
        "backend.api_key": "<secret>",
        "backend.tokens": "s3://<secret>@b",
        "backend.pad_token_id": 5,
    }

    class Told:
        def start(self, about: Any) -> dict[str, str]:
            return {}

        def where(self) -> str:
            return "run 1 at http://ada:pa@ss@host"

        def log(self, found: dict[str, float], step: int) -> None:
            raise OSError("no http://ada:pass@host/api")

    said: list[str] = []
    session = Session({"acme": Told()}, said.append)  # type: ignore[dict-item]
    session.start(about(Path("r")), {})
    session.log({"step": 1, "loss": 1.0}, 1)
    assert said[0] == "acme: run 1 at http://<secret>@host"
    assert said[1].endswith("OSError: no http://<secret>@host/api")


def about(folder: Path, **recipe: str) -> Any:
    from vox_trackers.tracker import About

    return About(name="r", project="voxcli", group=None, folder=folder, recipe=recipe, metrics=(), step=0)


def test_mlflow_takes_any_key(project: Project) -> None:
    from mlflow.tracking import MlflowClient

    from vox_trackers.mlflow import MLflow

    odd = ("text.replace.&", "text.replace.%", "train.learning_rates.*.norm*", "a//b", "x" * 400)
    run = MLflow().start(about(project.path, **dict.fromkeys(odd, "1")))["run"]
    params = MlflowClient().get_run(run).data.params
    assert set(params) == {"text.replace._", "text.replace.__2", "train.learning_rates._.norm_", "a/b", "x" * 240}


def test_mlflow_leaves_no_run_that_goes_on_for_ever(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    from vox_trackers.mlflow import MLflow

    def fails(*given: Any, **named: Any) -> None:
        raise OSError("full")

    monkeypatch.setattr(MlflowClient, "log_batch", fails)
    with pytest.raises(OSError, match="full"):
        MLflow().start(about(project.path, a="1"))
    client = MlflowClient()
    (stored,) = client.search_runs([client.get_experiment_by_name("voxcli").experiment_id])
    assert stored.info.status == "FAILED"


def test_runs_of_one_name_are_two_in_trackio(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the library stood in for: it is not in this environment (test_trackio.py has the real one)."""
    from dataclasses import replace

    from vox_trackers.trackio import Trackio

    asked: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "trackio", SimpleNamespace(init=lambda **keys: asked.append(keys)))
    fresh = about(Path("r"))
    first, second = Trackio().start(fresh), Trackio().start(fresh)
    again = Trackio().start(replace(fresh, kept=first))
    names = [one["name"] for one in asked]
    assert names[0].startswith("r-")
    assert names == [first["run"], second["run"], first["run"]]
    assert first == again != second


def test_the_plugin_keeps_its_contracts() -> None:
    check_plugin("vox_trackers")
