"""`vox train` as a person runs it: what is on the screen, what is in the folder, what a second command does."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import popen

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

RECIPE = """
    name = "r"
    seed = 3

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [[augment]]
    type = "gain"
    p = 0.5

    [model]
    type = "ctc"
    checkpoint = "base"

    [train]
    max_steps = {steps}
    per_device_train_batch_size = 2
    gradient_accumulation_steps = 2
    learning_rate = 1e-3
    eval_steps = {pause}

    [evaluate]
    metrics = ["cer", "wer"]
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CTC checkpoint with dropout, so that a resume that forgets the generators shows."""
    return tiny_ctc(tmp_path_factory.mktemp("models") / "base", hidden_dropout=0.2, feat_proj_dropout=0.2)


@pytest.fixture
def project(vox_project: Callable[..., Project], base: Path) -> Project:
    made = vox_project({"r.toml": RECIPE.format(steps=6, pause=3)})
    made.speech("data", n=10)
    shutil.copytree(base, made.path / "base")
    return made


def log_of(project: Project, name: str = "r") -> list[dict[str, Any]]:
    lines = (project.path / "runs" / name / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def losses(project: Project, name: str = "r") -> list[float]:
    return [entry["loss"] for entry in log_of(project, name) if "loss" in entry]


def test_a_recipe_becomes_a_model(project: Project) -> None:
    result = project.run("train", "r.toml").assert_ok()
    run = project.path / "runs" / "r"

    assert "model       runs/r/best (step" in result.out
    assert "vox evaluate runs/r --data r.toml --split test" in result.out
    assert "vox transcribe FILE --model runs/r" in result.out
    assert "training" not in result.out, "progress belongs to stderr"
    assert "importing torch" in result.err
    assert "step 3: validation cer" in result.err

    steps = [entry for entry in log_of(project) if "loss" in entry]
    assert [entry["step"] for entry in steps] == [1, 2, 3, 4, 5, 6]
    keys = {"epoch", "loss", "grad_norm", "learning_rate", "seconds", "audio_seconds", "padding", "peak_bytes"}
    assert keys <= set(steps[0])
    assert steps[2]["epoch"] == 1.0, "10 utterances are 5 batches: steps of 2, 2 and 1"
    assert sum(entry["audio_seconds"] for entry in steps[:3]) == pytest.approx(
        sum(entry["audio_seconds"] for entry in steps[3:]), rel=0.01
    )
    assert [entry["step"] for entry in log_of(project) if "validation" in entry] == [3, 6]

    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-000003", "step-000006"]
    files = {path.name for path in (run / "best").iterdir()}
    assert {"config.json", "model.safetensors", "processor_config.json", "vox.json", "training_state"} <= files
    lock = json.loads((run / "lock.json").read_text())
    assert lock["packages"]["torch"]
    assert lock["plugins"] == {}  # no third party's
    assert lock["data"]["train"]["utterances"] == 10

    again = project.run("recipe", "check", "runs/r/recipe.toml").assert_ok()
    assert "no problems" in again.out


def test_the_checkpoint_is_an_ordinary_one(project: Project) -> None:
    from transformers import AutoModelForCTC, AutoProcessor

    project.run("train", "r.toml", "train.max_steps=1").assert_ok()
    best = project.path / "runs" / "r" / "best"
    assert AutoModelForCTC.from_pretrained(best).config.vocab_size == len(AutoProcessor.from_pretrained(best).tokenizer)


def test_a_dry_run_counts_and_writes_nothing(project: Project) -> None:
    result = project.run("train", "r.toml", "filter.max_duration=0.9", "--dry-run").assert_ok()
    assert not (project.path / "runs").exists()
    for expected in ("parameters ", "device      cpu", "train       ", "max_duration = 0.9", "steps       6 = "):
        assert expected in result.out

    counted = json.loads(project.run("train", "r.toml", "--dry-run", "--json").assert_ok().out)
    assert counted["splits"]["train"]["utterances"] == 10
    assert counted["batches"] == {"per_epoch": 5, "utterances": 2.0, "padding": counted["batches"]["padding"]}
    assert counted["steps"]["per_epoch"] == 3
    assert counted["parameters"]["trained"] <= counted["parameters"]["total"]
    assert counted["decoding"]["num_beams"] == 1


def test_the_same_recipe_twice_gives_the_same_losses(project: Project) -> None:
    for name in ("one", "two"):
        project.run("train", "r.toml", f"name={name!r}", "train.max_steps=3").assert_ok()
    assert losses(project, "one") == losses(project, "two")
    project.run("train", "r.toml", 'name="three"', "seed=4", "train.max_steps=3").assert_ok()
    assert losses(project, "three") != losses(project, "one")


def test_how_often_a_run_is_evaluated_changes_no_loss(project: Project) -> None:
    project.run("train", "r.toml", 'name="often"', "train.eval_steps=1").assert_ok()
    project.run("train", "r.toml", 'name="once"', "train.eval_steps=6").assert_ok()
    assert losses(project, "often") == losses(project, "once")


def test_an_existing_run_is_kept_and_the_ways_on_are_said(project: Project) -> None:
    project.run("train", "r.toml", "train.max_steps=1").assert_ok()
    result = project.run("train", "r.toml", "train.max_steps=1").assert_code(2)
    assert "runs/r already holds a run with 1 checkpoint, the newest at step 1" in result.err
    assert "--resume continues it; --run-dir runs/r-2" in result.err
    result = project.run("train", "r.toml", "train.max_steps=1", "--resume").assert_ok()
    assert "runs/r is complete: 1 steps" in result.err
    project.run("train", "r.toml", "train.max_steps=1", "--run-dir", "runs/r-2").assert_ok()
    assert (project.path / "runs" / "r-2" / "best").exists()


def test_a_longer_run_continues_and_another_recipe_does_not(project: Project) -> None:
    project.run("train", "r.toml", "train.max_steps=2").assert_ok()
    result = project.run("train", "r.toml", "train.learning_rate=1e-2", "--resume").assert_code(1)
    assert "train.learning_rate: 0.001 -> 0.01" in result.err
    result = project.run("train", "runs/r", "train.max_steps=3", "--resume").assert_ok()
    assert "continuing runs/r after step 2 of 3" in result.err
    assert [entry["step"] for entry in log_of(project) if "loss" in entry] == [1, 2, 3]


def test_changed_data_are_not_continued_with(project: Project) -> None:
    project.run("train", "r.toml", "train.max_steps=1").assert_ok()
    manifest = project.path / "data" / "manifest.csv"
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(lines[:1] + lines[2:]) + "\n")
    result = project.run("train", "r.toml", "train.max_steps=2", "--resume").assert_code(1)
    assert "10 utterances" in result.err
    assert ", 9 and" in result.err


def wait_for(path: Path, process: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def test_a_killed_run_goes_on_exactly(project: Project) -> None:
    steps = ("train.max_steps=30", "train.eval_steps=15", "train.save_steps=5", "train.save_total_limit=50")
    project.run("train", "r.toml", *steps, 'name="whole"').assert_ok()
    process = popen(project, "train", "r.toml", *steps)
    wait_for(project.path / "runs" / "r" / "checkpoints" / "step-000005", process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    killed = len(losses(project))
    assert killed < 30, "it was killed too late to show anything"

    result = project.run("train", "r.toml", *steps, "--resume").assert_ok()
    assert "continuing runs/r after step " in result.err
    assert losses(project) == losses(project, "whole"), "to the last bit"
    assert [e["validation"] for e in log_of(project) if "validation" in e] == [
        e["validation"] for e in log_of(project, "whole") if "validation" in e
    ]
    weights = [project.path / "runs" / name / "checkpoints" / "step-000030" for name in ("r", "whole")]
    assert (
        weights[0].joinpath("model.safetensors").read_bytes() == weights[1].joinpath("model.safetensors").read_bytes()
    )


def test_ctrl_c_saves_and_says_how_to_go_on(project: Project) -> None:
    steps = ("train.max_steps=4000", "train.eval_steps=4000", "train.logging_steps=1")
    process = popen(project, "train", "r.toml", *steps)
    log = project.path / "runs" / "r" / "log.jsonl"
    wait_for(log, process)
    while not log.read_text():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert out == ""
    assert "interrupted: finishing this step" in err
    done = len(losses(project))
    assert f"step-{done:06d} is on disk. Continue with:\n  vox train r.toml {' '.join(steps)} --resume" in err
    assert (project.path / "runs" / "r" / "checkpoints" / f"step-{done:06d}" / "model.safetensors").is_file()
    result = project.run("train", "r.toml", f"train.max_steps={done + 2}", "train.eval_steps=4000", "--resume")
    result.assert_ok()
    assert len(losses(project)) == done + 2


STOPS = """
    from voxcli.api import hookimpl

    @hookimpl
    def vox_run_start(run):
        run.interruption.requested = True
