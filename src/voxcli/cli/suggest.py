"""`vox suggest`: a task, a language, hours of data and a GPU -> checkpoints to begin with, and why."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from voxcli.cli import console
from voxcli.errors import UsageError

Task = Literal["recognition", "seq2seq", "ctc", "classification", "pretraining"]


def suggest(
    task: Annotated[
        Task, typer.Option("--task", help="What is learned; recognition is seq2seq or ctc.")
    ] = "recognition",
    language: Annotated[
        str | None, typer.Option("--language", metavar="CODE", help="Of the speech: tr, pt-BR.", show_default=False)
    ] = None,
    hours: Annotated[float, typer.Option("--hours", min=0.0, help="Recordings to train on, h.")] = 10.0,
    gpu_memory: Annotated[
        str | None,
        typer.Option(
            "--gpu-memory",
            metavar="8GiB | CARD",
            help="A size (GiB where it is a number), a card, or cpu.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many to show.")] = 6,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank checkpoints for a language, hours of data and a GPU, with reasons. Nothing is downloaded.

    Memory is about what the smallest batch needs; `vox plan RECIPE` counts a recipe exactly.

    \b
    vox suggest --task recognition --language tr --hours 5 --gpu-memory 8GiB
    """
    from voxcli.suggest import ranking
    from voxcli.suggest.footprint import GIB

    if language is not None and not language.replace("-", "").replace("_", "").isalpha():
        raise UsageError(f"--language is '{language}', expected a code", help="tr, en, pt-BR")
    usable, device = _memory(gpu_memory)
    found = ranking.suggest(task, language=language, hours=hours, memory=usable)
    if json:
        rows = [
            {
                "checkpoint": one.known.name,
                "family": one.known.family,
                "parameters": round(one.known.parameters * 1e6),
                "training": one.method.name,
                "preset": one.method.preset,
                "memory": round(one.memory),
                "fits": one.fits,
                "score": round(one.score, 2),
                "reasons": list(one.reasons),
                "command": one.command,
            }
            for one in found
        ]
        console.write_json({"device": device, "usable": usable, "suggestions": rows})
        return

    shown = [one for one in found if one.fits][:limit]
    if not shown:
        smallest = min(found, key=lambda one: one.memory)
        raise UsageError(
            f"nothing fits {device}: the least, {smallest.known.name}, needs about {smallest.memory / GIB:.1f} GiB",
            help="a larger card, or --gpu-memory cpu",
        )
    header = ("", "checkpoint", "training", "M parameters", "GiB, about")
    rows_shown = [
        (str(place), one.known.name, one.method.name, f"{one.known.parameters:.0f}", f"{one.memory / GIB:.1f}")
        for place, one in enumerate(shown, start=1)
    ]
    console.write(console.table(header, rows_shown))
    for place, one in enumerate(shown, start=1):
        console.write(f"\n{place}  {one.known.name}")
        for reason in one.reasons:
            console.write(f"   - {reason}")
    left = [one.known.name for one in found if not one.fits]
    if left:
        console.write(f"\ntoo large for {device}: {', '.join(left)}")
    console.write(f"\nnext: {shown[0].command}")


def _memory(asked: str | None) -> tuple[float | None, str]:
    """(bytes that can be used, what it is called); None: as much as it takes."""
    if asked is None:
        return None, "any card"
    from voxcli.memory.cards import find

    device = find(f"{asked}GiB" if asked.replace(".", "", 1).isdecimal() else asked)
    return float(device.usable), device.name
