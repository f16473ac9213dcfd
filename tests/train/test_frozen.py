"""Weights that are not trained: kept in half precision without another result, and what checkpointing keeps of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_bundles import batch_of, family_of

from voxcli.api import Bundle, Corpus
from voxcli.errors import ModelError
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc, tiny_whisper
from voxcli.train import device, loading, recomputation
from voxcli.train.loading import build, save_pretrained

CORPUS = Corpus(characters=" ab", labels=(), n_utterances=2, duration=2.0)
INT8, NF4 = Quantization(load_in_8bit=True), Quantization(load_in_4bit=True)
BF16 = Train(mixed_precision="bf16")
FROZEN = Train(mixed_precision="bf16", frozen_dtype="bfloat16")
CHECKPOINTED = Train(gradient_checkpointing=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    names = ("wav2vec2", "parakeet_ctc", "wav2vec2-bert")
    made = {name: tiny_ctc(root / name, architecture=name) for name in names}
    deep = tiny_ctc(root / "deep", num_hidden_layers=6, intermediate_size=256)
    return {**made, "deep": deep, "whisper": tiny_whisper(root / "whisper")}


@pytest.mark.parametrize("name", ["whisper", "wav2vec2", "parakeet_ctc", "wav2vec2-bert"])
def test_half_precision_of_what_is_frozen_changes_nothing(folders: dict[str, Path], name: str) -> None:
    """Under autocast, products are computed from a half-precision copy of the weights anyway."""
    family, task = family_of(folders, name)
    found = []
    for train in (BF16, FROZEN):
        bundle = build(family, CORPUS, train=train, adapter=Adapter(r=4), seed=1)
        torch.manual_seed(0)
        with device.autocast(torch.device("cpu"), "bf16"):
            total, _ = task.loss(bundle, batch_of(bundle, task))
        total.backward()
        gradients = {n: p.grad for n, p in bundle.model.named_parameters() if p.grad is not None}
        found.append((total.detach(), gradients))
    (loss, gradients), (other, others) = found
    assert gradients.keys() == others.keys()
    if name == "whisper":  # but for the table of tokens, which is looked up too
        torch.testing.assert_close(other, loss, rtol=1e-4, atol=0)
        return
    assert torch.equal(loss, other)
    assert all(torch.equal(one, others[key]) for key, one in gradients.items())


def test_frozen_matrices_take_half_the_bytes(folders: dict[str, Path]) -> None:
    model = build(family_of(folders, "whisper")[0], CORPUS, train=FROZEN, adapter=Adapter(r=4)).model
    for name, one in model.named_parameters():
        if one.requires_grad or "norm" in name or "embed_positions" in name:
            assert one.dtype == torch.float32, name
        else:
            assert one.dtype == torch.bfloat16, name
    inner: Any = model.get_base_model()  # type: ignore[operator]
    assert inner.proj_out.weight is inner.model.decoder.embed_tokens.weight, "what was tied is tied"


@pytest.mark.parametrize("name", ["whisper", "wav2vec2"])
def test_a_frozen_group_in_half_precision_is_saved_in_float32(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    keys = {"freeze_encoder": True} if name == "whisper" else {"freeze_layers": 1, "freeze_feature_encoder": True}
    bundle = build(family_of(folders, name, **keys)[0], CORPUS, train=FROZEN)
    kept = {one.dtype for one in bundle.model.parameters()}
    assert kept == {torch.float32, torch.bfloat16}
    save_pretrained(bundle, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert {one.dtype for one in stored.values()} == {torch.float32}
    assert stored.keys() == load_file(folders[name] / "model.safetensors").keys(), "ties are saved once"
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "float32"
    assert {one.dtype for one in bundle.model.parameters()} == kept, "training goes on as before"


def kept_bytes(bundle: Bundle, task: Any) -> int:
    """Bytes that a forward pass leaves behind for the backward pass, as the CPU's allocator counts them."""
    batch = batch_of(bundle, task)
    task.loss(bundle, batch)  # what is made once and stays
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as watched:
        total, _ = task.loss(bundle, batch)
    del total
    return sum(event.self_cpu_memory_usage for event in watched.key_averages())