"""


def test_the_command_to_go_on_with_is_whole_and_quoted(project: Project) -> None:
    (project.path / "my plugins").mkdir()
    project.write({"my plugins/stops.py": STOPS})
    plugin = ("--plugin", "my plugins/stops.py")
    project.run("plugins", "lock", *plugin).assert_ok()
    named = ("seed=4", 'evaluate.metrics=["cer", "wer"]', "--run-dir", "my runs/one")
    stopped = project.run("train", "r.toml", *named, *plugin, "--locked", "--no-doctor", "--json").assert_code(130)
    told = shlex.split(stopped.err.partition("Continue with:\n")[2].splitlines()[0])
    assert told == [
        "vox", "train", "r.toml", *named, *plugin, "--locked=vox-plugins.lock", "--no-doctor", "--json", "--resume"
    ]  # fmt: skip
    again = project.run(*told[1:]).assert_code(130)
    assert "continuing my runs/one after step 1" in again.err


def test_utterances_that_break_are_set_aside_and_named(project: Project) -> None:
    broken = project.path / "data" / "audio" / "train-003.wav"
    broken.write_bytes(broken.read_bytes()[:60])
    (project.path / "data" / "audio" / "train-005.wav").unlink()
    result = project.run("train", "r.toml", "train.max_steps=3").assert_ok()
    culprits = [json.loads(line) for line in (project.path / "runs/r/culprits.jsonl").read_text().splitlines()]
    assert {Path(entry["id"]).stem for entry in culprits} == {"train-003", "train-005"}
    assert all(entry["reason"] for entry in culprits)
    assert "set aside   2 utterances: runs/r/culprits.jsonl" in result.out


LISTENER = """
    from voxcli.api import hookimpl

    @hookimpl
    def vox_run_start(run):
        print("start", run.total_steps)

    @hookimpl
    def vox_run_log(run, step, metrics):
        if "loss" in metrics:
            print("log", step)

    @hookimpl
    def vox_run_checkpoint(run, step, path):
        print("checkpoint", step, path.name)

    @hookimpl
    def vox_run_end(run, error):
        print("end", type(error).__name__)
