"""Faults of trained folders: tiny checkpoints as `save_pretrained` writes them, and runs of two steps, then broken."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import Fault, Healthy, Plant, assert_found, assert_healthy, model, recipe
from safetensors.numpy import load_file, save_file

from voxcli.testing import Project

WEIGHTS = "model.safetensors"

# ---------------------------------------------------------------------------------------------- what is there to break


def edit(folder: Path, file: str, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    path = folder / file
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def values(folder: Path, file: str, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    """Change the tensors of a file."""
    tensors = load_file(folder / file)
    change(tensors)
    save_file(tensors, folder / file, {"format": "pt"})


def of(kind: str, change: Callable[[Path], object] | None = None, **sizes: Any) -> Plant:
    """A tiny checkpoint, broken."""

    def plant(project: Project) -> list[str]:
        folder = project.path / model(project, kind, **sizes)
        if change is not None:
            change(folder)
        return [kind]

    return plant


@functools.cache
def run_of(kind: str) -> Path:
    """A run of two steps with an adapter, and what was exported of it; made once."""
    folder = Path(tempfile.mkdtemp(prefix="vox-trained-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    project = Project(folder)
    recipe(
        project,
        kind,
        adapter={"type": "lora", "r": 2},
        train={"max_steps": 2, "learning_rate": 0.01, "warmup_steps": 0.0, "batch_duration": 4.0, "eval_steps": 2},
        evaluate={"max_utterances": 2, "max_new_tokens": 4},
    )
    project.run("train", "r.toml").assert_ok()
    project.run("export", "runs/planted", "--to", "merged", "--probe", "0").assert_ok()
    return folder


def trained(kind: str, where: str, change: Callable[[Path], object] | None = None) -> Plant:
    """A folder of that run, in a copy of it."""

    def plant(project: Project) -> list[str]:
        shutil.copytree(run_of(kind), project.path, dirs_exist_ok=True, symlinks=True)
        folder = project.path / "runs" / "planted" / where
        for name in ("vox.json", "adapter_config.json"):  # the base of this copy
            if (folder / name).is_file():
                text = (folder / name).read_text()
                (folder / name).write_text(text.replace(str(run_of(kind).resolve()), str(project.path)))
        if change is not None:
            change(folder)
        return [f"runs/planted/{where}"]

    return plant


ADAPTER = "checkpoints/step-000002"
MERGED = "export/merged-step-000002"

# --------------------------------------------------------------------------------------------------------- the breaking


def cut(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def pointer(folder: Path) -> None:
    (folder / WEIGHTS).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1234567\n")


def lost_shard(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    (folder / WEIGHTS).unlink()
    save_file({name: tensors[name] for name in names[:9]}, folder / "model-00001-of-00002.safetensors")
    shards = {name: f"model-0000{1 + (at >= 9)}-of-00002.safetensors" for at, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))


def nan(folder: Path) -> None:
    values(folder, WEIGHTS, lambda tensors: tensors["model.decoder.layers.0.fc1.weight"].__setitem__((0, 0), np.nan))


def overflow(folder: Path) -> None:
    def halve(tensors: dict[str, np.ndarray]) -> None:
        tensors["wav2vec2.encoder.layers.0.feed_forward.output_dense.weight"][:] = 1e5
        with np.errstate(over="ignore"):
            tensors |= {name: tensor.astype(np.float16) for name, tensor in tensors.items()}

    values(folder, WEIGHTS, halve)


def without_head(folder: Path) -> None:
    values(folder, WEIGHTS, lambda tensors: [tensors.pop(name) for name in ("lm_head.weight", "lm_head.bias")])


def shifted_languages(folder: Path) -> None:
    table = json.loads((folder / "generation_config.json").read_text())["lang_to_id"]
    edit(folder, "generation_config.json", lang_to_id={token: number + 1 for token, number in table.items()})


def forced(folder: Path, file: str) -> None:
    generation = json.loads((folder / "generation_config.json").read_text())
    ids = [[1, generation["lang_to_id"]["<|de|>"]], [2, generation["task_to_id"]["transcribe"]]]
    edit(folder, file, forced_decoder_ids=ids)


def extractor(folder: Path, **changes: Any) -> None:
    settings = json.loads((folder / "processor_config.json").read_text())["feature_extractor"]
    edit(folder, "processor_config.json", feature_extractor=settings | changes)


def other_letters(folder: Path) -> None:
    vocabulary = json.loads((folder / "vocab.json").read_text())
    more = {letter: len(vocabulary) + at for at, letter in enumerate("çğıöşü")}
    (folder / "vocab.json").write_text(json.dumps(vocabulary | more))


def classifier(labels: int) -> Plant:
    """A classifier of three classes."""

    def plant(project: Project) -> list[str]:
        from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

        names = dict(enumerate(("music", "noise", "speech")))
        config = Wav2Vec2Config(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
            classifier_proj_size=8, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
            id2label=names, label2id={name: number for number, name in names.items()},
        )  # fmt: skip
        folder = project.path / "classifier"
        Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
        Wav2Vec2FeatureExtractor().save_pretrained(folder)
        if labels != 3:
            edit(folder, "config.json", id2label={str(number): f"class {number}" for number in range(labels)})
        return ["classifier"]

    return plant


def base_gone(folder: Path) -> None:
    shutil.rmtree(folder.parents[3] / "whisper")


def other_base(folder: Path) -> None:
    from voxcli.testing_models import tiny_ctc

    base = folder.parents[3] / "ctc"
    shutil.rmtree(base)
    tiny_ctc(base, hidden_size=32)


def fresh(folder: Path) -> None:
    def zero(tensors: dict[str, np.ndarray]) -> None:
        for name in tensors:
            if "lora_B" in name:
                tensors[name][:] = 0

    values(folder, "adapter_model.safetensors", zero)


def merged_nothing(folder: Path) -> None:
    shutil.copy(folder.parents[3] / "whisper" / WEIGHTS, folder / WEIGHTS)


def merged_twice(folder: Path) -> None:
    base = load_file(folder.parents[3] / "whisper" / WEIGHTS)

    def again(tensors: dict[str, np.ndarray]) -> None:
        for name in tensors:
            if name.endswith("q_proj.weight"):
                tensors[name] += tensors[name] - base[name]

    values(folder, WEIGHTS, again)


def generation(**changes: Any) -> Plant:
    """Keys of Whisper's generation config."""
    return of("whisper", lambda folder: edit(folder, "generation_config.json", **changes))


