"""Faults of memory, speed and disk, found in the recipe, the config of its model and the durations of its data.

Devices are asked for by `--gpu` and `--ram`: a tiny model does not fit a card of 500 MiB, whose CUDA context takes 450.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from planted import Fault, Healthy, assert_found, assert_healthy, recipe

from voxcli.testing import Project

LONG = "audio/long.wav"


def on(
    device: str, size: str, kind: str = "ctc", *, only: str = "S", **sections: Any
) -> Callable[[Project], Sequence[str]]:
    """A tiny recipe, and a device to ask for."""

    def plant(project: Project) -> list[str]:
        train = {"use_cpu": None, **sections.pop("train", {})}
        return [*recipe(project, kind, train=train, **sections), f"--{device}", size, "--only", only]

    return plant


def here(**train: Any) -> Callable[[Project], Sequence[str]]:
    """A tiny recipe on this machine's processor."""
    return lambda project: [*recipe(project, train=train), "--only", "S"]


@functools.cache
def shared() -> str:
    """One folder for all: what is traced of a model is kept under its path."""
    from voxcli.testing_models import tiny_ctc

    folder = Path(tempfile.mkdtemp(prefix="vox-memory-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(tiny_ctc(folder))


def one_long_clip(card: str, *, evaluated: float = 120.0) -> Callable[[Project], Sequence[str]]:
    """A clip of 40 s, which needs 600 MiB, among clips of 3 s; many to evaluate on."""

    def plant(project: Project) -> list[str]:
        import numpy as np
        import soundfile

        arguments = recipe(
            project,
            speech={
                "splits": {"train": 24, "validation": 130, "test": 6},
                "texts": ["one two three four five six seven"],
            },
            model={"checkpoint": shared()},
            train={"use_cpu": None, "batch_duration": 4.0},
            evaluate={"batch_duration": evaluated},
        )
        rng = np.random.default_rng(0)
        soundfile.write(project.path / "data" / LONG, 0.1 * rng.standard_normal(40 * 16_000), 16_000)
        manifest = project.path / "data" / "manifest.csv"
        manifest.write_text(manifest.read_text() + f"{LONG},40.0,one two three four,ada,en,train\n")
        return [*arguments, "--gpu", card, "--only", "S"]

    return plant


PLUGIN = '''
import dataclasses
from typing import Any

from voxcli.api import Bundle, Corpus, config, hookimpl
from voxcli.models.ctc import CTC


@config
class ReadsValues(CTC):
    """A CTC model that looks at its samples."""

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        bundle = super().build(corpus, **loading)

        def look(module, positional, named):
            float((positional or tuple(named.values()))[0].abs().max().numpy())

        bundle.model.register_forward_pre_hook(look, with_kwargs=True)
        return bundle


@hookimpl
def vox_register(registry):
    registry.add("model", "reads-values", f"{__name__}:ReadsValues")
'''


def cannot_be_followed(project: Project) -> list[str]:
    """A model that reads a value in its forward pass, which tensors without storage do not have."""
    project.write({"plugin.py": PLUGIN})
    arguments = recipe(project, evaluate={"batch_duration": 400.0})  # large enough to be followed at all
    text = (project.path / "r.toml").read_text().replace('type = "ctc"', 'type = "reads-values"')
    project.write({"r.toml": text})
    return ["--plugin", "plugin.py", "doctor", *arguments, "--only", "S", "--json"]


FAULTS = [
    Fault("one-clip-of-40-s", one_long_clip("580MiB"), "S101", (LONG,), fixable=True),
    Fault("batch-over-the-ram", on("ram", "400MiB"), "S101"),
    Fault("fits-by-a-hair", one_long_clip("640MiB"), "S102", (LONG,), fixable=True),
    Fault("evaluations-in-one-batch", one_long_clip("700MiB", evaluated=900.0), "S103", fixable=True),
    Fault("more-workers-than-processors", here(dataloader_num_workers=999), "S104", fixable=True),
    Fault(
        "checkpoints-over-the-disk",
        here(max_steps=10**9, save_steps=1, eval_steps=10**6, save_total_limit=10**9),
        "S105",
        fixable=True,
    ),
    Fault("bf16-on-a-T4", on("gpu", "T4", only="S106", train={"mixed_precision": "bf16"}), "S106", fixable=True),
]
HEALTHY = [
    Healthy("tiny-ctc-on-8-GiB", on("gpu", "8GiB")),
    Healthy("tiny-whisper-on-8-GiB-of-ram", on("ram", "8GiB", "whisper")),
    Healthy("lora-on-a-T4", on("gpu", "T4", "whisper", adapter={"type": "lora"}, train={"mixed_precision": "fp16"})),
    Healthy("clip-context-here", lambda project: recipe(project, "whisper", model={"encoder_context": "clip"})),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    assert_found(fault, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())


def test_a_model_that_cannot_be_followed_is_said_once(vox_project: Callable[..., Project]) -> None:
    project = vox_project()
    result = project.run(*cannot_be_followed(project)).assert_ok()
    (found,) = json.loads(result.out)["findings"]
    assert (found["code"], found["level"]) == ("S100", "warning")
    assert "cannot be predicted" in found["message"]
    assert "max_steps=3" in found["help"] or found["help"]
