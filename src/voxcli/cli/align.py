"""`vox align`: a CTC model and a split -> where each letter of each text is spoken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxcli.api import Split
from voxcli.cli import console, imports
from voxcli.cli.evaluate import BatchDuration, Data, Device, Model
from voxcli.errors import EXIT_FAILED, EXIT_OK, DataError, UsageError


def align(
    model: Model,
    data: Data = None,
    split: Annotated[Split, typer.Option("--split", help="Which split.")] = "train",
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the lines go.")] = Path(
        "alignment.jsonl"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    batch_duration: BatchDuration = 60.0,
    device: Device = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> int:
    """Find where each letter of a text is spoken.

    Of a CTC model, in each recording of a split. One line of JSON an utterance: id, text, score, and the tokens with
    begin and end in s. The texts go through the model's own `[text]` rules. `[[augment]] type = "splice"` makes new
    sentences of it; the worst scores are texts that their recording does not say. What cannot be aligned is named and
    left out; the exit code is then 1.

    \b
    vox align runs/my-run --out alignment.jsonl
    vox align runs/my-run --data other/manifest.csv --split test --out test.jsonl
    """
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists", help="--overwrite replaces it")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {out.absolute().parent}", help="make it, or give another --out")
    console.say("loading torch and transformers")
    imports.libraries()
    from voxcli.align.run import align as run
    from voxcli.evaluate.target import run_of, split_of, target
    from voxcli.models.open import open_model

    progress = console.progress()
    of = target(data, run_of(Path(model)), model=model)
    opened = open_model(model, device=device)
    table, notes = split_of(of, split, text=opened.text, progress=progress)
    for note in notes:
        console.say(note)
    skipped: list[tuple[str, str]] = []
    found = run(opened, table, batch_duration=batch_duration, skipped=skipped, progress=progress)
    if not found:
        raise DataError(
            f"none of the {len(table)} utterances could be aligned, the first because: {skipped[0][1]}",
            help="a model that learned this language and this spelling",
        )
    part = out.with_name(f".{out.name}.part")
    part.write_text("".join(f"{one.line()}\n" for one in found), encoding="utf-8")
    part.replace(out)
    worst = min(found, key=lambda one: one.score)
    if json:
        console.write_json(
            {
                "file": str(out),
                "aligned": len(found),
                "skipped": [{"id": name, "reason": why} for name, why in skipped],
                "worst": {"id": worst.id, "text": worst.text, "score": round(worst.score, 3)},
            }
        )
    else:
        console.write(f"{out}: {len(found)} of {len(table)} utterances aligned")
        console.write(f'least certain: {worst.id} ({worst.score:.2f} a frame), "{worst.text}"')
    return EXIT_FAILED if skipped else EXIT_OK