"""


def test_listeners_hear_the_run(project: Project) -> None:
    project.write({"listener.py": LISTENER})
    out = project.run("train", "r.toml", "train.max_steps=2", "--plugin", "listener.py").assert_ok().out
    heard = out.splitlines()[:5]
    assert heard == ["start 2", "log 1", "log 2", "checkpoint 2 step-000002", "end NoneType"]


def test_a_listener_that_raises_does_not_end_the_run(project: Project) -> None:
    project.write({"broken.py": LISTENER.replace('print("log", step)', "raise ValueError(step)")})
    result = project.run("train", "r.toml", "train.max_steps=2", "--plugin", "broken.py").assert_ok()
    assert result.err.count("raised in vox_run_log and is switched off: ValueError: 1") == 1
    assert len(losses(project)) == 2


def test_a_loss_that_is_not_finite_stops_with_the_utterances(project: Project) -> None:
    given = ("train.learning_rate=1e30", "train.warmup_steps=0", "--no-doctor")
    result = project.run("train", "r.toml", *given).assert_code(1)
    assert "Traceback" not in result.err
    assert "step 2: the " in result.err
    assert "lower train.learning_rate (1e+30 now)" in result.err
    incident = next(entry for entry in log_of(project) if "incident" in entry)
    assert len(incident["utterances"]) == 4
    for name in incident["utterances"]:
        assert name in result.err


def test_the_best_checkpoint_and_early_stopping(project: Project) -> None:
    keys = ("train.learning_rate=1e-9", "train.eval_steps=1", "train.early_stopping_patience=2", "train.max_steps=50")
    result = project.run("train", "r.toml", *keys, "train.save_total_limit=1").assert_ok()
    assert "stopped early: 2 evaluations without a better cer" in result.err
    assert len(losses(project)) == 3
    names = sorted(path.name for path in (project.path / "runs" / "r" / "checkpoints").iterdir())
    assert names == ["step-000001", "step-000003"], "the best and the newest"
    assert (project.path / "runs" / "r" / "best").resolve().name == "step-000001"


def test_keys_and_names_that_do_not_exist_are_said_before_anything_is_read(project: Project) -> None:
    result = project.run("train", "r.toml", 'train.optim="adam_torch"').assert_code(2)
    assert "no optimizer is called 'adam_torch'" in result.err
    assert "did you mean `adamw_torch`?" in result.err
    result = project.run("train", "r.toml", 'train.mixed_precision="fp16"', "train.use_cpu=true").assert_code(2)
    assert "needs a GPU" in result.err
    assert not (project.path / "runs").exists()


def test_json_is_one_object(project: Project) -> None:
    found = json.loads(project.run("train", "r.toml", "train.max_steps=2", "--json").assert_ok().out)
    assert found["steps"] == 2
    assert found["model"] == "runs/r/best"
    assert set(found["validation"]) == {"cer", "wer", "loss"}
