"""Clips that make a loss or a gradient not finite: each is named with its reason, and the run goes on without it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from forked import spawn, together
from safetensors.torch import load_file

from voxcli.testing import Project, Result, tones
from voxcli.testing_models import tiny_ctc, tiny_whisper
from voxcli.train.gradients import Gradients

BACKENDS = ("accelerate", "transformers")
TEXTS = ("one", "two", "six", "ten")
RATE = 16_000

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "{model}"
    checkpoint = "{model}"
    {keys}

    [train]
    max_steps = 4
    per_device_train_batch_size = 4
    gradient_accumulation_steps = 2
    learning_rate = 0.05
    optim = "sgd"
    lr_scheduler_type = "constant"
    warmup_steps = 0.0
    eval_steps = 2
    use_cpu = true
"""

# what voxcli does to keep such clips away from the loss is switched off; a bad gradient and a bad batch are planted
PLANTED = """
    import json, os
    import torch
    from voxcli.api import hookimpl
    from voxcli.data import preparation
    from voxcli.tasks.ctc import CTCTask, _labels

    PLANT = json.loads(os.environ.get("PLANT", "{}"))

    def features(self, utterance, audio, bundle):
        item = true_features(self, utterance.replace(text=None), audio, bundle)
        if utterance.text is None:
            return item
        return {**item, "labels": _labels(utterance.text, bundle)}

    true_features = CTCTask.features
    if PLANT.get("infeasible"):
        CTCTask.features = features
        CTCTask.problem = lambda self, utterance, limits, bundle: None
    if PLANT.get("audio"):
        preparation.unusable = lambda audio: None

    class Steep(torch.autograd.Function):
        @staticmethod
        def forward(context, total):
            return total.clone()

        @staticmethod
        def backward(context, gradient):
            return gradient * float("inf")

    calls = []

    @hookimpl
    def vox_run_start(run):
        calls.clear()
        true = type(run.task).loss

        def loss(bundle, batch):
            total, count = true(run.task, bundle, batch)
            if not bundle.model.training:
                return total, count
            calls.append(len(batch["n_samples"]))
            if PLANT.get("steep") in batch["n_samples"].tolist():
                total = Steep.apply(total)
            small = torch.is_autocast_enabled(bundle.model.device.type)
            if small and PLANT.get("half") in batch["n_samples"].tolist():
                total = total * float("nan")
            if small and PLANT.get("overflow"):
                total = Steep.apply(total)
            if len(calls) in PLANT.get("once", ()):
                total = total * float("nan")
            if len(batch["n_samples"]) >= PLANT.get("together", 1e9):
                total = total * float("nan")
            return total, count

        if PLANT.keys() & {"steep", "once", "together", "half", "overflow"}:
            object.__setattr__(run.task, "loss", loss)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models without dropout, and one with."""
    folder = tmp_path_factory.mktemp("models")
    still = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}
    tiny_ctc(folder / "ctc", **still, final_dropout=0.0)
    tiny_ctc(folder / "dropout", hidden_dropout=0.3)
    tiny_ctc(folder / "parakeet", architecture="parakeet_ctc")
    tiny_whisper(folder / "whisper", dropout=0.0)
    return folder


