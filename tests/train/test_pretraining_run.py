"""A pre-training from the command line: exact however it is cut, resumed bit for bit, stopped where it collapses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import soundfile
import torch
from forked import together
from safetensors.torch import load_file

from voxcli.testing import Project

RECIPE = """
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "pretraining"
    architecture = "wav2vec2"
    mask_time_length = 4
    num_negatives = 10
    diversity_loss_weight = 2.0            # so that a diversity loss that is not exact shows
    hidden_dropout = {dropout}
    attention_dropout = {dropout}
    activation_dropout = 0.0
    feat_proj_dropout = 0.0
    layerdrop = 0.0

    [model.config]
    hidden_size = 16
    num_hidden_layers = 2
    num_attention_heads = 2
    intermediate_size = 32
    conv_dim = [8, 8, 8]
    conv_kernel = [10, 8, 8]
    conv_stride = [5, 8, 8]
    num_conv_pos_embeddings = 8
    num_conv_pos_embedding_groups = 2
    codevector_dim = 8
    proj_codevector_dim = 8
    num_codevectors_per_group = 6
    feat_extract_norm = "{norm}"

    [train]
    max_steps = 1
    per_device_train_batch_size = 4
    learning_rate = 1.0
    optim = "sgd"
    lr_scheduler_type = "constant"
    warmup_steps = 0.0
    max_grad_norm = 0.0
    use_cpu = true
"""
TEXTS = ("one", "two three four five six", "seven eight", "nine ten one two")  # from 0.3 to 1.9 s


def recipe(*, norm: str = "layer", dropout: float = 0.0) -> str:
    return RECIPE.format(norm=norm, dropout=dropout)


def rows(project: Project) -> None:
    """A corpus of audio alone: no column of text."""
    folder = project.speech("data", texts=TEXTS, splits={"train": 4, "validation": 3})
    lines = (folder / "manifest.csv").read_text().splitlines()[1:]
    kept = [f"{line.split(',')[0]},{line.split(',')[-1]}" for line in lines]
    (folder / "manifest.csv").write_text("\n".join(["path,split", *kept]) + "\n")


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    made = vox_project({"r.toml": recipe()})
    rows(made)
    return made


@pytest.fixture
def certain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice of codevectors draws no noise: what is left follows from the utterances."""

    def softmax(logits: torch.Tensor, *, tau: float, hard: bool) -> torch.Tensor:
        soft = torch.softmax(logits / tau, dim=-1)
        chosen = torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(soft)
        return chosen - soft.detach() + soft

    monkeypatch.setattr("torch.nn.functional.gumbel_softmax", softmax)


