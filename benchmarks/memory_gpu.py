"""Predicted against measured memory on a CUDA device: Whisper and wav2vec 2.0 of all sizes, full, LoRA, int8, nf4.

    python benchmarks/memory_gpu.py --json memory_gpu.json

needs a GPU, this package and bitsandbytes, about 12 GB of disk for the largest model, and no network: weights are
random, in folders made from the published sizes. Each case runs in a process of its own: the step is traced first,
without the device, then two real optimizer steps are taken and the device's allocator is asked. Cases that the device
has no room for are skipped by name. `--device cpu --only try` tries the script where there is no GPU; the allocator's
count then comes from torch's profiler, and nothing is reserved. `--predict rtx-3060` makes no weights and prints the
predictions for a card.

    predicted   tensors of the traced step, and cuBLAS's workspaces      measured   torch.cuda.max_memory_allocated
    reserved    the traced allocations through our model of the allocator           torch.cuda.max_memory_reserved
    in all      with the CUDA context                                               used on the device (nvidia-smi)

The rows in the JSON also say what the allocator would reserve with expandable segments, and the least it can do with.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHARACTERS = " abcdefghijklmnopqrstuvwxyz'"


def whisper(d_model: int, layers: int, heads: int, *, decoder: int | None = None, mels: int = 80) -> dict[str, Any]:
    """Sizes of arXiv 2212.04356, table 1; large-v3 has 128 mel bins and one more language, turbo 4 decoder layers."""
    return {
        "model_type": "whisper",
        "d_model": d_model,
        "encoder_layers": layers,
        "decoder_layers": layers if decoder is None else decoder,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * d_model,
        "decoder_ffn_dim": 4 * d_model,
        "num_mel_bins": mels,
        "vocab_size": 51866 if mels == 128 else 51865,
    }


def wav2vec2(kind: str, hidden: int, layers: int, heads: int, ffn: int, *, stable: bool) -> dict[str, Any]:
    """Sizes of arXiv 2006.11477 and, for XLS-R, 2111.09296, table 2; `stable`: normalisation first, in every layer."""
    norm = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True} if stable else {}
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": ffn}
    return {"model_type": kind, **sizes, **norm, "layerdrop": 0.0}


MODELS: dict[str, dict[str, Any]] = {
    "whisper-tiny": whisper(384, 4, 6),
    "whisper-small": whisper(768, 12, 12),
    "whisper-medium": whisper(1024, 24, 16),
    "whisper-large-v3": whisper(1280, 32, 20, mels=128),
    "whisper-large-v3-turbo": whisper(1280, 32, 20, decoder=4, mels=128),
    "wav2vec2-base": wav2vec2("wav2vec2", 768, 12, 12, 3072, stable=False),
    "hubert-base": wav2vec2("hubert", 768, 12, 12, 3072, stable=False),
    "wavlm-base": wav2vec2("wavlm", 768, 12, 12, 3072, stable=False),
    "xls-r-300m": wav2vec2("wav2vec2", 1024, 24, 16, 4096, stable=True),
    "xls-r-1b": wav2vec2("wav2vec2", 1280, 48, 16, 5120, stable=True),
    # not published: to try this script in seconds
    "tiny-whisper": whisper(32, 2, 2),
    "tiny-wav2vec2": wav2vec2("wav2vec2", 32, 2, 2, 64, stable=True) | {"conv_dim": [32] * 7},
}

CHECKPOINTING = {"gradient_checkpointing": True}
HALF = {"mixed_precision": "bf16"}
FP16 = {"mixed_precision": "fp16"}
FROZEN_HALF = {**HALF, "frozen_dtype": "bfloat16"}
INT8 = {"load_in_8bit": True}
NF4 = {"load_in_4bit": True, "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_use_double_quant": True}


@dataclasses.dataclass(frozen=True)
class Case:
    """One setup and the size of its batches."""

    name: str
    model: str
    shape: tuple[int, float, int]
    """Utterances, s, label tokens."""
    train: dict[str, Any] = dataclasses.field(default_factory=dict)
    adapter: int = 0
    """Rank of a LoRA; 0 trains everything."""
    quantization: dict[str, Any] = dataclasses.field(default_factory=dict)
    family: dict[str, Any] = dataclasses.field(default_factory=dict)


CASES = [
    Case("whisper-tiny full fp32", "whisper-tiny", (8, 30.0, 64)),
    Case("whisper-small full bf16", "whisper-small", (8, 30.0, 64), HALF),
    Case("whisper-small full bf16 checkpointing", "whisper-small", (16, 30.0, 64), HALF | CHECKPOINTING),
    Case("whisper-small full fp16 eager", "whisper-small", (4, 30.0, 64), FP16 | {"attn_implementation": "eager"}),
    Case("whisper-small full bf16 8-bit Adam", "whisper-small", (8, 30.0, 64), HALF | {"optim": "adamw_bnb_8bit"}),
    Case("whisper-small clips bf16", "whisper-small", (16, 6.0, 48), HALF, family={"encoder_context": "clip"}),
    Case("whisper-medium LoRA bf16 checkpointing", "whisper-medium", (8, 30.0, 64), FROZEN_HALF | CHECKPOINTING, 32),
    Case("whisper-turbo LoRA bf16", "whisper-large-v3-turbo", (4, 30.0, 64), FROZEN_HALF, 32),
    Case("whisper-large-v3 LoRA int8", "whisper-large-v3", (8, 30.0, 64), FP16 | CHECKPOINTING, 32, INT8),
    Case("whisper-large-v3 LoRA nf4", "whisper-large-v3", (8, 30.0, 64), HALF | CHECKPOINTING, 32, NF4),
    Case("whisper-large-v3 LoRA bf16", "whisper-large-v3", (8, 30.0, 64), FROZEN_HALF | CHECKPOINTING, 32),
    Case("wav2vec2-base full fp32", "wav2vec2-base", (4, 10.0, 80)),
    Case("wav2vec2-base full bf16", "wav2vec2-base", (8, 15.0, 120), HALF),
    Case("wav2vec2-base full bf16 eager", "wav2vec2-base", (4, 15.0, 120), HALF | {"attn_implementation": "eager"}),
    Case("hubert-base full fp16 accumulation", "hubert-base", (8, 10.0, 80), FP16 | {"gradient_accumulation_steps": 2}),
    Case("wavlm-base full bf16", "wavlm-base", (4, 10.0, 80), HALF | {"attn_implementation": "eager"}),
    Case("xls-r-300m full bf16 checkpointing", "xls-r-300m", (8, 15.0, 120), HALF | CHECKPOINTING),
    Case("xls-r-300m frozen encoder bf16", "xls-r-300m", (8, 10.0, 80), HALF, family={"freeze_feature_encoder": True}),
    Case("xls-r-1b full bf16 checkpointing", "xls-r-1b", (4, 10.0, 80), HALF | CHECKPOINTING),
    Case("xls-r-1b LoRA bf16 checkpointing", "xls-r-1b", (8, 15.0, 120), FROZEN_HALF | CHECKPOINTING, 16),
    Case("xls-r-1b LoRA int8", "xls-r-1b", (4, 10.0, 80), FP16 | CHECKPOINTING, 16, INT8),
]
TRY = [
    Case("try whisper", "tiny-whisper", (2, 30.0, 16)),
    Case("try whisper LoRA int8", "tiny-whisper", (2, 30.0, 16), CHECKPOINTING, 4, INT8),
    Case("try wav2vec2", "tiny-wav2vec2", (2, 2.0, 10)),
]


# ------------------------------------------------------------------------------------------------- in a case's process


def write_model(name: str, folder: Path, device: str | None) -> None:
    """A checkpoint folder with random weights, made on `device`, and its processor; None leaves the weights out."""
    import torch
    import transformers

    from voxcli.models.checkpoint import quietly
    from voxcli.models.ctc_build import feature_extractor
    from voxcli.testing_models import tiny_whisper

    sizes = dict(MODELS[name])
    kind = sizes.pop("model_type")
    dtype = torch.float16 if device == "cuda" else torch.float32
    with quietly():
        if kind == "whisper":  # its tokenizer, feature extractor and special tokens; then the model in its real size
            given = {key: sizes[key] for key in ("vocab_size", "num_mel_bins")}
            tiny_whisper(folder, window=30, max_target_positions=448, **given)
            config = transformers.AutoConfig.from_pretrained(folder, **sizes)
            auto: Any = transformers.AutoModelForSpeechSeq2Seq
        else:
            config = transformers.AutoConfig.for_model(kind, **sizes)
            feature_extractor(None, config).save_pretrained(folder)
            auto = transformers.AutoModelForCTC
        if device is None:
            (folder / "model.safetensors").unlink(missing_ok=True)
            config.save_pretrained(folder)
            return
        with torch.device(device):
            model = auto.from_config(config, dtype=dtype)
        model.save_pretrained(folder)


def setup_of(case: Case, folder: Path, device: str, capability: tuple[int, int]) -> Any:
    """The `Setup` of a case whose model is in `folder`."""
    from voxcli.api import Corpus
    from voxcli.memory.setup import Setup
    from voxcli.models.ctc import CTC
    from voxcli.models.whisper import Whisper
    from voxcli.recipe.schema import Adapter, Quantization, Train
    from voxcli.tasks.ctc import CTCTask
    from voxcli.tasks.seq2seq import Seq2Seq

    family: Any
    task: Any
    if MODELS[case.model]["model_type"] == "whisper":
        family, task = Whisper(checkpoint=str(folder), language="en", **case.family), Seq2Seq()
    else:
        family, task = CTC(checkpoint=str(folder), vocabulary="data", **case.family), CTCTask()
    return Setup(
        family=family,
        task=task,
        corpus=Corpus(characters=CHARACTERS, labels=(), n_utterances=1000, duration=10_000.0),
        train=Train(max_steps=2, per_device_train_batch_size=case.shape[0], **case.train),
        adapter=Adapter(r=case.adapter, lora_alpha=2 * case.adapter) if case.adapter else None,
        quantization=Quantization(**case.quantization) if case.quantization else None,
        device="cuda" if device == "cuda" else "cpu",
        capability=capability,
    )


def run_case(case: Case, folder: Path, device: str, card: str | None = None) -> dict[str, Any]:
    """Predict, then measure; with a `card` predict only, for it. "skipped" says why there is no measurement."""
    import torch

    from voxcli.memory import allocator, cards, machine
    from voxcli.memory.fixed import CONTEXT, cublas_workspaces, needed
    from voxcli.memory.setup import Shape
    from voxcli.memory.step import trace_step

    if not (folder / "config.json").is_file():
        write_model(case.model, folder, None if card else device)
        if device == "cuda" and not card:
            torch.cuda.empty_cache()
    here = cards.find(card) if card else machine.device() if device == "cuda" else machine.ram()
    setup = setup_of(case, folder, device, here.capability)
    shape = Shape(*case.shape)
    begin = time.perf_counter()
    trace = trace_step(setup, shape, events=device == "cuda")
    row: dict[str, Any] = {
        "case": case.name,
        "shape": list(case.shape),
        "trace_seconds": round(time.perf_counter() - begin, 2),
        "parts": trace.peaks.worst.parts,
        "where": f"{trace.peaks.worst.phase} {trace.peaks.worst.where}".strip(),
        "predicted": {"first": trace.peaks.first.total, "steady": trace.peaks.steady.total},
    }
    if device == "cuda":
        cublas = cublas_workspaces(here.capability)
        kept = [(("cuBLAS", thread), cublas // 2) for thread in range(2)]
        events = [*kept, *(trace.events or ())]
        reserved = allocator.reserved(events)
        row["predicted"] = {key: value + cublas for key, value in row["predicted"].items()}
        row["predicted"] |= {"reserved": reserved, "in all": reserved + CONTEXT}
        row["predicted"]["expandable"] = allocator.reserved(events, expandable=True)
        row["predicted"]["least"] = allocator.smallest_capacity(events)
    if card:
        return row | {"skipped": "predicted only"}
    if needed(here, setup, trace.peaks.worst.total) > here.usable:
        return row | {"skipped": f"needs {trace.peaks.worst.total / 2**30:.1f} GiB of tensors"}
    row["measured"] = measured(setup, shape, device)
    return row


def measured(setup: Any, shape: Any, device: str) -> dict[str, int]:
    """Two real steps: the allocator's peaks of each, reserved, and what the device has in use afterwards."""
    import gc

    import torch

    from voxcli.memory.counted import build, count_step

    bundle = build(setup)
    gc.collect()
    if device != "cuda":
        peaks = count_step(setup, shape, bundle=bundle)
        return {"first": peaks.first.total, "steady": peaks.steady.total}
    torch.cuda.empty_cache()  # what loading needed is not the step's
    torch.cuda.reset_peak_memory_stats()
    peaks = count_step(setup, shape, bundle=bundle)
    free, total = torch.cuda.mem_get_info()
    reserved = torch.cuda.memory_reserved()
    return {
        "first": peaks.first.total,
        "steady": peaks.steady.total,
        "reserved": torch.cuda.memory_stats()["reserved_bytes.all.peak"],
        "in all": total - free,
        "beside": total - free - reserved,
    }


