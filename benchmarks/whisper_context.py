"""What a Whisper writes, and how quickly, with 30 s windows, with merged silence and at the clip's own length.

python benchmarks/whisper_context.py MODEL --data asterisk-en/manifest.csv [--split test] [--clips 200] [--language en]
    [--contexts window,merged] [--longest 30] [--num-beams 1]

The same clips go through each context, in batches as `vox evaluate` makes them. Word error rates are normalised; "other
words" compares with what the first context wrote, in the same way.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

from voxcli.api import Decoding
from voxcli.data.table import Table
from voxcli.evaluate.align import Counts, align
from voxcli.evaluate.bootstrap import interval
from voxcli.evaluate.predict import predict
from voxcli.evaluate.report import table
from voxcli.evaluate.target import split_of, target
from voxcli.models.open import open_model
from voxcli.recipe.schema import TextRules
from voxcli.text.scoring import english_spelling_of, scoring_normalizer


def main() -> None:
    """Decode in each context in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--longest", type=float, default=30.0, help="s")
    parser.add_argument("--language")
    parser.add_argument("--contexts", default="window,merged")
    parser.add_argument("--num-beams", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--batch-duration", type=float, default=120.0)
    parser.add_argument("--show", action="store_true", help="print what differs")
    given = parser.parse_args()

    found, _ = split_of(target(given.data, None), given.split, text=TextRules())
    rows = np.flatnonzero(found.durations <= given.longest)
    rows = np.random.default_rng(0).permutation(rows)[: given.clips]
    chosen = found.select(np.isin(np.arange(len(found)), rows))
    contexts = given.contexts.split(",")
    models = {name: open_model(given.model, device="cpu", encoder_context=name) for name in contexts}
    texts: dict[str, dict[str, str]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in contexts}
    for _ in range(given.rounds):
        for name in contexts:
            begin = time.perf_counter()
            texts[name] = _texts(models[name], chosen, given)
            seconds[name].append(time.perf_counter() - begin)
    tokenizer = models[contexts[0]].bundle.processor.tokenizer
    normalise = scoring_normalizer(given.language or "en", english_spelling_of(tokenizer))
    references = {one.id: normalise(one.text or "") for one in chosen}
    rows_shown = []
    for name in contexts:
        said = {key: normalise(text) for key, text in texts[name].items()}
        first = {key: normalise(text) for key, text in texts[contexts[0]].items()}
        each = [align(references[key], said[key]).words for key in references]
        counts = sum(each, Counts())
        low, high = interval([one.errors for one in each], [one.length for one in each], seed=0)
        other = sum((align(first[key], said[key]).words for key in references), Counts())
        changed = sum(texts[name][key] != texts[contexts[0]][key] for key in references)
        median = statistics.median(seconds[name])
        rows_shown.append(
            [
                name,
                f"{100 * (counts.rate or 0):.2f} ({100 * low:.1f}-{100 * high:.1f})",
                f"{other.errors} of {other.length}",
                f"{changed} of {len(references)}",
                f"{median:.1f}",
                f"{statistics.median(seconds[contexts[0]]) / median:.1f}",
            ]
        )
        if given.show:
            for key in references:
                if first[key] != said[key]:
                    print(f"{key}: {texts[contexts[0]][key]!r} -> {name}: {texts[name][key]!r}")
    print(f"{len(chosen)} clips of {given.data}, {chosen.duration:.0f} s, {given.rounds} rounds")
    heads = ["", "WER %", "other words", "other texts", "s", "times as quick"]
    print("\n".join(table(heads, rows_shown)))


def _texts(model: Any, chosen: Table, given: argparse.Namespace) -> dict[str, str]:
    decoding = Decoding(language=given.language, num_beams=given.num_beams)
    made = predict(model.bundle, model.task, chosen, decoding=decoding, batch_duration=given.batch_duration)
    return {utterance.id: transcript.text for utterance, transcript in made}


if __name__ == "__main__":
    main()
