"""Memory runs out at each place of a run: the losses and the weights are those of a run that nothing disturbed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import together
from safetensors.torch import load_file

from voxcli.testing import Project, Result
from voxcli.testing_models import tiny_ctc, tiny_whisper
from voxcli.train.gradients import Gradients

BACKENDS = ("accelerate", "transformers")
TEXTS = ("one", "two three four", "seven eight", "nine ten", "six", "four five two", "one two", "three")
STEPS = 4

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "{model}"
    checkpoint = "{model}"
    {keys}

    [backend]
    type = "{backend}"

    [train]
    max_steps = 4
    per_device_train_batch_size = 4
    gradient_accumulation_steps = 2
    learning_rate = 0.1
    optim = "sgd"
    lr_scheduler_type = "constant"
    warmup_steps = 0.0
    eval_steps = 4
    use_cpu = true
"""

# raises where FAULT says: at the n-th calls `at`, wherever there are more than `most` clips, or for clips of a length
FAULTS = """
    import json, os
    import torch
    from torch.optim import optimizer as optimizers
    from voxcli.api import hookimpl

    handles = []
    calls = []

    names = [""]

    def raised(place, clips=0, samples=0):
        fault = json.loads(os.environ["FAULT"])
        if fault.get("name", names[-1]) != names[-1]:
            return
        if fault["place"] != place or str(fault.get("rank", 0)) != os.environ.get("RANK", "0"):
            return
        calls.append(clips)
        if len(calls) in fault.get("at", ()) or clips > fault.get("most", 1e9) or samples > fault.get("longest", 1e9):
            with open(os.environ["FAULT_LOG"], "a") as file:
                file.write(f"{clips}\\n")
            if fault.get("cpu"):
                raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    @hookimpl
    def vox_run_start(run):
        calls.clear()
        names.append(run.recipe.name)
        model = run.bundle.model
        layer = next(one for name, one in model.named_modules() if name.endswith("encoder.layers.0"))

        def forward(module, args, given):
            first = next(value for value in given.values() if torch.is_tensor(value))
            place = "forward" if module.training else "evaluation"
            # what is not padding, of the longest clip
            samples = int(given["attention_mask"].sum(1).max()) if "attention_mask" in given else 0
            raised(place, len(first), samples)

        handles.append(model.register_forward_pre_hook(forward, with_kwargs=True))
        handles.append(layer.register_full_backward_pre_hook(lambda module, grads: raised("backward", len(grads[0]))))
        handles.append(optimizers.register_optimizer_step_pre_hook(lambda *_: raised("optimizer")))
        handles.append(optimizers.register_optimizer_step_post_hook(lambda *_: raised("after optimizer")))
        fused = torch._fused_adamw_

        def update(*args, **given):
            raised("kernel")
            return fused(*args, **given)

        torch._fused_adamw_ = update
        handles.append(type("Patch", (), {"remove": lambda self: setattr(torch, "_fused_adamw_", fused)})())

    @hookimpl
    def vox_run_end(run):
        while handles:
            handles.pop().remove()
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


_calm: dict[tuple[str, ...], Run] = {}
"""Undisturbed runs of the data that `runs` makes by default, taken once."""


class Runs:
    """Runs of one recipe, disturbed and not."""

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch, model: str, backend: str) -> None:
        self.project, self.monkeypatch, self.key = project, monkeypatch, (model, backend)
        keys = 'language = "en"' if model == "whisper" else ""
        project.write({"r.toml": RECIPE.format(model=model, backend=backend, keys=keys), "faults.py": FAULTS})

    def calm(self, *arguments: str) -> Run:
        """An undisturbed run, perhaps of an earlier test: models and data are the same."""
        key = (*self.key, *arguments)
        if key not in _calm:
            _calm[key] = self.take("calm", *arguments)
        return _calm[key]

    def take(self, name: str, *arguments: str, **fault: Any) -> Run:
        """A run to its end; `fault` as in FAULTS."""
        self.tried(name, *arguments, **fault).assert_ok()
        return Run(self.project.path, name)

    def tried(self, name: str, *arguments: str, **fault: Any) -> Result:
        """A run, and what the command left."""
        self.monkeypatch.setenv("VOX_PREDICT_MEMORY", "0")
        self.monkeypatch.setenv("FAULT", json.dumps({"place": "", **fault}))
        self.monkeypatch.setenv("FAULT_LOG", str(self.project.path / f"{name}.faults"))
        self.result = self.project.run("train", "r.toml", f'name="{name}"', "--plugin", "faults.py", *arguments)
        return self.result


class Run:
    """What a run left."""

    def __init__(self, project: Path, name: str) -> None:
        self.path = project / "runs" / name
        self.faults = [int(line) for line in _lines(project / f"{name}.faults")]
        """Clips of every forward or backward pass that ran out of memory."""
        self.log = [json.loads(line) for line in _lines(self.path / "log.jsonl")]
        self.culprits = [json.loads(line) for line in _lines(self.path / "culprits.jsonl")]
        self.steps = [entry for entry in self.log if "loss" in entry]
        self.incidents = [entry for entry in self.log if "incident" in entry]
        self.validations = [entry["validation"] for entry in self.log if "validation" in entry]
        folders = sorted((self.path / "checkpoints").glob("step-*"))
        self._weights = {int(folder.name[5:]): load_file(folder / "model.safetensors") for folder in folders}

    @property
    def losses(self) -> list[float]:
        return [entry["loss"] for entry in self.steps]

    def weights(self, step: int = STEPS) -> dict[str, torch.Tensor]:
        return self._weights[step]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


@pytest.fixture
def runs(vox_project: Callable[..., Project], models: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Runs]:
    """A factory: `runs("ctc", "accelerate")`."""

    def factory(model: str = "ctc", backend: str = "accelerate", **speech: Any) -> Runs:
        project = vox_project()
        project.speech("data", **{"texts": TEXTS, "splits": {"train": 16, "validation": 4}, **speech})
        family = "whisper" if model == "whisper" else "ctc"
        shutil.copytree(models / model, project.path / family)
        return Runs(project, monkeypatch, family, backend)

    return factory


def assert_same(calm: Run, shaken: Run, *, exactly: bool = False) -> None:
    """Losses, gradient norms, validation and weights: to float tolerance, or to the bit."""
    for key in ("loss", "grad_norm", "audio_seconds", "padding", "learning_rate"):
        found, wanted = ([entry[key] for entry in run.steps] for run in (shaken, calm))
        assert found == (wanted if exactly else pytest.approx(wanted, rel=1e-4, abs=1e-4)), key
    assert [one["loss"] for one in shaken.validations] == pytest.approx([one["loss"] for one in calm.validations])
    mine, others = shaken.weights(), calm.weights()
    assert set(mine) == set(others)
    for name, weight in others.items():
        if exactly:
            assert torch.equal(mine[name], weight), name
        else:
            torch.testing.assert_close(mine[name], weight, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("backend", "model", "place"),
    [
        ("accelerate", "ctc", "forward"),
        ("accelerate", "whisper", "backward"),
        ("transformers", "ctc", "backward"),
        ("transformers", "whisper", "forward"),
    ],
)
def test_a_batch_that_does_not_fit_is_taken_in_halves(
    runs: Callable[..., Runs], backend: str, model: str, place: str
) -> None:
    made = runs(model, backend)
    calm = made.calm()
    # the second micro-batch of the second step, once the first one's gradients are there
    shaken = made.take("shaken", place=place, at=[4])
    assert shaken.faults == [4]
    assert_same(calm, shaken)
    (incident,) = shaken.incidents
    assert (incident["incident"], incident["step"], incident["where"]) == ("memory", 2, place)
    assert len(incident["utterances"]) == len(incident["durations"]) == 4
    assert incident["padded_seconds"] >= sum(incident["durations"]) - 0.05
    assert 0 <= incident["padding"] < 1
    out = made.result.out + made.result.err
    assert out.count("out of memory") == 1
    assert "step 2: out of memory on cpu" in out
    assert "train.per_device_train_batch_size=2 train.gradient_accumulation_steps=4" in out
    assert "train.per_device" not in json.dumps(calm.incidents)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_failure_of_a_cpu_is_understood_too(runs: Callable[..., Runs], backend: str) -> None:
    made = runs("ctc", backend)
    assert_same(made.calm(), made.take("shaken", place="backward", at=[3], cpu=True))


@pytest.mark.parametrize(("backend", "place"), zip(BACKENDS, ["forward", "backward"], strict=True))
def test_halves_of_halves_and_later_batches_are_cut_before_they_are_tried(
    runs: Callable[..., Runs], backend: str, place: str
) -> None:
    made = runs("whisper", backend)
    calm = made.calm()
    shaken = made.take("shaken", place=place, most=1)
    assert_same(calm, shaken)
    assert set(shaken.faults[:2]) == {4, 2}
    assert len(shaken.faults) <= 4, "what did not fit once is not tried again"
    assert "train.per_device_train_batch_size=1 train.gradient_accumulation_steps=8" in (
        made.result.out + made.result.err
    )
    assert (made.result.out + made.result.err).count("out of memory") == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_does_not_fit_is_remembered_by_a_resumed_run(runs: Callable[..., Runs], backend: str) -> None:
    made = runs("whisper", backend)
    calm = made.calm()
    fault = {"place": "backward", "most": 2}
    first = made.take("parts", "train.max_steps=2", "train.eval_steps=2", **fault)
    assert first.faults
    (made.project.path / "parts.faults").unlink()
    resumed = made.take("parts", "--resume", **fault)
    assert resumed.faults == []
    assert resumed.losses == pytest.approx(calm.losses, rel=1e-4)
    assert len(resumed.incidents) == len(first.incidents)
    for name, weight in calm.weights().items():
        torch.testing.assert_close(resumed.weights()[name], weight, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("place", "at"), [("optimizer", 2), ("after optimizer", 1), ("kernel", 1), ("kernel", 2)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_no_parameter_is_updated_twice(runs: Callable[..., Runs], backend: str, at: int, place: str) -> None:
    given = ('train.optim="adamw_torch_fused"', "train.learning_rate=1e-2", "train.weight_decay=0.1")
    made = runs("ctc", backend)
    calm = made.calm(*given)
    shaken = made.take("shaken", *given, place=place, at=[at])
    assert shaken.faults == [0]
    assert_same(calm, shaken, exactly=True)
    (incident,) = shaken.incidents
    assert (incident["incident"], incident["where"]) == ("memory", "optimizer")
    assert incident["step"] == ((at + 1) // 2 if place == "kernel" else at)


@pytest.mark.parametrize("optim", ["sgd", "adafactor", "adamw_bnb_8bit"])
def test_other_optimizers_go_on_too(runs: Callable[..., Runs], optim: str) -> None:
    given = (f'train.optim="{optim}"', "train.learning_rate=1e-2", "train.weight_decay=0.1")
    made = runs("ctc")
    assert_same(made.calm(*given), made.take("shaken", *given, place="optimizer", at=[2]), exactly=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_optimizer_that_never_fits_ends_the_run_with_the_repair(runs: Callable[..., Runs], backend: str) -> None:
    made = runs("ctc", backend)
    result = made.tried("r", 'train.optim="adamw_torch_fused"', place="kernel", most=-1).assert_code(1)
    assert "error: step 1: out of memory on cpu while the optimizer" in result.err
    assert 'train.optim="adamw_bnb_8bit"' in result.err
    assert Run(made.project.path, "r").losses == []


@pytest.mark.parametrize(("backend", "model"), [("accelerate", "whisper"), ("transformers", "ctc")])
def test_an_evaluation_goes_on_in_halves(runs: Callable[..., Runs], backend: str, model: str) -> None:
    made = runs(model, backend)
    calm = made.calm()
    shaken = made.take("shaken", place="evaluation", most=1)
    assert shaken.faults
    assert shaken.validations[0] == pytest.approx(calm.validations[0], rel=1e-4)
    assert shaken.losses == calm.losses
    assert not shaken.culprits
    assert {entry["where"] for entry in shaken.incidents} == {"evaluation"}
    assert "evaluate.batch_duration" in made.result.out + made.result.err


def test_a_clip_that_cannot_be_evaluated_alone_is_set_aside(runs: Callable[..., Runs]) -> None:
    made = runs("ctc", texts=("one", "two", "three four five six seven", "six"))
    shaken = made.take("shaken", place="evaluation", longest=25_000)
    assert shaken.validations
    assert [(entry["id"], entry["split"]) for entry in shaken.culprits] == [("audio/validation-002.wav", "validation")]
    assert "memory" in shaken.culprits[0]["reason"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_clip_that_does_not_fit_alone_is_set_aside_by_name(runs: Callable[..., Runs], backend: str) -> None:
    made = runs("ctc", backend, texts=("one", "two", "six ten", "nine"), splits={"train": 16, "validation": 2})
    manifest = made.project.path / "data/manifest.csv"
    rows = manifest.read_text().splitlines()
    made.project.speech("long", texts=("seven eight nine ten one two",), splits={"train": 1})
    long = (made.project.path / "long/manifest.csv").read_text().splitlines()[1]
    manifest.write_text("\n".join([*rows, long.replace("audio/", "../long/audio/")]) + "\n")
    two = ("train.max_steps=6", "train.eval_steps=6")  # each clip is met twice
    shaken = made.take("shaken", *two, place="forward", longest=32_000)
    assert [entry["id"].rpartition("/")[2] for entry in shaken.culprits] == ["train-000.wav"]
    assert "memory" in shaken.culprits[0]["reason"]
    assert (made.result.out + made.result.err).count(f"set aside {shaken.culprits[0]['id']}") == 1
    assert shaken.faults[-1] == 1, "it is not tried again"
    assert shaken.faults.count(1) == 1
    assert len(shaken.steps) == 6


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_rest_of_a_batch_counts_when_one_clip_is_set_aside(runs: Callable[..., Runs], backend: str) -> None:
    """The loss is the mean over what was left: the same as if the clip had never been in the data."""
    made = runs("ctc", backend, texts=("one", "two", "six ten seven nine one"), splits={"train": 3, "validation": 2})
    one = ("train.max_steps=1", "train.eval_steps=1", "train.gradient_accumulation_steps=1")
    shaken = made.take("shaken", *one, place="forward", longest=24_000)
    manifest = made.project.path / "data/manifest.csv"
    rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join(row for row in rows if "train-002" not in row) + "\n")
    without = made.take("without", *one)
    assert [entry["id"] for entry in shaken.culprits] == ["audio/train-002.wav"]
    assert shaken.losses == pytest.approx(without.losses, rel=1e-5)
    assert shaken.steps[0]["audio_seconds"] == pytest.approx(without.steps[0]["audio_seconds"], abs=0.02)
    for name, weight in without.weights(1).items():
        torch.testing.assert_close(shaken.weights(1)[name], weight, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_with_nothing_left_leaves_the_weights_and_the_run_goes_on(
    runs: Callable[..., Runs], backend: str
) -> None:
    made = runs("ctc", backend)
    given = ("train.per_device_train_batch_size=1", "train.gradient_accumulation_steps=1", "train.save_steps=1")
    given += ("train.save_total_limit=4", 'train.optim="adamw_torch_fused"')
    shaken = made.take("shaken", *given, place="forward", at=[2])
    assert [entry["step"] for entry in shaken.log if "learning_rate" in entry] == [1, 2, 3, 4]
    assert [entry["step"] for entry in shaken.steps if entry["loss"] is None] == [2]
    assert len(shaken.culprits) == 1
    for name, weight in shaken.weights(1).items():
        assert torch.equal(shaken.weights(2)[name], weight), "Adam's momentum moves nothing either"
    assert any(not torch.equal(shaken.weights(3)[name], weight) for name, weight in shaken.weights(2).items())


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_nothing_fits_at_all_the_run_ends_with_the_repair(runs: Callable[..., Runs], backend: str) -> None:
    made = runs("ctc", backend)
    one = ("train.per_device_train_batch_size=1", "train.gradient_accumulation_steps=1")
    result = made.tried("r", *one, place="forward", most=0).assert_code(1)
    assert "out of memory on cpu" in result.err
    assert "not even one utterance fits" in result.err
    assert "train.gradient_checkpointing=true" in result.err
    assert "Traceback" not in result.err


def test_a_batch_that_is_not_cut_draws_the_same_dropout_again(
    runs: Callable[..., Runs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two micro-batches a step: the second is cut, the first repeats its loss to the bit."""
    made = runs("dropout")
    seen: list[tuple[int, float]] = []
    made.project.write(
        {
            "watch.py": """
            from voxcli.api import hookimpl
            import builtins

            @hookimpl
            def vox_run_start(run):
                true = type(run.task).loss
                def loss(bundle, batch):
                    total, count = true(run.task, bundle, batch)
                    if bundle.model.training:
                        builtins.vox_seen.append((len(batch["frames"]), float(total)))
                    return total, count
                object.__setattr__(run.task, "loss", loss)
        """
        }
    )
    import builtins

    monkeypatch.setattr(builtins, "vox_seen", seen, raising=False)
    made.take("r", "--plugin", "watch.py", "train.max_steps=1", "train.eval_steps=1", place="backward", at=[2])
    assert [clips for clips, _ in seen] == [4, 4, 4, 2, 2]
    assert seen[0] == seen[2]
    assert seen[3][1] + seen[4][1] != pytest.approx(seen[1][1])  # its masks are others


