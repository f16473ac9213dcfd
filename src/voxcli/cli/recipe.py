"""`vox recipe`: check, show, list, write recipes, and the schema that editors complete them with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxcli.api import Finding
from voxcli.cli import console
from voxcli.errors import UsageError
from voxcli.recipe.levels import LevelName

app = typer.Typer(help="Check, show, list and write recipes.", no_args_is_help=True)

Source = Annotated[str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a shipped recipe.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE | ~KEY]...", help="Changes: train.max_steps=100, augment.0.p=0.2, ~adapter."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def recipe() -> None:
    """Check, show, list and write recipes."""


@app.command()
def check(recipe: Source, overrides: Overrides = None, json: Json = False) -> None:
    """Print every problem of a recipe, with its line and its repair. Exit code 2 where there is one."""
    from voxcli.recipe import render
    from voxcli.recipe.resolve import resolve

    resolved = resolve(recipe, overrides or (), missing="warning")
    if json:
        found = render.findings_json(resolved.warnings, resolved.places)
        console.write_json({"name": resolved.name, "findings": found})
        return
    if resolved.warnings:
        console.write(render.findings(resolved.warnings, resolved.places) + "\n")
    count = len(resolved.warnings)
    warned = f", {count} warning{'s' if count > 1 else ''}" if count else ""
    console.write(f"{recipe}: no problems{warned} (model {resolved.model_type}, task {resolved.task_name})")


@app.command()
def show(recipe: Source, overrides: Overrides = None, json: Json = False) -> None:
    """Print the resolved recipe; each line says where its value was set. The output is a recipe itself."""
    from voxcli.recipe import render
    from voxcli.recipe.resolve import resolve

    resolved = resolve(recipe, overrides or (), missing="warning")
    if json:
        console.write_json(resolved.tables)
    else:
        console.write(render.toml(resolved.tables, resolved.places))


@app.command("list")
def list_(json: Json = False) -> None:
    """List the recipes and presets that voxcli brings."""
    from voxcli.recipe.shipped import shipped

    found = shipped()
    if json:
        rows = [{"kind": one.kind, "name": one.name, "summary": one.summary(), "path": str(one.path)} for one in found]
        console.write_json(rows)
        return
    console.write(console.table(("kind", "name", ""), [(one.kind, one.name, one.summary()) for one in found]))


@app.command()
def schema(out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here.")] = None) -> None:
    """Print the JSON Schema of recipes, composed from the installed plugins, for completion in editors.

    Editors that use taplo take it from a first line `#:schema ./vox.schema.json`.
    """
    from voxcli.plugins.manager import manager
    from voxcli.recipe.schema_json import schema as compose

    composed = compose(manager().registry)
    if out is None:
        console.write_json(composed)
        return
    out.write_text(console.json_text(composed), encoding="utf-8")
    console.say(f"wrote {out}; a recipe takes it from its first line: #:schema ./{out.name}")


@app.command()
def new(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A folder of data, or a manifest.", show_default=False)
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            "--task", metavar="TASK", help="ctc, seq2seq, classification or pretraining; by default as the data are."
        ),
    ] = "",
    level: Annotated[
        LevelName | None,
        typer.Option("--level", help="A first look, what suits most data, or what is worth waiting for."),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="NAME", help="The model to start from.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here, not to stdout.")] = None,
) -> None:
    """Write a commented first recipe for a folder of data.

    It looks into the folder: a Common Voice release, a manifest (csv, tsv, jsonl, parquet), LibriSpeech-style
    transcripts, text files beside the audio, a saved Hugging Face data set, folders named by class.
    """
    from voxcli.plugins.manager import manager
    from voxcli.recipe.levels import LEVELS, with_level
    from voxcli.recipe.look import counted, look
    from voxcli.recipe.starter import CHECKPOINTS, starter

    if folder is None:
        raise UsageError("name a folder of data", help="vox recipe new recordings/ --task ctc --out recipe.toml")
    if task and task not in CHECKPOINTS:
        raise UsageError(f"there is no starter for the task '{task}'", help=f"tasks: {', '.join(CHECKPOINTS)}")
    if out is not None and out.exists():
        raise UsageError(f"{out} exists already", help="give another --out, or remove it")
    console.say(f"looking into {folder}")
    found = look(folder, manager().registry)
    task = task or ("classification" if found.labels and not found.with_text else "seq2seq")
    if level is not None:
        checkpoint = checkpoint or LEVELS[task][level].checkpoint
    text = starter(found, task, source=folder, out=out, checkpoint=checkpoint)
    if level is not None:
        text = with_level(text, task, level)
    if out is None:
        console.write(text)
        return
    out.write_text(text, encoding="utf-8")
    console.say(f"wrote {out}: {found.layout}, {counted(found.counts)}\nnext: vox recipe check {out}")


@app.command("import")
def import_(
    words: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND... | FILE", help="The command, after --; or a file of it, or of arguments."),
    ],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write here, not to stdout.")] = None,
    script: Annotated[
        str | None,
        typer.Option("--script", metavar="NAME", help="ctc, adapter, seq2seq, classification or pretraining."),
    ] = None,
    json: Json = False,
) -> None:
    """Turn a command of transformers' audio example scripts into a recipe, and say what was mended.

    Understood are old and new arguments of the five scripts, JSON files of arguments, torchrun and accelerate launch.

    \b
    vox recipe import --out mine.toml -- python run_speech_recognition_ctc.py --model_name_or_path …
    """
    from voxcli.errors import RecipeError, VoxError
    from voxcli.recipe import render
    from voxcli.recipe.importing.recipes import imported, lines, text
    from voxcli.recipe.resolve import resolve_tables

    if out is not None and out.exists():
        raise UsageError(f"{out} exists already", help="give another --out, or remove it")
    made = imported(words, script=script)
    found: tuple[Finding, ...] = ()
    try:
        found = resolve_tables(made.tables, missing="warning").warnings
    except RecipeError as error:
        found = tuple(error.findings)
    except VoxError as error:  # a checkpoint that cannot be looked at from here
        made.note("to do", "--model_name_or_path", f"not checked: {error.message}")
    if json:
        notes = [{"kind": one.kind, "argument": one.argument, "text": one.text} for one in made.notes]
        console.write_json({"recipe": made.tables, "notes": notes, "findings": render.findings_json(found, {})})
        return
    for line in lines(made):
        console.say(line)
    if found:
        console.say(render.findings(found, {}))
    if out is None:
        console.write(text(made))
        return
    out.write_text(text(made), encoding="utf-8")
    console.say(f"wrote {out}; names of models and data sets are looked up when it runs\nnext: vox recipe check {out}")
