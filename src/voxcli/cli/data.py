"""`vox data`: count what a data set holds, and leave out what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from voxcli.cli import console

app = typer.Typer(help="Count what a data set holds, and leave out what is wrong with it.", no_args_is_help=True)

Source = Annotated[
    str, typer.Argument(metavar="DATA", help="A recipe, a manifest, a folder of recordings, or a run's folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def data() -> None:
    """Count what a data set holds, and leave out what is wrong with it."""


@app.command()
def stats(
    source: Source,
    full: Annotated[bool, typer.Option("--full", help="Read every header, not 2,000 of each split.")] = False,
    json: Json = False,
) -> None:
    """Hours, durations, texts, characters, speakers, languages and sampling rates, split by split.

    Of a recipe: what its run works on, after [text], [filter] and [holdout]; what they leave out is named below.
    """
    from voxcli.survey.shown import lines
    from voxcli.survey.sources import source as opened
    from voxcli.survey.statistics import statistics

    progress = console.progress()
    of = opened(source, progress=progress)
    tables, notes = of.used(progress=progress)
    found = statistics(tables, every_header=full, progress=progress)
    if json:
        console.write_json({"data": of.name, "splits": found, "notes": notes})
        return
    console.write("\n".join(lines(of.name, found, notes)))


Level = Annotated[
    float | None, typer.Option("--min-level", metavar="DB", help="Leave out what is quieter, of full scale [-70].")
]


@app.command()
def clean(
    source: Source,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The cleaned manifest: .csv, .tsv, .jsonl or .parquet."),
    ] = None,
    dropped: Annotated[
        Path | None, typer.Option("--dropped", metavar="FILE", help="The drops with their reasons.")
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option("--exclude", metavar="FILE", help="Write a list for [filter] exclude, and no manifest."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, write nothing.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="REASON", help="Do not look for this; repeatable. `vox data reasons` lists."),
    ] = None,
    min_level: Level = None,
    max_clipped: Annotated[float | None, typer.Option(metavar="SHARE", help="Clipped samples, of all [0.01].")] = None,
    min_snr: Annotated[
        float | None, typer.Option(metavar="DB", help="Estimated ratio of speech to steady noise [3].")
    ] = None,
    min_duration: Annotated[float | None, typer.Option(metavar="S", help="Leave out what is shorter.")] = None,
    max_duration: Annotated[float | None, typer.Option(metavar="S", help="Leave out what is longer.")] = None,
    max_rate: Annotated[float | None, typer.Option(metavar="LETTERS", help="Letters a second at most [30].")] = None,
    min_rate: Annotated[
        float | None, typer.Option(metavar="LETTERS", help="Letters a second at least, of 10 s and more [1].")
    ] = None,
    max_same_text: Annotated[
        int | None, typer.Option(metavar="N", help="Utterances of a split that may say the same [any number].")
    ] = None,
    language: Annotated[str | None, typer.Option(metavar="CODE", help="Language of the texts that name none.")] = None,
    json: Json = False,
) -> None:
    """Listen to every recording, read every text, and write a manifest without what is wrong.

    \b
    vox data clean speech/manifest.csv --dry-run
    vox data clean speech/manifest.csv --out speech/clean.csv
    vox data clean recipe.toml --exclude bad.txt        then [filter] exclude = "bad.txt"
    """
    from voxcli.data.corpus import clock
    from voxcli.survey.cleaned import write_drops, write_exclude, write_manifest
    from voxcli.survey.reasons import REASONS, drops, thresholds
    from voxcli.survey.recordings import listen
    from voxcli.survey.sources import source as opened

    asked = {
        "min_level": min_level,
        "max_clipped": max_clipped,
        "min_snr": min_snr,
        "min_duration": min_duration,
        "max_duration": max_duration,
        "max_rate": max_rate,
        "min_rate": min_rate,
        "max_same_text": max_same_text,
    }
    limits = thresholds({name: value for name, value in asked.items() if value is not None}, keep or ())
    progress = console.progress()
    of = opened(source, progress=progress)
    files = _files(of, out, dropped, exclude, dry_run=dry_run, overwrite=overwrite)
    tables = of.known
    found = drops(tables, listen(tables, progress=progress), limits, language=language or of.target.text.language)
    rows = sum(len(table) for table in tables.values())
    if files:
        write_drops(of, found, files["dropped"])
        if exclude is not None:
            write_exclude(of, found, exclude)
        else:
            write_manifest(of, found, files["manifest"])

    seconds = {split: table.durations for split, table in tables.items()}
    counted: dict[str, dict[str, Any]] = {}
    for reason in REASONS:
        some = [drop for drop in found if drop.reason == reason]
        if some:
            counted[reason] = {
                "utterances": len(some),
                "seconds": round(sum(_number(seconds[drop.split][drop.row]) for drop in some), 1),
                "examples": [
                    {"id": tables[drop.split].ids[drop.row], "split": drop.split, "detail": drop.detail}
                    for drop in some[:3]
                ],
            }
    whole = sum(table.duration for table in tables.values())
    gone = sum(one["seconds"] for one in counted.values())
    summed = {
        "data": of.name,
        "looked_at": rows,
        "kept": rows - len(found),
        "dropped": len(found),
        "seconds": {"kept": round(whole - gone, 1), "dropped": round(gone, 1)},
        "reasons": counted,
        "files": {name: str(path) for name, path in files.items()},
    }
    if json:
        console.write_json(summed)
        return
    share = len(found) / max(rows, 1)
    console.write(f"{of.name}: {rows:,} utterances, {clock(whole)}")
    console.write(f"kept     {rows - len(found):,}, {clock(whole - gone)}")
    console.write(f"dropped  {len(found):,} ({share:.1%}), {clock(gone)}")
    for reason, one in counted.items():
        console.write(f"  {reason:<14} {one['utterances']:>6,}  {REASONS[reason]}")
        for example in one["examples"]:
            console.write(f"      {example['id']} ({example['split']}): {example['detail']}")
    for name, path in files.items():
        console.write(f"{name:<8} {path}")
    if rows == len(found):
        console.say("nothing is left; `--keep REASON` looks for less, and the options set other limits")


@app.command()
def reasons(json: Json = False) -> None:
    """Print what `vox data clean` looks for, the reasons that --keep takes."""
    from voxcli.survey.reasons import REASONS

    if json:
        console.write_json(REASONS)
        return
    console.write("\n".join(f"{reason:<14} {meaning}" for reason, meaning in REASONS.items()))


def _files(
    of: Any, out: Path | None, dropped: Path | None, exclude: Path | None, *, dry_run: bool, overwrite: bool
) -> dict[str, Path]:
    """Where things are written, before an hour of listening. Raises `UsageError` where something stands there."""
    from voxcli.errors import UsageError
    from voxcli.survey.cleaned import SUFFIXES, manifest_of

    if exclude is not None and out is not None:
        raise UsageError("--out and --exclude are both given", help="a cleaned manifest, or a list for [filter]")
    if dry_run:
        return {}
    files: dict[str, Path] = {}
    if exclude is not None:
        files["exclude"] = exclude
        beside = exclude
    else:
        own = manifest_of(of)
        suffix = own.suffix if own is not None and own.suffix.lower() in SUFFIXES else ".csv"
        place = own.with_name(f"{own.stem}-clean{suffix}") if own is not None else Path(f"{of.name}-clean.csv")
        beside = files["manifest"] = out or place
    files["dropped"] = dropped or beside.with_name(f"{beside.stem}-dropped.csv")
    for path in files.values():
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists already", help="--overwrite replaces it; --out and --dropped name others")
    if "manifest" in files and (own := manifest_of(of)) is not None and own.resolve() == files["manifest"].resolve():
        raise UsageError(f"{own} is the manifest that is cleaned", help="--out names another file")
    for name in ("manifest", "dropped"):
        if name in files and files[name].suffix.lower() not in SUFFIXES:
            raise UsageError(f"{files[name]}: its name does not tell the format", help=f"one of {', '.join(SUFFIXES)}")
    return files


def _number(value: float) -> float:
    """0 for a duration that is not known."""
    return float(value) if value == value else 0.0