# ------------------------------------------------------------------------------------------------------------ all cases


def in_own_process(case: Case, arguments: argparse.Namespace, models: Path) -> dict[str, Any]:
    """`run_case` in a new process: nothing of another case is left on the device."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "row.json"
        command = [sys.executable, __file__, "--case", case.name, "--models", str(models), "--device", arguments.device]
        command += ["--predict", arguments.predict] if arguments.predict else []
        environment = {**os.environ}
        if arguments.expandable:
            environment["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
        done = subprocess.run(
            [*command, "--json", str(out)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            timeout=arguments.timeout,
        )
        if done.returncode or not out.is_file():
            last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            return {"case": case.name, "shape": list(case.shape), "failed": last[0] if last else str(done.returncode)}
        row: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return row


def off(row: dict[str, Any], what: str) -> float | None:
    """Predicted over measured, less 1; None where one of them is missing."""
    predicted, found = row.get("predicted", {}).get(what), row.get("measured", {}).get(what)
    return predicted / found - 1.0 if predicted and found else None


def line(row: dict[str, Any]) -> str:
    """One row of the table, in MiB."""
    cells = [f"| {row['case']} | {row['shape'][0]} x {row['shape'][1]:g} s, {row['shape'][2]} "]
    for what in ("first", "steady", "reserved", "in all"):
        error = off(row, what)
        if error is None:
            predicted = row.get("predicted", {}).get(what)
            cells.append("| - " if predicted is None else f"| {predicted / 2**20:,.0f} ")
        else:
            predicted, found = row["predicted"][what], row["measured"][what]
            cells.append(f"| {predicted / 2**20:,.0f} / {found / 2**20:,.0f} {error:+.1%} ")
    note = row.get("skipped") or row.get("failed") or ""
    return "".join(cells) + f"| {note} |"


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Median and largest error of each column, and what the context took."""
    found = []
    for what in ("first", "steady", "reserved", "in all"):
        errors = [abs(error) for row in rows if (error := off(row, what)) is not None]
        if errors:
            found.append(f"{what}: {len(errors)} cases, median {statistics.median(errors):.2%}, most {max(errors):.2%}")
    beside = [row["measured"]["beside"] for row in rows if "beside" in row.get("measured", {})]
    if beside:
        found.append(f"outside the allocator: median {statistics.median(beside) / 2**20:,.0f} MiB")
    return found