class Data:
    """A project with sixteen sound clips, in which some are replaced."""

    def __init__(self, project: Project, models: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
        self.project, self.monkeypatch = project, monkeypatch
        family = "whisper" if model == "whisper" else "ctc"
        keys = 'language = "en"' if family == "whisper" else ""
        project.speech("data", texts=TEXTS, splits={"train": 16, "validation": 4})
        shutil.copytree(models / model, project.path / family)
        project.write({"r.toml": RECIPE.format(model=family, keys=keys), "planted.py": PLANTED})

    def manifest(self, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
        """Rewrite the rows below the heading: path, duration, text …"""
        path = self.project.path / "data/manifest.csv"
        head, *rows = [line.split(",") for line in path.read_text().splitlines()]
        path.write_text("\n".join(",".join(row) for row in [head, *change(rows)]) + "\n")

    def clip(self, number: int, *, samples: np.ndarray | None = None, text: str | None = None) -> str:
        """Put other samples or another text into a training clip; its id."""
        name = f"audio/train-{number:03}.wav"
        if samples is not None:
            soundfile.write(self.project.path / "data" / name, samples, RATE, subtype="FLOAT")
        duration = f"{len(samples) / RATE:.3f}" if samples is not None else None
        self.manifest(
            lambda rows: [
                [row[0], duration or row[1], text or row[2], *row[3:]] if row[0] == name else row for row in rows
            ]
        )
        return name

    def without(self, name: str) -> None:
        """Take a clip out of the data."""
        self.manifest(lambda rows: [row for row in rows if row[0] != name])

    def tried(self, name: str, *arguments: str, **plant: Any) -> Result:
        """A run, and what the command left."""
        self.monkeypatch.setenv("PLANT", json.dumps(plant))
        self.result = self.project.run(
            "train", "r.toml", "--no-doctor", f'name="{name}"', "--plugin", "planted.py", *arguments
        )
        return self.result

    def take(self, name: str, *arguments: str, **plant: Any) -> Run:
        """A run to its end."""
        self.tried(name, *arguments, **plant).assert_ok()
        return Run(self.project.path / "runs" / name)


class Run:
    """What a run left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = _read(path / "log.jsonl")
        self.culprits = _read(path / "culprits.jsonl")
        self.steps = [entry for entry in self.log if "learning_rate" in entry]
        self.incidents = [entry for entry in self.log if "incident" in entry]
        self.reasons = {entry["id"]: entry["reason"] for entry in self.culprits}

    def weights(self) -> dict[str, torch.Tensor]:
        """Of the newest checkpoint."""
        newest = sorted((self.path / "checkpoints").glob("step-*"))[-1]
        return load_file(newest / "model.safetensors")

    def assert_finite(self) -> None:
        """Losses, gradient norms and weights, running means among them."""
        assert all(np.isfinite(entry["loss"]) and np.isfinite(entry["grad_norm"]) for entry in self.steps)
        assert all(bool(torch.isfinite(weight).all()) for weight in self.weights().values())


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def said(result: Result) -> str:
    return result.out + result.err


@pytest.fixture
def data(vox_project: Callable[..., Project], models: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Data]:
    """A factory: `data("ctc")`. What a planted module changes is put back."""
    from voxcli.data import preparation
    from voxcli.tasks.ctc import CTCTask

    for name in ("features", "problem"):
        monkeypatch.setattr(CTCTask, name, getattr(CTCTask, name))
    monkeypatch.setattr(preparation, "unusable", preparation.unusable)
    return lambda model="ctc": Data(vox_project(), models, monkeypatch, model)


LONG = "abababab abababab abababab abababab"  # 35 characters in 0.4 s


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_transcript_that_does_not_fit_its_audio(data: Callable[..., Data], backend: str) -> None:
    """torch's CTC loss is infinite for it (ctc_zero_infinity is off), and so is nothing else."""
    made = data()
    culprit = made.clip(3, text=LONG)
    given = (
        f'backend.type="{backend}"',
        "train.max_steps=1",
        "train.eval_steps=1",
        "train.gradient_accumulation_steps=4",
    )
    run = made.take("r", *given, infeasible=True)
    run.assert_finite()
    (entry,) = run.culprits
    assert (entry["id"], entry["cause"], entry["step"], entry["split"]) == (culprit, "ctc-infeasible", 1, "train")
    assert entry["reason"].startswith("its label of 35 tokens needs 35 frames, its audio has 1")
    assert culprit in entry["batch"]
    assert len(entry["batch"]) == 4
    (incident,) = run.incidents
    assert (incident["incident"], incident["step"], incident["value"], incident["goes_on"]) == ("loss", 1, "inf", True)
    assert incident["culprits"] == [{key: entry[key] for key in ("id", "reason", "cause")}]
    assert len(incident["utterances"]) == 16
    assert incident["parameter"].startswith("wav2vec2.")
    line = f"step 1: the loss is inf because of {culprit} ({entry['reason']}): set aside, the step was taken again"
    assert said(made.result).count(line) == 1
    made.without(culprit)
    clean = made.take("clean", *given)
    for key in ("loss", "grad_norm"):
        assert run.steps[0][key] == pytest.approx(clean.steps[0][key], rel=1e-4)
    assert run.steps[0]["audio_seconds"] == pytest.approx(clean.steps[0]["audio_seconds"], abs=0.02)
    for name, weight in clean.weights().items():
        torch.testing.assert_close(run.weights()[name], weight, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_that_is_not_finite_under_a_loss_that_is(data: Callable[..., Data], backend: str) -> None:
    made = data()
    culprit = made.clip(5, samples=tones("seven"))
    run = made.take("r", f'backend.type="{backend}"', steep=len(tones("seven")))
    run.assert_finite()
    assert set(run.reasons) == {culprit}
    (incident,) = run.incidents
    assert (incident["incident"], incident["value"]) == ("gradient", "nan")
    assert incident["parameter"].startswith("wav2vec2.")
    assert "its gradient alone is" in run.reasons[culprit]
    assert incident["culprits"][0]["cause"] == "unknown"
    assert len(run.steps) == 4, "met twice, at fault once"


def test_several_culprits_of_a_step_are_all_found(data: Callable[..., Data]) -> None:
    made = data()
    names = {made.clip(number, text=LONG) for number in (0, 1, 7, 12, 13)}
    run = made.take("r", "train.gradient_accumulation_steps=4", infeasible=True)
    run.assert_finite()
    assert set(run.reasons) == names
    assert len(run.incidents) == 1
    assert len(run.incidents[0]["culprits"]) == 5


@pytest.mark.parametrize("model", ["ctc", "whisper", "parakeet"])
def test_samples_that_no_audio_has_never_reach_the_model(data: Callable[..., Data], model: str) -> None:
    made = data(model)
    samples = tones("one")
    loud, broken = samples.copy(), samples.copy()
    loud[100] = 1e30
    broken[[5, 6, 7]] = np.nan
    names = made.clip(2, samples=loud), made.clip(9, samples=broken)
    run = made.take("r", "train.eval_steps=4")
    run.assert_finite()
    assert "its samples reach 1e+30, and audio lies within -1 and 1" in run.reasons[names[0]]
    assert "samples that are not numbers" in run.reasons[names[1]]
    assert not run.incidents


@pytest.mark.parametrize("model", ["whisper", "parakeet"])
def test_an_amplitude_that_overflows_is_the_reason(data: Callable[..., Data], model: str) -> None:
    """Log-mel squares the samples. Batch normalisation of Parakeet then makes the whole batch not finite."""
    made = data(model)
    culprit = made.clip(2, samples=tones("one") * np.float32(1e30))
    run = made.take("r", audio=True)
    run.assert_finite()
    assert set(run.reasons) == {culprit}
    assert run.culprits[0]["cause"] == "audio-amplitude"
    assert run.reasons[culprit] == "its samples reach 3.02e+29, and audio lies within -1 and 1"
    assert [entry["incident"] for entry in run.incidents] == ["loss"]


NOT_NUMBERS = """
    from voxcli.api import config, hookimpl

    @config
    class Holes:
        p: float = 1.0

        def __call__(self, audio, sampling_rate, rng):
            audio = audio.copy()
            if len(audio) == {samples}:
                audio[:3] = float("nan")
            return audio

        def longest(self, duration):
            return duration

    @hookimpl
    def vox_register(registry):
        registry.add("augmentation", "holes", __name__ + ":Holes")
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_samples_that_an_augmentation_breaks(data: Callable[..., Data], guarded: bool) -> None:
    made = data()
    samples = tones("seven")
    culprit = made.clip(2, samples=samples)
    made.project.write({"holes.py": NOT_NUMBERS.replace("{samples}", str(len(samples)))})
    recipe = made.project.path / "r.toml"
    recipe.write_text(recipe.read_text() + '\n[[augment]]\ntype = "holes"\n')
    run = made.take("r", "--plugin", "holes.py", audio=not guarded)
    run.assert_finite()
    assert set(run.reasons) == {culprit}
    assert run.reasons[culprit].startswith(f"3 of {len(samples)} samples are not numbers")
    assert run.culprits[0].get("cause") == (None if guarded else "audio-not-finite")


def test_a_silent_clip_is_no_culprit(data: Callable[..., Data]) -> None:
    made = data()
    made.clip(2, samples=np.zeros(8000, np.float32))
    run = made.take("r")
    run.assert_finite()
    assert not run.culprits
    assert not run.incidents


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_with_nothing_else_leaves_the_weights(data: Callable[..., Data], backend: str) -> None:
    made = data()
    culprit = made.clip(3, text=LONG)
    given = (f'backend.type="{backend}"', "train.per_device_train_batch_size=1", "train.gradient_accumulation_steps=1")
    given += ("train.max_steps=16", "train.eval_steps=16", "train.save_steps=1", "train.save_total_limit=16")
    run = made.take("r", *given, 'train.optim="adamw_torch"', "train.learning_rate=1e-3", infeasible=True)
    assert set(run.reasons) == {culprit}
    (step,) = [entry["step"] for entry in run.steps if entry["loss"] is None]
    assert step == run.incidents[0]["step"]
    if step > 1:
        before, after = (
            load_file(run.path / f"checkpoints/step-{number:06}/model.safetensors") for number in (step - 1, step)
        )
        assert all(torch.equal(weight, before[name]) for name, weight in after.items())


LISTEN = """
    from transformers import Trainer
    from voxcli.api import hookimpl

    @hookimpl
    def vox_register(registry):
        true = Trainer.log

        def log(self, logs, *given, **more):
            if "loss" in logs:
                print("the Trainer's loss", logs["loss"])
            return true(self, logs, *given, **more)

        Trainer.log = log
"""


def test_trackers_of_the_trainer_get_losses_that_are_finite(
    data: Callable[..., Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Trainer

    monkeypatch.setattr(Trainer, "log", Trainer.log)
    made = data()
    made.clip(3, text=LONG)
    made.project.write({"listen.py": LISTEN})
    given = ('backend.type="transformers"', "train.logging_steps=1", "train.eval_steps=4", "--plugin", "listen.py")
    run = made.take("r", *given, infeasible=True)
    heard = [float(line.split()[-1]) for line in made.result.out.splitlines() if line.startswith("the Trainer's loss")]
    assert len(run.incidents) == 1
    assert heard == pytest.approx([entry["loss"] for entry in run.steps[:3]], rel=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_culprits_than_allowed_stop_the_run(data: Callable[..., Data], backend: str) -> None:
    made = data()
    names = {made.clip(number, text=LONG) for number in (1, 6, 11)}
    given = (f'backend.type="{backend}"', "train.max_culprits=2", "train.gradient_accumulation_steps=4")
    result = made.tried("r", *given, infeasible=True).assert_code(1)
    assert "error: step 1: the loss is inf because of audio/train-0" in result.err
    assert "train.max_culprits = 2 are set aside already. By cause: 3 ctc-infeasible" in result.err
    assert "their transcripts are too long for their audio" in result.err
    run = Run(made.project.path / "runs/r")
    assert set(run.reasons) == names
    assert [entry["goes_on"] for entry in run.incidents] == [False]
    assert not run.steps
    last = run.log[-1]
    assert last["end"] == "error"
    assert last["error"]["type"] == "TrainingError"
    assert set(last["error"]["utterances"]) == names
    assert made.take("r2", *given, "train.max_culprits=3", infeasible=True).steps


def test_a_model_that_the_learning_rate_broke_is_no_clips_fault(data: Callable[..., Data]) -> None:
    made = data()
    result = made.tried("r", "train.learning_rate=1e30").assert_code(1)
    assert "lower train.learning_rate (1e+30 now)" in result.err
    run = Run(made.project.path / "runs/r")
    assert not run.culprits
    (incident,) = [entry for entry in run.incidents if entry["incident"] != "spike"]
    assert (incident["cause"], incident["goes_on"], incident["culprits"]) != ("unknown", True, [])
    assert incident["cause"] == "learning-rate"


def test_data_that_are_all_too_loud_are_said_to_be(data: Callable[..., Data]) -> None:
    made = data("whisper")
    for number in range(16):
        made.clip(number, samples=tones(TEXTS[number % 4]) * np.float32(1e30))
    result = made.tried("r", audio=True).assert_code(1)
    assert "its samples reach 3" in result.err
    assert "All of the data have it: export their audio again, scaled to -1 … 1" in result.err
    (incident,) = Run(made.project.path / "runs/r").incidents
    assert incident["cause"] == "audio-amplitude"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_that_can_compute_nothing_alone_stops_with_the_batch(
    data: Callable[..., Data], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with DeepSpeed and FSDP, whose forward pass waits for the other processes."""
    begin, given = Gradients.__init__, {"alone": False, "repeatable": False}
    monkeypatch.setattr(Gradients, "__init__", lambda self, run, **more: begin(self, run, **more | given))
    made = data()
    culprit = made.clip(3, text=LONG)
    whole = ("train.gradient_accumulation_steps=4", f'backend.type="{backend}"')
    result = made.tried("r", *whole, infeasible=True).assert_code(1)
    assert "this backend can compute no utterance alone; the batch: " in result.err
    run = Run(made.project.path / "runs/r")
    assert not run.culprits
    assert culprit in run.incidents[0]["utterances"]


def test_what_is_finite_alone_but_not_together_stops_the_run(data: Callable[..., Data]) -> None:
    made = data()
    result = made.tried("r", together=4).assert_code(1)
    assert "each utterance alone is finite, and all of them together are not" in result.err
    assert not Run(made.project.path / "runs/r").culprits


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_happens_once_is_computed_once_more(data: Callable[..., Data], backend: str) -> None:
    made = data()
    calm = made.take("calm", f'backend.type="{backend}"')
    run = made.take("r", f'backend.type="{backend}"', once=[3])
    assert [(entry["step"], entry["culprits"], entry["goes_on"]) for entry in run.incidents] == [(2, [], True)]
    assert [entry["loss"] for entry in run.steps] == [entry["loss"] for entry in calm.steps]
    assert not run.culprits
    assert "finite when computed once more" in said(made.result)


def test_what_has_nothing_to_do_with_it_draws_the_same_dropout(data: Callable[..., Data]) -> None:
    """The second step is the same, whether the culprit of the first was there or had been set aside before."""
    made = data("dropout")
    made.clip(3, text=LONG)
    one = ("train.max_steps=1", "train.eval_steps=1")
    whole = made.take("whole", "train.max_steps=3", "train.eval_steps=1", infeasible=True)
    made.take("parts", *one, infeasible=True)
    parts = made.take("parts", "train.max_steps=3", "train.eval_steps=1", "--resume", infeasible=True)
    assert [entry["loss"] for entry in parts.steps] == [entry["loss"] for entry in whole.steps]
    assert parts.culprits == whole.culprits
    assert all(torch.equal(weight, whole.weights()[name]) for name, weight in parts.weights().items())


def test_a_clip_far_longer_than_the_others_and_the_memory(data: Callable[..., Data]) -> None:
    """Ten minutes among clips of half a second, alone in their batch: no memory, simulated."""
    made = data()
    samples = np.random.default_rng(0).normal(0, 0.05, 600 * RATE).astype(np.float32)
    culprit = made.clip(4, samples=samples, text="one")
    made.project.write({"memory.py": NO_MEMORY})
    run = made.take("r", "--plugin", "memory.py", "train.gradient_accumulation_steps=4")
    assert set(run.reasons) == {culprit}
    assert run.reasons[culprit] == "does not fit the memory, even alone (600.0 s in a set whose median is 0.3 s)"
    assert run.culprits[0]["cause"] == "memory"
    assert culprit in run.culprits[0]["batch"]
    run.assert_finite()


NO_MEMORY = """
    import torch
    from voxcli.api import hookimpl

    @hookimpl
    def vox_run_start(run):
        def forward(module, args, given):
            if given["input_values"].shape[1] > 16_000 * 60:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        run.bundle.model.register_forward_pre_hook(forward, with_kwargs=True)
"""


KILL = """
    import os, signal
    from voxcli.api import hookimpl

    @hookimpl
    def vox_run_log(run, step, metrics):
        if metrics.get("incident") == "loss" and str(metrics["step"]) == os.environ.get("KILL"):
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_repeats_itself(data: Callable[..., Data]) -> None:
    """kill -9 in the moment in which a culprit was set aside, after the last checkpoint."""
    made = data("dropout")
    made.project.write({"kill.py": KILL})
    for number in (3, 6, 10):
        made.clip(number, text=LONG)
    made.monkeypatch.setenv("PLANT", json.dumps({"infeasible": True}))
    given = (
        "train",
        "r.toml",
        "--no-doctor",
        "--plugin",
        "planted.py",
        "--plugin",
        "kill.py",
        "train.gradient_accumulation_steps=1",
    )
    given += ("train.max_steps=8", "train.save_steps=1", "train.eval_steps=8")
    whole = made.take("whole", *given[5:], infeasible=True)
    assert len(whole.culprits) == 3
    step = str(whole.incidents[-1]["step"])
    assert int(step) > 1
    killed = spawn(made.project, *given, 'name="killed"', env={"KILL": step})
    assert killed.code == -9, said(killed)
    spawn(made.project, *given, 'name="killed"', "--resume").assert_ok()
    run = Run(made.project.path / "runs/killed")
    assert [entry["loss"] for entry in run.steps] == [entry["loss"] for entry in whole.steps]
    assert run.culprits == whole.culprits
    assert all(torch.equal(weight, whole.weights()[name]) for name, weight in run.weights().items())
    sessions = [entry["session"] for entry in run.log if "session" in entry]
    assert [one["resumed"] for one in sessions] == [False, True]
    assert sessions[0]["order"] == sessions[1]["order"], "of the same epoch"
    assert [entry["end"] for entry in run.log if "end" in entry] == ["finished"]


def in_two_processes(made: Data, commands: list[list[str]]) -> tuple[str, str]:
    """Commands, one after the other, in two processes, with infeasible clips let through."""
    return together(made.project, commands, env={"PLANT": json.dumps({"infeasible": True})})


def test_two_processes_agree(data: Callable[..., Data]) -> None:
    """The culprit is in one of them; both take the step again, and both know the id in the next epoch."""
    made = data()
    culprit = made.clip(3, text=LONG)
    size = "train.per_device_train_batch_size=8"  # an epoch is one step, however many processes there are
    given = ["train", "r.toml", "--no-doctor", "--plugin", "planted.py", size, "train.gradient_accumulation_steps=1"]
    runs = [[*given, f'name="{name}"', f'backend.type="{name}"'] for name in BACKENDS]
    out, err = in_two_processes(made, runs)
    assert out.count("exit code 0") == 4, err
    alone = made.take("alone", size, infeasible=True)  # one process, twice the accumulation
    for name in BACKENDS:
        run = Run(made.project.path / "runs" / name)
        run.assert_finite()
        assert [entry["id"] for entry in run.culprits] == [culprit], "written once"
        assert len(run.incidents) == 1
        assert len(run.incidents[0]["utterances"]) == 16, "those of both"
        assert [entry["loss"] for entry in run.steps] == pytest.approx(
            [entry["loss"] for entry in alone.steps], rel=1e-4
        )
        for key, weight in alone.weights().items():
            torch.testing.assert_close(run.weights()[key], weight, rtol=1e-4, atol=2e-5)


def test_a_process_that_keeps_nothing(data: Callable[..., Data]) -> None:
    """Our loop goes on with what the others have; DistributedDataParallel would wait for it without end."""
    made = data()
    culprit = made.clip(3, text=LONG)
    sizes = ["train.per_device_train_batch_size=1", "train.gradient_accumulation_steps=1", "train.max_steps=8"]
    given = ["train", "r.toml", "--no-doctor", "--plugin", "planted.py", *sizes, "train.eval_steps=8"]
    out, err = in_two_processes(made, [[*given, f'name="{name}"', f'backend.type="{name}"'] for name in BACKENDS])
    assert (out.count("exit code 0"), out.count("exit code 1")) == (2, 2), err
    run = Run(made.project.path / "runs/accelerate")
    assert set(run.reasons) == {culprit}
    assert all(entry["loss"] for entry in run.steps)
    assert "one of the processes has nothing else in this step" in err
    assert Run(made.project.path / "runs/transformers").incidents[-1]["goes_on"] is False


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """float16 on a processor: slow and refused, but its scaler and its overflows are those of a GPU."""
    from voxcli.train import device

    if not torch.cuda.is_available():
        monkeypatch.setattr(device, "check_precision", lambda *_: None)
        return ('train.mixed_precision="fp16"',)
    return ('train.mixed_precision="fp16"', "train.use_cpu=false")


def test_float16_and_what_no_precision_makes_finite(data: Callable[..., Data], half: tuple[str, ...]) -> None:
    """It is set aside, and the scaler takes the step again."""
    made = data()
    culprit = made.clip(3, text=LONG)
    run = made.take("r", *half, "train.gradient_accumulation_steps=4", infeasible=True)
    assert {entry["id"]: entry["cause"] for entry in run.culprits} == {culprit: "ctc-infeasible"}
    assert all(np.isfinite(entry["loss"]) for entry in run.steps)
    assert len(run.steps) == 4


def test_a_clip_that_overflows_in_float16_alone_is_left_out_of_its_steps(
    data: Callable[..., Data], half: tuple[str, ...]
) -> None:
    made = data()
    culprit = made.clip(3, samples=tones("seven"))
    given = (*half, "train.gradient_accumulation_steps=4")
    run = made.take("r", *given, half=len(tones("seven")))
    assert not run.culprits
    assert [entry["step"] for entry in run.incidents] == [1, 2, 3, 4], "it is tried again in each epoch"
    for entry in run.incidents:
        assert [(one["id"], one["cause"]) for one in entry["culprits"]] == [(culprit, "fp16-overflow")]
    assert "float16 overflows on it; in float32 its loss is" in run.incidents[0]["culprits"][0]["reason"]
    assert f"because of {culprit}" in said(made.result)
    assert "left out of this step" in said(made.result)
    result = made.tried("strict", *given, "train.max_culprits=0", half=len(tones("seven"))).assert_code(1)
    assert "train.max_culprits = 0" in result.err
    assert 'train.mixed_precision = "bf16" or "no"' in result.err


def test_where_float16_overflows_everywhere_it_is_the_precision(
    data: Callable[..., Data], half: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients that overflow step after step: the scale does not find its size."""
    from voxcli.train import guard

    monkeypatch.setattr(guard, "MOST_OVERFLOWS", 2)
    made = data()
    result = made.tried("r", *half, overflow=True).assert_code(1)
    assert "error: step 3: the gradient's norm is" in result.err
    assert 'train.mixed_precision = "bf16" or "no"' in result.err
    run = Run(made.project.path / "runs/r")
    assert [(entry["incident"], entry["cause"], entry["goes_on"]) for entry in run.incidents] == [
        ("gradient", "fp16-overflow", False)
    ]
    assert len(run.steps) == 2, "the scaler's business until then"