def test_running_means_are_not_moved_twice(runs: Callable[..., Runs]) -> None:
    """Batch normalisation counts its batches: the repeated first one once, the cut one as two."""
    made = runs("parakeet")
    one = ("train.max_steps=1", "train.eval_steps=1")
    shaken = made.take("shaken", *one, place="forward", at=[2])
    counts = [int(value) for name, value in shaken.weights(1).items() if name.endswith("num_batches_tracked")]
    assert set(counts) == {3}


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_errors_stay_what_they_are(runs: Callable[..., Runs], backend: str) -> None:
    made = runs("ctc", backend)
    made.project.write(
        {
            "broken.py": """
            from voxcli.api import hookimpl

            @hookimpl
            def vox_run_start(run):
                def loss(bundle, batch):
                    raise RuntimeError("shape mismatch")
                object.__setattr__(run.task, "loss", loss)
        """
        }
    )
    with pytest.raises(RuntimeError, match="shape mismatch"):
        made.tried("r", "--plugin", "broken.py")


def in_two_processes(made: Runs, *runs: tuple[str, ...], **fault: Any) -> tuple[str, str]:
    """Commands, one after the other, in two processes; `fault` as in FAULTS, in the process `rank`."""
    commands = [
        ["train", "r.toml", "--plugin", "faults.py", "train.gradient_accumulation_steps=1", *run] for run in runs
    ]
    given = {"FAULT": json.dumps(fault), "FAULT_LOG": str(made.project.path / "two.faults"), "VOX_PREDICT_MEMORY": "0"}
    return together(made.project, commands, env=given)