def entries(project: Project, name: str) -> list[dict[str, Any]]:
    lines = (project.path / "runs" / name / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def steps(project: Project, name: str) -> list[dict[str, Any]]:
    return [entry for entry in entries(project, name) if "loss" in entry]


def timeless(entry: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the machine."""
    return {key: value for key, value in entry.items() if "seconds" not in key and key != "peak_bytes"}


def weights(project: Project, name: str, step: int = 1) -> dict[str, torch.Tensor]:
    return load_file(project.path / "runs" / name / "checkpoints" / f"step-{step:06d}" / "model.safetensors")


def cut(name: str, batch: int, accumulation: int, *more: str) -> list[str]:
    sizes = [f"train.per_device_train_batch_size={batch}", f"train.gradient_accumulation_steps={accumulation}"]
    return ["train", "r.toml", f'name="{name}"', *sizes, *more]


def assert_same(project: Project, one: str, other: str) -> None:
    first, second = steps(project, one)[0], steps(project, other)[0]
    for key in ("loss", "grad_norm", "contrastive_loss", "diversity_loss", "codevector_perplexity", "share_masked"):
        assert second[key] == pytest.approx(first[key], rel=1e-4), key
    assert second["contrastive_accuracy"] == first["contrastive_accuracy"]
    made = weights(project, other)
    for name, weight in weights(project, one).items():
        torch.testing.assert_close(made[name], weight, rtol=1e-4, atol=2e-6)


@pytest.mark.usefixtures("certain")
@pytest.mark.parametrize("norm", ["layer", "group"])
def test_a_step_is_the_mean_over_all_of_it_however_it_is_cut(project: Project, norm: str) -> None:
    project.write({"r.toml": recipe(norm=norm)})
    for name, batch, accumulation, backend in (
        ("whole", 4, 1, "accelerate"),
        ("parts", 1, 4, "accelerate"),
        ("trainer", 1, 4, "transformers"),
    ):
        if norm == "layer" or backend == "accelerate":
            project.run(*cut(name, batch, accumulation, f'backend.type="{backend}"')).assert_ok()
            assert_same(project, "whole", name)
    moved = [weight for name, weight in weights(project, "whole").items() if "quantizer.weight_proj.bias" in name]
    assert float(moved[0].abs().max()) > 1e-4, "the diversity loss has changed the quantiser"


@pytest.mark.usefixtures("certain")
def test_two_processes_take_the_step_of_one(project: Project) -> None:
    project.run(*cut("alone", 4, 1)).assert_ok()
    given = [cut(one, 1, 2, f'backend.type="{one}"') for one in ("accelerate", "transformers")]
    out, err = together(project, given)
    assert out.count("exit code 0") == 4, err
    for name in ("accelerate", "transformers"):
        assert_same(project, "alone", name)


def test_a_run_in_two_parts_is_the_run_in_one(project: Project) -> None:
    project.write({"r.toml": recipe(dropout=0.2)})
    given = ("train.max_steps=4", "train.eval_steps=2", "train.learning_rate=0.1", "model.gumbel_temperature_decay=0.8")
    project.run(*cut("whole", 2, 1, *given)).assert_ok()
    project.run(*cut("parts", 2, 1, *given, "train.max_steps=2")).assert_ok()
    project.run(*cut("parts", 2, 1, *given), "--resume").assert_ok()
    left, right = ([timeless(entry) for entry in steps(project, name)] for name in ("whole", "parts"))
    assert left == right
    assert [entry["gumbel_temperature"] for entry in left] == pytest.approx([2.0, 1.6, 1.28, 1.024])
    ends = [project.path / "runs" / name / "checkpoints/step-000004/model.safetensors" for name in ("whole", "parts")]
    assert ends[0].read_bytes() == ends[1].read_bytes()
    validations = [entry["validation"] for entry in entries(project, "whole") if "validation" in entry]
    assert set(validations[0]) >= {"contrastive_loss", "contrastive_accuracy", "codevector_perplexity", "loss"}


def test_a_collapse_stops_the_run_with_a_cause_and_a_repair(project: Project) -> None:
    given = ("train.max_steps=40", "train.eval_steps=10", "model.config.num_codevectors_per_group=1")
    result = project.run(*cut("r", 4, 1, *given)).assert_code(1)
    assert "step 30: the pre-training has collapsed in the last 30 steps" in result.err
    assert "codevectors: their perplexity is 2 of 2" in " ".join(result.err.split())
    for key in ("train.learning_rate (1 now)", "train.warmup_steps", "model.diversity_loss_weight (2)"):
        assert key in " ".join(result.err.split())
    assert len(steps(project, "r")) == 29, "the step that shows it changes nothing"
    seen = project.run("doctor", "runs/r").assert_code(2)
    found = " ".join(seen.out.split())
    assert "error[T112]: the pre-training collapsed at about step 1: the perplexity of the codevectors is 2" in found
    assert "--resume` then goes on" not in found


def test_its_result_is_the_beginning_of_a_fine_tune(project: Project) -> None:
    result = project.run(*cut("r", 4, 1)).assert_ok()
    assert 'next        fine-tune it: [model] type = "ctc", checkpoint = "runs/r/best"' in result.out
    best = project.path / "runs" / "r" / "best"
    assert {"config.json", "model.safetensors", "preprocessor_config.json", "vox.json"} <= {
        path.name for path in best.iterdir()
    }
    project.speech("said", texts=TEXTS, splits={"train": 4, "validation": 2})
    tuned = """
        [[data]]
        type = "manifest"
        path = "said/manifest.csv"
        [model]
        type = "ctc"
        checkpoint = "runs/r/best"
        vocabulary = "data"
        [train]
        max_steps = 1
        learning_rate = 0.0001
        per_device_train_batch_size = 4
        use_cpu = true
    """
    project.write({"ctc.toml": tuned})
    project.run("train", "ctc.toml").assert_ok()
    before, after = load_file(best / "model.safetensors"), weights(project, "ctc")
    key = "wav2vec2.encoder.layers.1.attention.k_proj.weight"
    torch.testing.assert_close(after[key], before[key], rtol=0.0, atol=1e-3)
    assert "lm_head.weight" in after
    assert not any(name.startswith("quantizer") for name in after)
    config = json.loads((best / "config.json").read_text())
    assert config["mask_time_prob"] == 0.05, "masks of pre-training are not those of fine-tuning"
    again = ["train", "r.toml", 'name="again"', "~model.architecture", "~model.config"]
    project.run(*again, 'model.checkpoint="runs/r/best"').assert_ok()
    assert steps(project, "again")[0]["codevector_perplexity"] > 1.0
    result = project.run(*again, 'name="tuned"', 'model.checkpoint="runs/ctc/best"').assert_ok()
    assert "has no quantiser: its encoder is kept, the code books begin at random" in " ".join(result.err.split())
    result = project.run("transcribe", "said/audio/train-000.wav", "--model", "runs/r").assert_code(1)
    assert "pre-trained on audio alone and makes no text" in result.err
    assert 'type = "ctc"' in result.err


def test_clips_that_cannot_be_learned_from_are_counted_with_the_reason(project: Project) -> None:
    tone, rate = soundfile.read(project.path / "data" / "audio" / "train-000.wav")
    soundfile.write(project.path / "data" / "audio" / "train-001.wav", tone[:1400], rate)
    result = project.run("train", "r.toml", "--dry-run").assert_ok()
    assert "a mask of mask_time_length = 4 needs 5" in " ".join((result.out + result.err).split())
    for number in range(4):
        soundfile.write(project.path / "data" / "audio" / f"train-{number:03}.wav", tone[:1400], rate)
    result = project.run("train", "r.toml").assert_code(1)
    assert "the model can use none of the training utterances" in result.err
    assert "a mask of mask_time_length = 4 needs 5" in " ".join(result.err.split())


def test_wrong_keys_are_errors_that_say_what_to_write(project: Project) -> None:
    wrong = {
        "model.mask_time_length=1": "mask_time_length is 1, expected at least 2",
        "model.mask_time_prob=0.0": "mask_time_prob is 0, expected above 0 to 1",
        "model.min_gumbel_temperature=3.0": "the temperature is to go from 2 down to 3",
        'model.checkpoint="x"': "checkpoint, architecture: both are set",
        'model.architecture="wav2vec3"': "there is no pre-training of 'wav2vec3'",
        "model.config.codevector_dim=7": "codevector_dim = 7 is no multiple of num_codevector_groups = 2",
        "model.config.mask_time_prob=0.5": "it is a key of [model] itself",
        "model.config.hiden_size=5": "did you mean `hidden_size`?",
    }
    for override, message in wrong.items():
        result = project.run("train", "r.toml", "--dry-run", override)
        assert result.code in (1, 2), override
        assert message in " ".join(result.err.split()), (override, result.err)


def test_a_plan_counts_it_before_it_is_built(project: Project) -> None:
    result = project.run("plan", "r.toml", "--json").assert_ok()
    assert json.loads(result.out)["model"].startswith("pretraining")


def test_long_recordings_are_cut_into_pieces(project: Project) -> None:
    rate = 16_000
    clips = [soundfile.read(project.path / "data" / "audio" / f"train-{number:03}.wav")[0] for number in range(4)]
    long = [sample for _ in range(3) for clip in clips for sample in clip]
    for split in ("train", "validation"):
        soundfile.write(project.path / "data" / f"{split}.wav", long, rate)
    (project.path / "data" / "manifest.csv").write_text("path,split\ntrain.wav,train\nvalidation.wav,validation\n")
    given = ("filter.max_duration=2.0", 'filter.too_long="chunk"', "train.max_steps=2")
    project.run(*cut("r", 4, 1, *given)).assert_ok()
    seen = sum(entry["audio_seconds"] for entry in steps(project, "r"))
    assert seen == pytest.approx(len(long) / rate, abs=0.05), "an epoch: two steps of seven pieces"
    plan = project.run(*cut("x", 4, 1, *given), "--dry-run").assert_ok()
    assert "validation  7 utterances" in plan.out