def main(given: list[str] | None = None) -> int:
    """Run the cases; the exit code is 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--predict", metavar="CARD", help="predict only, for a card that need not be here: rtx-3060")
    parser.add_argument(
        "--only", default="", help="cases whose name holds this; those named try run only when asked for"
    )
    parser.add_argument("--json", type=Path, help="write all rows here, also while running")
    parser.add_argument("--models", type=Path, help="keep the models of random weights in this folder")
    parser.add_argument("--expandable", action="store_true", help="with PYTORCH_ALLOC_CONF=expandable_segments:True")
    parser.add_argument("--timeout", type=float, default=600.0, help="s for one case")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    cases = [case for case in (*CASES, *(TRY if arguments.only else ())) if arguments.only in case.name]
    if arguments.list:
        print("\n".join(case.name for case in cases))
        return 0
    if arguments.case:
        case = next(case for case in (*CASES, *TRY) if case.name == arguments.case)
        row = run_case(case, arguments.models / case.model, arguments.device, arguments.predict)
        arguments.json.write_text(json.dumps(row), encoding="utf-8")
        return 0
    rows: list[dict[str, Any]] = []
    print("| case | batch | first step, MiB | later steps | reserved | in all | |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        models = arguments.models or Path(place)
        for case in cases:
            rows.append(in_own_process(case, arguments, models))
            print(line(rows[-1]), flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps({"rows": rows, **about(arguments)}, indent=1), encoding="utf-8")
    print("\n" + "\n".join(summary(rows)))
    return int(any("failed" in row for row in rows))


def about(arguments: argparse.Namespace) -> dict[str, Any]:
    """The device and the versions that a table is of."""
    from importlib.metadata import PackageNotFoundError, version

    import torch

    found: dict[str, Any] = {"expandable": arguments.expandable}
    if arguments.predict:
        found["predicted for"] = arguments.predict
    elif arguments.device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {"device": properties.name, "total": properties.total_memory, "cuda": torch.version.cuda}
    for name in ("torch", "transformers", "peft", "bitsandbytes"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


if __name__ == "__main__":
    sys.exit(main())