def test_one_of_two_processes_repeats_its_part(runs: Callable[..., Runs]) -> None:
    """The other one waits at the end of the step; what the first learned is in the state of both."""
    made = runs()
    out, err = in_two_processes(made, ('name="calm"',), ('name="two"',), place="backward", at=[1], rank=1, name="two")
    assert out.count("exit code 0") == 4, err
    shaken = Run(made.project.path, "two")
    assert_same(Run(made.project.path, "calm"), shaken)
    (incident,) = shaken.incidents
    assert (incident["step"], incident["rank"]) == (1, 1)
    state = json.loads((shaken.path / "best/training_state/state.json").read_text())
    assert [size[0] for size in state["ceiling"]] == [4]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_process_that_may_not_repeat_its_part_ends_with_the_repair(
    runs: Callable[..., Runs], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with DistributedDataParallel, whose backward pass waits for the other processes."""
    begin = Gradients.__init__
    monkeypatch.setattr(Gradients, "__init__", lambda self, run, **given: begin(self, run, **given | {"alone": False}))
    made = runs("ctc", backend)
    result = made.tried("r", place="backward", at=[3]).assert_code(1)
    assert "error: step 2: out of memory on cpu with a batch of 4 utterances" in result.err
    assert "train.per_device_train_batch_size=2 train.gradient_accumulation_steps=4" in result.err
    run = Run(made.project.path, "r")
    assert len(run.losses) == 1
    assert [entry["goes_on"] for entry in run.incidents] == ["no"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_card_that_is_too_small(runs: Callable[..., Runs], backend: str) -> None:
    """Real exhaustion: the allocator gets a little less than an undisturbed run took."""
    made = runs("whisper", backend)
    given = ("train.use_cpu=false", "train.per_device_train_batch_size=8", "train.gradient_accumulation_steps=1")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    calm = made.calm(*given)
    taken = torch.cuda.max_memory_reserved()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    try:
        torch.cuda.set_per_process_memory_fraction((taken - 4 * 2**20) / total)
        shaken = made.take("shaken", *given)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert shaken.incidents
    assert shaken.losses == pytest.approx(calm.losses, rel=1e-3)
