"""`vox export`: a run -> a model in another format, compared with the run before it takes its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voxcli.api import Split
from voxcli.cli import console, imports
from voxcli.cli.evaluate import BatchDuration, Device
from voxcli.errors import UsageError


def export(
    model: Annotated[str, typer.Argument(metavar="RUN", help="A run, a checkpoint, or an adapter's folder.")],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Keys of the format: dtype=float16.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="FORMAT", help="The format; without it they are listed.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="A new folder; by default RUN/export/FORMAT-CHECKPOINT."),
    ] = None,
    probe: Annotated[
        int, typer.Option("--probe", min=0, help="Utterances transcribed by both, to compare; 0: none.")
    ] = 20,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Where they come from; by default the run's own data.")
    ] = None,
    split: Annotated[
        Split | None, typer.Option("--split", help="By default the first there is of validation, test, train.")
    ] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Compare with the run before it is kept.")] = True,
    batch_duration: BatchDuration = 120.0,
    device: Device = None,
    push: Annotated[
        str | None, typer.Option("--push", metavar="OWNER/NAME", help="Upload it to the Hugging Face hub, too.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="With --push: nobody else sees it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was written and found as JSON.")] = False,
) -> None:
    """Write a trained model in another format, and prove that it is the same model.

    `merged` is an ordinary transformers folder: an adapter is merged into its full-precision base, also when it was
    trained over an int8 or 4-bit one. Packages bring formats for other runtimes, which are compared by what both hear.
    Nothing is overwritten, and what fails the check is not kept.

    \b
    vox export runs/my-run --to merged
    vox export runs/my-run --to merged --out whisper-tr dtype=float16
    vox export runs/my-run --to merged --push ada/whisper-tr --private
    vox export runs/my-run --to ctranslate2 quantization=int8_float32
    """
    from voxcli.plugins.manager import manager

    registry = manager().registry
    if to is None:
        known = ", ".join(f"{one.name} ({one.summary})" for one in registry if one.kind == "exporter")
        raise UsageError("which format? --to is missing", help=f"known: {known or 'none'}")
    registry.find("exporter", to)
    console.say("loading torch and transformers")
    imports.libraries()
    from voxcli.export import report
    from voxcli.export.options import configured
    from voxcli.export.run import export as run

    exported = run(
        model,
        configured(registry.load("exporter", to), to, options or []),
        to=to.rpartition("/")[2],
        out=out,
        checked=check,
        n_probe=probe,
        data=data,
        split=split,
        device=device,
        batch_duration=batch_duration,
        repository=push,
        private=private,
        progress=console.progress(),
    )
    if json:
        console.write_json(report.as_json(exported, model=model, to=to))
        return
    console.write("\n".join(report.lines(exported, to=to.rpartition("/")[2])))
