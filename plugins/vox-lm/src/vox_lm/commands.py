"""`vox lm build`: transcripts and texts -> an n-gram model in an ARPA file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxcli.cli import console
from voxcli.errors import UsageError

app = typer.Typer(help="Make language models for the decoder lm.", no_args_is_help=True)


@app.callback()
def lm() -> None:
    """Make language models for the decoder lm."""


@app.command()
def build(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE | TEXT...", help="A recipe: its training transcripts. A text file: its lines."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the ARPA file goes.")] = Path("lm.arpa"),
    order: Annotated[int, typer.Option("--order", min=1, max=6, help="Words that are looked at together.")] = 3,
) -> None:
    """Estimate an n-gram model (modified Kneser-Ney, as KenLM's lmplz) from the training split and from texts.

    Texts go through the `[text]` rules of the recipe, so that the model is written as the acoustic model writes.
    Validation and test transcripts are never read. All is kept in memory: for millions of sentences use lmplz.

    \b
    vox lm build train.toml --out words.arpa
    vox lm build train.toml more.txt --order 4 --out words.arpa
    """
    from vox_lm.arpa import write
    from vox_lm.kneser_ney import estimate
    from vox_lm.texts import sentences

    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", help="make it, or give another --out")
    lines = sentences(sources, say=console.say)
    console.say(f"counting {len(lines)} sentences, {sum(map(len, lines))} words")
    model = estimate(lines, order)
    for length in model.fallback:
        console.say(f"order {length}: too few or too even counts for discounts of its own; took 0.5, 1, 1.5")
    write(model, out)
    counts = ", ".join(f"{len(table)} {n}-grams" for n, table in enumerate(model.orders, start=1))
    console.say(f"wrote {out}: {counts}\nnext: vox evaluate MODEL --split validation --decoder lm --decoder path={out}")
