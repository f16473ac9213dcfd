"""Training state survives the disk: every type, every scheduler, every optimizer."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from voxcli.train import packing, randomness


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    tree = {
        "state": {0: {"step": torch.tensor(3.0), "exp_avg": shared, "again": shared}, 1: {}},
        "betas": (0.9, 0.999),
        "list": [None, True, -1, 2.5, float("inf"), "ı"],
        "bytes": torch.tensor([1, 255], dtype=torch.uint8),
        "half": torch.tensor([1.5], dtype=torch.bfloat16),
        "numpy": np.array([0, 2**32 - 1], dtype=np.uint32),
    }
    packing.write(tree, tmp_path / "training")
    found = packing.read(tmp_path / "training")

    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert list(found["state"]) == [0, 1]
    assert torch.equal(found["state"][0]["exp_avg"], shared)
    assert found["betas"] == (0.9, 0.999)
    assert isinstance(found["betas"], tuple)
    assert found["list"] == tree["list"]
    assert found["bytes"].dtype == torch.uint8
    assert torch.equal(found["half"], tree["half"])
    assert found["numpy"].dtype == np.uint32
    assert found["numpy"].tolist() == [0, 2**32 - 1]


def test_what_is_no_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot be part of a training state"):
        packing.write({"code": print}, tmp_path / "training")


def test_random_generators_go_on_where_they_were(tmp_path: Path) -> None:
    def draw() -> list[float]:
        return [random.random(), np.random.rand(), float(torch.rand(())), random.gauss(0, 1), np.random.randn()]

    randomness.seed_all(3)
    draw()
    packing.write(randomness.capture(), tmp_path / "generators")
    expected = draw()
    randomness.seed_all(99)
    randomness.restore(packing.read(tmp_path / "generators"))
    assert draw() == expected


def test_what_is_drawn_in_an_evaluation_changes_nothing() -> None:
    randomness.seed_all(3)
    expected = torch.rand(2)
    randomness.seed_all(3)
    with randomness.undisturbed():
        torch.rand(5)
        np.random.rand(5)
    assert torch.equal(torch.rand(2), expected)
