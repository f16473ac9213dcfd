"""How quick an engine is beside transformers on the same clips, what its exports weigh, and which texts they change.

python benchmarks/engines.py runs/mine --data speech/manifest.csv --clips 24 --rounds 3 --keys quantization=float32
    --keys quantization=float16 --keys quantization=int8_float32

Each `--keys` is one export by the exporter of the engine, in a folder that is removed. Every round runs each
engine once, in turn, so that what else the machine does meets all of them; a ratio is that of medians of this run. Real
time is s of work for each s of audio, after loading; OMP_NUM_THREADS sets the threads of all engines. Text rates are
those of `vox evaluate`, raw.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from voxcli.api import Decoding
from voxcli.audio.decode import read_utterance
from voxcli.checkpoints import engine_around, open_checkpoint
from voxcli.evaluate.align import Counts, align
from voxcli.evaluate.report import table
from voxcli.evaluate.target import run_of
from voxcli.export.folder import size
from voxcli.export.options import configured
from voxcli.export.origin import describe
from voxcli.export.probe import choose
from voxcli.models.open import locate
from voxcli.plugins.manager import manager
from voxcli.recipe.schema import TextRules


def main() -> None:
    """Export, hear each clip by each engine, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", help="by default the run's own")
    parser.add_argument("--split", default="test")
    parser.add_argument("--engine", default="ctranslate2")
    parser.add_argument("--keys", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--language")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()

    checkpoint = Path(locate(given.model))
    here = open_checkpoint(checkpoint, device="cpu")
    text: TextRules = here.text
    probe = choose(given.data, run_of(checkpoint), split=given.split, most=given.clips, text=text, model=given.model)
    assert probe.table is not None, probe.name
    decoding = here.decoding if given.language is None else Decoding(language=given.language)
    engines: dict[str, Any] = {"transformers": engine_around(here)}
    sizes = {"transformers": size(checkpoint)}
    registry = manager().registry
    runtime: Any = registry.load("engine", given.engine)
    exporter: Any = registry.load("exporter", runtime.exporter)
    with tempfile.TemporaryDirectory() as place:
        for number, keys in enumerate(given.keys or [""]):
            folder = Path(place, str(number))
            folder.mkdir()
            made = configured(exporter, runtime.exporter, [keys] if keys else [])
            made.export(checkpoint, folder)
            describe(folder, checkpoint, made, to=runtime.exporter, engine=given.engine)
            engines[keys or given.engine] = runtime.open(folder, device="cpu")
            sizes[keys or given.engine] = size(folder)
        utterances = list(probe.table)
        clips = [read_utterance(one, 16_000) for one in utterances]
        seconds = sum(len(clip) for clip in clips) / 16_000
        taken: dict[str, list[float]] = {name: [] for name in engines}
        texts: dict[str, list[str]] = {}
        for _ in range(given.rounds):
            for name, engine in engines.items():
                begin = time.perf_counter()
                texts[name] = [one.text for one in engine.transcribe_batch(clips, decoding)]
                taken[name].append((time.perf_counter() - begin) / seconds)
    print(f"{len(clips)} clips of {probe.name}, {seconds:.1f} s, {given.rounds} rounds")
    references = [one.text or "" for one in utterances]
    first = statistics.median(taken["transformers"])
    rows = [
        [
            name,
            f"{sizes[name] / 1e6:.1f}",
            f"{100 * (_counts(references, texts[name]).rate or 0):.1f}",
            str(_counts(texts["transformers"], texts[name]).errors),
            f"{statistics.median(taken[name]):.3f}",
            f"{first / statistics.median(taken[name]):.1f}",
        ]
        for name in engines
    ]
    print("\n".join(table(["", "MB", "WER %", "other words", "real time", "times as quick"], rows)))


def _counts(references: list[str], texts: list[str]) -> Counts:
    return sum((align(one, other).words for one, other in zip(references, texts, strict=True)), Counts())


if __name__ == "__main__":
    main()