def asks_for(language: str) -> Callable[[Path], object]:
    """A language in the generation config."""
    return lambda folder: edit(folder, "generation_config.json", language=language)


FAULTS = [
    Fault("config-cut-off", of("ctc", lambda f: (f / "config.json").write_text('{"model_type": "wav2')), "C100"),
    Fault("no-config", of("ctc", lambda f: (f / "config.json").unlink()), "C100"),
    Fault("no-weights", of("ctc", lambda f: (f / WEIGHTS).unlink()), "C101"),
    Fault("weights-cut-off", of("whisper", cut), "C101"),
    Fault("git-lfs-pointer", of("whisper", pointer), "C101"),
    Fault("one-of-two-shards", of("whisper", lost_shard), "C101"),
    Fault("nan-in-a-weight", of("whisper", nan), "C102"),
    Fault("float16-overflow", of("ctc", overflow), "C102"),
    Fault("config-of-another-size", of("whisper", lambda f: edit(f, "config.json", decoder_ffn_dim=64)), "C103"),
    Fault("head-not-saved", of("ctc", without_head), "C103"),
    Fault("no-architectures", of("ctc", lambda f: edit(f, "config.json", architectures=None)), "C105"),
    Fault("no-model-type", of("ctc", lambda f: edit(f, "config.json", model_type=None)), "C105"),
    Fault("no-timestamp-token", generation(no_timestamps_token_id=None, lang_to_id=None, task_to_id=None), "C110"),
    Fault("no-alignment-heads", generation(alignment_heads=None), "C110"),
    Fault("no-generation-config", of("whisper", lambda f: (f / "generation_config.json").unlink()), "C110"),
    Fault("from-model-config", generation(_from_model_config=True), "C110"),
    Fault("twenty-tokens", generation(max_length=20), "C111"),
    Fault("end-token-suppressed", generation(suppress_tokens=[256]), "C112"),
    Fault("end-token-of-another", generation(eos_token_id=50257), "C112"),
    Fault("languages-one-off", of("whisper", shifted_languages), "C112"),
    Fault("forced-german", of("whisper", lambda f: forced(f, "generation_config.json")), "C113"),
    Fault("forced-german-in-config", of("whisper", lambda f: forced(f, "config.json")), "C113"),
    Fault("klingon", generation(language="klingon"), "C115"),
    Fault("language-on-english-only", of("whisper", asks_for("en"), multilingual=False), "C115"),
    Fault("learned-english-decodes-turkish", trained("whisper", MERGED, asks_for("tr")), "C115"),
    Fault("no-feature-extractor", of("whisper", lambda f: (f / "processor_config.json").unlink()), "C120"),
    Fault("128-mel-bins", of("whisper", lambda f: extractor(f, feature_size=128)), "C120"),
    Fault("8-kHz", of("ctc", lambda f: extractor(f, sampling_rate=8000)), "C120"),
    Fault("no-tokenizer", of("ctc", lambda f: (f / "vocab.json").unlink()), "C122"),
    Fault("letters-of-another-language", of("ctc", other_letters), "C122"),
    Fault("blank-is-a-letter", of("ctc", lambda f: edit(f, "config.json", pad_token_id=5)), "C122"),
    Fault("five-labels-for-three-classes", classifier(5), "C123"),
    Fault("base-gone", trained("whisper", ADAPTER, base_gone), "C130"),
    Fault("base-of-another-size", trained("ctc", ADAPTER, other_base), "C131"),
    Fault("adapter-of-zeros", trained("whisper", ADAPTER, fresh), "C132"),
    Fault("merge-did-nothing", trained("whisper", MERGED, merged_nothing), "C140"),
    Fault("merged-twice", trained("whisper", MERGED, merged_twice), "C140"),
    Fault("family-of-no-plugin", trained("ctc", MERGED, lambda f: edit(f, "vox.json", model={"type": "gone"})), "C160"),
]  # fmt: skip
HEALTHY = [
    Healthy("ctc", of("ctc")),
    Healthy("whisper", of("whisper")),
    Healthy("english-only-whisper", of("whisper", multilingual=False)),
    Healthy("classifier", classifier(3)),
    Healthy("adapter-of-a-whisper", trained("whisper", ADAPTER)),
    Healthy("adapter-of-a-ctc", trained("ctc", ADAPTER)),
    Healthy("merged-whisper", trained("whisper", MERGED)),
    Healthy("merged-ctc", trained("ctc", MERGED)),
    Healthy("best", trained("whisper", "best")),
    Healthy("sample-model", lambda project: [str(shutil.copytree(sample(), project.path / "sample"))]),
]


def sample() -> Path:
    from voxcli.sample import MODEL

    return MODEL


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    assert_found(fault, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())