@pytest.mark.parametrize(
    ("quantization", "reentrant"), [(None, False), (NF4, False), (INT8, True)], ids=["float32", "nf4", "int8"]
)
def test_the_kind_of_checkpointing_that_keeps_least_is_taken(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, quantization: Quantization | None, reentrant: bool
) -> None:
    """Over an int8 base the non-re-entrant kind keeps every activation that it was to spare."""
    family, task = family_of(folders, "deep")
    parts: dict[str, Any] = {"adapter": Adapter(r=2), "quantization": quantization}
    without = kept_bytes(build(family, CORPUS, **parts), task)
    chosen = kept_bytes(build(family, CORPUS, train=CHECKPOINTED, **parts), task)
    enable = recomputation.enable
    monkeypatch.setattr(recomputation, "enable", lambda model, reentrant: enable(model, reentrant=not reentrant))
    other = kept_bytes(build(family, CORPUS, train=CHECKPOINTED, **parts), task)
    assert chosen < without / 3
    if reentrant:
        assert chosen < other * 0.7, "the other kind keeps the inputs of every int8 product"
    else:
        assert chosen < other * 1.05


@pytest.mark.parametrize("quantization", [None, INT8, NF4], ids=["float32", "int8", "nf4"])
@pytest.mark.filterwarnings("error:None of the inputs")
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_frozen_encoder_keeps_nothing(
    folders: dict[str, Path], quantization: Quantization | None, checkpointing: bool
) -> None:
    """What is learned is in the decoder: no gradient goes back into the encoder, with any kind of checkpointing."""
    family, task = family_of(folders, "whisper", freeze_encoder=True)
    train = Train(gradient_checkpointing=checkpointing)
    bundle = build(family, CORPUS, train=train, adapter=Adapter(r=2), quantization=quantization)
    seen: list[bool] = []
    encoder: Any = bundle.model.get_base_model().model.encoder  # type: ignore[operator]
    encoder.register_forward_hook(lambda module, inputs, output: seen.append(output[0].requires_grad))
    total, _ = task.loss(bundle, batch_of(bundle, task))
    assert seen == [False]
    total.backward()
    names = [n for n, p in bundle.model.named_parameters() if p.requires_grad and p.grad is None]
    assert not names, "all that is learned has a gradient"


def test_batch_normalisation_that_is_trained_learns_its_statistics(folders: dict[str, Path]) -> None:
    """And goes on with those it has where it is frozen."""
    family, task = family_of(folders, "parakeet_ctc")
    for adapter, moves in ((None, True), (Adapter(r=2), False)):
        bundle = build(family, CORPUS, adapter=adapter)
        bundle.model.train()
        before = {n: b.clone() for n, b in bundle.model.named_buffers() if "running_mean" in n}
        assert before
        task.loss(bundle, batch_of(bundle, task))
        now = dict(bundle.model.named_buffers())
        assert all(torch.equal(one, now[name]) is not moves for name, one in before.items())


def test_attention_is_the_recipes(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    family, _ = family_of(folders, "whisper")
    for asked, found in ((None, "sdpa"), ("sdpa", "sdpa"), ("eager", "eager")):
        model: Any = build(family, CORPUS, train=Train(attn_implementation=asked)).model
        assert model.config._attn_implementation == found
    with pytest.raises(ModelError, match="trains on a CUDA GPU only"):
        build(family, CORPUS, train=Train(attn_implementation="flash_attention_2"))
    monkeypatch.setattr(loading, "GPU_ONLY", ())
    with pytest.raises(ModelError, match="does not fit: FlashAttention2"):
        build(family, CORPUS, train=Train(attn_implementation="flash_attention_2"))


@pytest.mark.parametrize("backend", ["accelerate", "transformers"])
@pytest.mark.parametrize("name", ["whisper", "parakeet_ctc"])
def test_a_run_in_bf16_with_a_frozen_half_trains_resumes_and_decodes(
    folders: dict[str, Path], vox_project: Callable[..., Project], name: str, backend: str
) -> None:
    project = vox_project()
    project.speech("data", n=6)
    family = "whisper" if name == "whisper" else "ctc"
    project.write(
        {
            "r.toml": f"""
            name = "r"
            [[data]]
            type = "manifest"
            path = "data/manifest.csv"
            [model]
            type = "{family}"
            checkpoint = "{folders[name]}"
            [adapter]
            r = 4
            [backend]
            type = "{backend}"
            [train]
            max_steps = 2
            batch_duration = 8.0
            mixed_precision = "bf16"
            frozen_dtype = "bfloat16"
            attn_implementation = "eager"
            gradient_checkpointing = true
            use_cpu = true
            [evaluate]
            max_new_tokens = 4
            """
        }
    )
    given = ["model.language=tr"] if name == "whisper" else []
    project.run("train", "r.toml", *given).assert_ok()
    project.run("train", "r.toml", *given, "train.max_steps=3", "--resume").assert_ok()
    entries = [json.loads(line) for line in (project.path / "runs/r/log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "loss" in entry] == [1, 2, 3]
    project.run("evaluate", "runs/r", "--json").assert_ok()
