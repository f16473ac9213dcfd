"""`benchmarks/memory_gpu.py` is ready for a GPU: its models have the published sizes, its cases can be predicted, and a
small one runs here from end to end.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "memory_gpu.py"


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("memory_gpu", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["memory_gpu"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "millions"),  # of the published checkpoints, without a CTC head
    [
        ("whisper-tiny", 37.8),
        ("whisper-small", 241.7),
        ("whisper-medium", 763.9),
        ("whisper-large-v3", 1543.5),
        ("whisper-large-v3-turbo", 808.9),
        ("wav2vec2-base", 94.4),
        ("hubert-base", 94.4),
        ("wavlm-base", 94.4),
        ("xls-r-300m", 315.4),
        ("xls-r-1b", 962.5),
    ],
)
def test_models_have_the_published_sizes(gpu: ModuleType, name: str, millions: float) -> None:
    import torch
    import transformers

    sizes = dict(gpu.MODELS[name])
    config = transformers.AutoConfig.for_model(sizes.pop("model_type"), **sizes)
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(config)
    assert sum(one.numel() for one in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.003)


def test_the_cases_are_those_that_matter(gpu: ModuleType) -> None:
    names = [case.name for case in (*gpu.CASES, *gpu.TRY)]
    assert len(set(names)) == len(names)
    assert len(gpu.CASES) >= 12
    assert {"whisper-large-v3 LoRA int8", "xls-r-1b full bf16 checkpointing"} <= set(names)
    for case in gpu.CASES:
        setup = gpu.setup_of(case, Path("nowhere"), "cuda", (8, 6))
        assert setup.device == "cuda"
        assert setup.train.per_device_train_batch_size == case.shape[0]
        assert (setup.quantization is None) == (not case.quantization)


def test_a_small_case_runs_here(gpu: ModuleType, tmp_path: Path) -> None:
    case = next(one for one in gpu.TRY if one.name == "try wav2vec2")
    row = gpu.run_case(case, tmp_path / "model", "cpu")
    assert row["predicted"]["steady"] > 0
    assert abs(gpu.off(row, "steady")) < 0.15
    assert gpu.line(row).startswith("| try wav2vec2 | 2 x 2 s, 10 | ")
    assert "measured" in json.loads(json.dumps(row))


def test_the_table_and_its_summary(gpu: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    mib = 2**20
    row: dict[str, Any] = {
        "case": "x",
        "shape": [8, 30.0, 64],
        "predicted": {"first": 990 * mib, "steady": 1020 * mib, "reserved": 1100 * mib, "in all": 1550 * mib},
        "measured": {"first": 1000 * mib, "steady": 1000 * mib, "reserved": 1000 * mib, "beside": 300 * mib},
    }
    skipped = {"case": "y", "shape": [1, 2.5, 3], "predicted": {"steady": 5 * mib}, "skipped": "needs 90.0 GiB"}
    assert gpu.line(row) == (
        "| x | 8 x 30 s, 64 | 990 / 1,000 -1.0% | 1,020 / 1,000 +2.0% | 1,100 / 1,000 +10.0% | 1,550 | |"
    ).replace("| |", "|  |")
    assert gpu.line(skipped) == "| y | 1 x 2.5 s, 3 | - | 5 | - | - | needs 90.0 GiB |"
    assert gpu.summary([row, skipped]) == [
        "first: 1 cases, median 1.00%, most 1.00%",
        "steady: 1 cases, median 2.00%, most 2.00%",
        "reserved: 1 cases, median 10.00%, most 10.00%",
        "outside the allocator: median 300 MiB",
    ]
    assert gpu.main(["--list", "--only", "xls-r-1b"]) == 0
    assert capsys.readouterr().out.count("xls-r-1b") == 3
