"""Predicted against counted peak memory of training steps on the CPU: random weights in published sizes.

    python benchmarks/memory_cpu.py [--only TEXT] [--json FILE] [--reuse FILE] [--folder FOLDER]

Counted: the bytes that torch's own CPU allocator says are alive (profiler, `profile_memory`), at the worst moment of
the first and of the second optimizer step, and what the tracker counts over real tensors. Predicted: the same steps on
tensors without storage, in the same process. Takes about half an hour on two cores, 8 GiB and 8 GB of disk.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from memory_models import BASE, LARGE, STABLE, Classification, FromFolder, Pretraining, ctc, other, whisper

from voxcli.api import Corpus
from voxcli.memory.setup import Setup, Shape, StepPeaks
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.tasks.ctc import CTCTask as CTCTask
from voxcli.tasks.seq2seq import Seq2Seq

MIB = 2**20
LORA = Adapter(r=16)
INT8 = Quantization(load_in_8bit=True)
NF4 = Quantization(load_in_4bit=True)
HALF_NF4 = Quantization(load_in_4bit=True, bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype="bfloat16")


@dataclasses.dataclass(frozen=True)
class Case:
    """One setup and one shape."""

    name: str
    make: Callable[[Path], Setup]
    shape: Shape


def _setup(family: Any, task: Any, train: Train, **more: Any) -> Setup:
    corpus = Corpus(characters="abc", labels=("no", "yes"), n_utterances=100, duration=500.0)
    return Setup(family, task, corpus, train, device="cpu", **more)


def _whisper(name: str, size: str, shape: tuple[int, float, int], keys: dict[str, Any], **more: Any) -> Case:
    of_family = {key: more.pop(key) for key in ("encoder_context", "freeze_encoder") if key in more}

    def make(root: Path) -> Setup:
        folder = whisper(root / f"whisper-{size}", size)
        return _setup(Whisper(checkpoint=str(folder), language="en", **of_family), Seq2Seq(), Train(**keys), **more)

    return Case(f"Whisper {size}, {name}", make, Shape(*shape))


SPEECH: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec 2.0 base": ("wav2vec2", BASE),
    "HuBERT base": ("hubert", BASE),
    "WavLM base": ("wavlm", BASE),
    "XLS-R 300M": ("wav2vec2", {**LARGE, **STABLE}),
    "wav2vec2-bert": ("wav2vec2-bert", {**LARGE, "num_hidden_layers": 12, "add_adapter": False}),
}


def _ctc(name: str, model: str, shape: tuple[int, float, int], keys: dict[str, Any], **more: Any) -> Case:
    architecture, sizes = SPEECH[model]
    of_family = {"freeze_feature_encoder": more.pop("freeze_feature_encoder", True)}

    def make(root: Path) -> Setup:
        folder = ctc(root / model.replace(" ", "-"), architecture, **sizes)
        return _setup(CTC(checkpoint=str(folder), layerdrop=0.0, **of_family), CTCTask(), Train(**keys), **more)

    return Case(f"{model}, {name}", make, Shape(*shape))


def _ast(name: str, n_clips: int, keys: dict[str, Any], **more: Any) -> Case:
    def make(root: Path) -> Setup:
        folder = other(root / "ast", "ASTForAudioClassification")
        family = FromFolder(checkpoint=str(folder), cls="ASTForAudioClassification", extractor="ASTFeatureExtractor")
        return _setup(family, Classification(), Train(**keys), **more)

    return Case(f"AST, {name}", make, Shape(n_clips, 10.0, 0))


def _pretraining(name: str, shape: tuple[int, float, int], keys: dict[str, Any]) -> Case:
    def make(root: Path) -> Setup:
        folder = other(root / "pretraining", "Wav2Vec2ForPreTraining", layerdrop=0.0)
        family = FromFolder(checkpoint=str(folder), cls="Wav2Vec2ForPreTraining", extractor="Wav2Vec2FeatureExtractor")
        return _setup(family, Pretraining(), Train(**keys))

    return Case(f"wav2vec 2.0 base pre-training, {name}", make, Shape(*shape))


BF16 = {"mixed_precision": "bf16"}
CHECKPOINTED = {"gradient_checkpointing": True}
CASES = [
    _whisper("full", "tiny", (4, 30.0, 32), {}),
    _whisper("full, checkpointing", "tiny", (4, 30.0, 32), CHECKPOINTED),
    _whisper("full, eager attention", "tiny", (2, 30.0, 32), {"attn_implementation": "eager"}),
    _whisper("full, bf16", "tiny", (4, 30.0, 32), BF16),
    _whisper("full, accumulation", "tiny", (2, 30.0, 60), {"gradient_accumulation_steps": 2}),
    _whisper("full, clip context", "tiny", (8, 5.0, 40), {}, encoder_context="clip"),
    _whisper("full, 8-bit Adam", "tiny", (2, 30.0, 32), {"optim": "adamw_bnb_8bit"}),
    _whisper("LoRA", "tiny", (4, 30.0, 32), {}, adapter=LORA),
    _whisper("DoRA, checkpointing", "tiny", (2, 30.0, 32), CHECKPOINTED, adapter=Adapter(r=8, use_dora=True)),
    _whisper("LoRA, int8, checkpointing", "tiny", (4, 30.0, 32), CHECKPOINTED, adapter=LORA, quantization=INT8),
    _whisper("LoRA, nf4", "tiny", (2, 30.0, 32), {}, adapter=LORA, quantization=NF4),
    _whisper("full", "base", (1, 30.0, 64), {}),
    _whisper("frozen encoder", "base", (2, 30.0, 48), {}, freeze_encoder=True),
    _whisper("full, Adafactor, clip context", "base", (4, 4.0, 64), {"optim": "adafactor"}, encoder_context="clip"),
    _whisper("LoRA, bf16, frozen bf16, checkpointing", "base", (2, 30.0, 32),
             {**BF16, **CHECKPOINTED, "frozen_dtype": "bfloat16"}, adapter=LORA),
    _whisper("LoRA, nf4 nested, bf16, checkpointing", "base", (2, 30.0, 32), {**BF16, **CHECKPOINTED},
             adapter=LORA, quantization=HALF_NF4),
    _whisper("full, clip context, checkpointing, accumulation", "small", (2, 4.0, 48),
             {**CHECKPOINTED, "gradient_accumulation_steps": 2}, encoder_context="clip"),
    _whisper("LoRA, int8, clip context", "small", (2, 4.0, 48), {}, adapter=LORA, quantization=INT8,
             encoder_context="clip"),
    _whisper("LoRA", "small", (1, 30.0, 32), {}, adapter=LORA),
    _ctc("full", "wav2vec 2.0 base", (2, 5.0, 60), {}),
    _ctc("full, checkpointing", "wav2vec 2.0 base", (2, 8.0, 60), CHECKPOINTED),
    _ctc("full with its convolutions", "wav2vec 2.0 base", (2, 3.0, 60), {}, freeze_feature_encoder=False),
    _ctc("full, eager attention, bf16", "wav2vec 2.0 base", (2, 4.0, 60), {**BF16, "attn_implementation": "eager"}),
    _ctc("LoRA, checkpointing", "wav2vec 2.0 base", (2, 8.0, 60), CHECKPOINTED, adapter=LORA),
    _ctc("LoRA, nf4 nested, bf16", "wav2vec 2.0 base", (2, 4.0, 60), BF16, adapter=LORA, quantization=HALF_NF4),
    _ctc("full, paged 8-bit Adam", "wav2vec 2.0 base", (2, 4.0, 60), {"optim": "paged_adamw_8bit"}),
    _ctc("full", "HuBERT base", (2, 4.0, 60), {}),
    _ctc("full, bf16, accumulation", "HuBERT base", (2, 3.0, 60), {**BF16, "gradient_accumulation_steps": 2}),
    _ctc("full", "WavLM base", (2, 4.0, 60), {}),
    _ctc("full", "XLS-R 300M", (1, 3.0, 60), {}),
    _ctc("full with its convolutions, checkpointing", "XLS-R 300M", (1, 6.0, 60), CHECKPOINTED,
         freeze_feature_encoder=False),
    _ctc("LoRA, int8, checkpointing", "XLS-R 300M", (1, 5.0, 60), CHECKPOINTED, adapter=LORA, quantization=INT8),
    _ast("full", 1, {}),
    _ast("full, bf16, checkpointing", 1, {**BF16, **CHECKPOINTED}),
    _pretraining("full", (2, 5.0, 0), {}),
    _pretraining("full, bf16, checkpointing", (2, 6.0, 0), {**BF16, **CHECKPOINTED}),
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    """Bytes of one case, and seconds."""

    name: str
    shape: Shape
    predicted_first: int
    predicted: int
    counted_first: int
    counted: int
    predicted_results: int
    results: int
    """Of the steady step, by the tracker over real tensors: what kernels take for themselves is not in it."""
    phase: str
    predicted_seconds: float
    real_seconds: float

    @property
    def error(self) -> float:
        """Of the worst moment of both steps against the allocator, signed."""
        worst = max(self.counted_first, self.counted)
        return (max(self.predicted_first, self.predicted) - worst) / worst

    @property
    def results_error(self) -> float:
        """The same of the tensors that operations return, in the steady step."""
        return (self.predicted_results - self.results) / self.results


def measure(case: Case, root: Path, known: dict[str, Any] | None = None) -> Row:
    """Predict, then run and count; `known` has what was counted before."""
    from voxcli.memory import counted, step

    setup = case.make(root)
    begin = time.perf_counter()
    predicted = step.trace_step(setup, case.shape).peaks
    between = time.perf_counter()
    if known is None:
        real: StepPeaks = counted.count_step(setup, case.shape)
        known = {
            "counted_first": real.first.total,
            "counted": real.steady.total,
            "results": real.steady.results,
            "real_seconds": time.perf_counter() - between,
        }
        gc.collect()
    return Row(
        name=case.name,
        shape=case.shape,
        predicted_first=predicted.first.total,
        predicted=predicted.steady.total,
        counted_first=known["counted_first"],
        counted=known["counted"],
        predicted_results=predicted.steady.results,
        results=known["results"],
        phase=predicted.worst.phase,
        predicted_seconds=between - begin,
        real_seconds=known["real_seconds"],
    )


def _same_shape(known: dict[str, Any] | None, case: Case) -> dict[str, Any] | None:
    return known if known and known["shape"] == dataclasses.asdict(case.shape) else None


def table(rows: list[Row]) -> Iterator[str]:
    """The rows in Markdown."""
    yield "| case | clips × s, tokens | predicted MiB | counted MiB | error | first step | tensors alone | peak in |"
    yield "|---|---|---:|---:|---:|---:|---:|---|"
    for row in rows:
        shape = f"{row.shape.n_utterances} × {row.shape.duration:g}, {row.shape.n_labels}"
        first = (row.predicted_first - row.counted_first) / row.counted_first
        yield (
            f"| {row.name} | {shape} | {row.predicted / MIB:.1f} | {row.counted / MIB:.1f} | {row.error:+.3%} "
            f"| {first:+.3%} | {row.results_error:+.3%} | {row.phase} |"
        )
    for what, errors in (("", [row.error for row in rows]), ("tensors alone: ", [row.results_error for row in rows])):
        sizes = [abs(error) for error in errors]
        yield ""
        yield f"{what}{len(rows)} cases: median {statistics.median(sizes):.3%}, largest {max(sizes):.3%}"


def main() -> None:
    """Measure what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--reuse", type=Path, help="take what was counted from there, and predict anew")
    parser.add_argument("--folder", type=Path, help="where models are kept; a temporary one without it")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    before = {row["name"]: row for row in json.loads(asked.reuse.read_text())} if asked.reuse else {}
    with tempfile.TemporaryDirectory() as temporary:
        rows = []
        for case in CASES:
            if asked.only.lower() not in case.name.lower():
                continue
            try:
                rows.append(measure(case, asked.folder or Path(temporary), _same_shape(before.get(case.name), case)))
            except Exception as error:  # one case that cannot be measured leaves the others
                print(f"{case.name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                continue
            row = rows[-1]
            print(
                f"{row.name}: {row.predicted / MIB:.1f} / {row.counted / MIB:.1f} MiB, {row.error:+.3%}, tensors "
                f"{row.results_error:+.3%}, {row.real_seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
            if asked.json:
                asked.json.write_text(json.dumps([dataclasses.asdict(one) | {"error": one.error} for one in rows]))
    if rows:
        print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
