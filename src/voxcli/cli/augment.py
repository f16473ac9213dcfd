"""`vox augment`: hear, see and measure what the augmentations of a recipe do to an utterance."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.cli import console

if TYPE_CHECKING:
    from voxcli.preview.draws import Clip, Draw
    from voxcli.preview.effects import Effect

app = typer.Typer(help="Hear and see what a recipe's augmentations do.", no_args_is_help=True)


@app.callback()
def augment() -> None:
    """Hear and see what a recipe's augmentations do."""


@app.command()
def preview(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a shipped recipe.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE | ~KEY]...", help="Changes: augment.0.p=1.0.")
    ] = None,
    utterance: Annotated[
        str | None,
        typer.Option("--utterance", metavar="ID", help="Of the training split [one of median length]."),
    ] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, max=1000, help="How many epochs.")] = 3,
    epoch: Annotated[int, typer.Option("--epoch", metavar="N", min=0, help="The first of them.")] = 0,
    always: Annotated[bool, typer.Option("--always", help="Apply every augmentation, whatever its p.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write [preview/ID].", file_okay=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write an utterance as it is recorded and as epochs hear it, a picture of both, and say what was done.

    What is written is what training draws: the same samples, from the recipe's seed, the epoch and the utterance. Only
    what `mix` plays may be another: training draws it from the utterances that it can use, this from all that [filter]
    leaves.
    """
    from voxcli.preview.draws import clip, draws
    from voxcli.recipe.resolve import resolve

    resolved = resolve(recipe, overrides or ())
    heard = clip(resolved, utterance, progress=console.progress())
    folder = out or Path("preview") / _file_name(heard.utterance.id)
    made = list(draws(resolved, heard, range(epoch, epoch + count), always=always))
    files = _write(folder, heard, made)
    if json:
        console.write_json(_table(heard, made, files))
        return
    console.write("\n".join(_lines(heard, made, files)))


def _file_name(name: str) -> str:
    return "".join(one if one.isalnum() or one in "-_." else "_" for one in name).strip(".") or "utterance"


def _write(folder: Path, heard: Clip, made: list[Draw]) -> dict[str, Path]:
    """original.wav, epoch-N.wav and spectrograms.png, where Pillow is there."""
    import numpy as np
    import soundfile

    from voxcli.preview import picture

    folder.mkdir(parents=True, exist_ok=True)
    clips = [("original", heard.audio), *((f"epoch-{draw.epoch}", draw.audio) for draw in made)]
    files = {}
    for name, audio in clips:
        files[name] = folder / f"{name}.wav"
        beyond = float(np.abs(audio).max(initial=0.0)) > 1.0
        soundfile.write(files[name], audio, heard.sampling_rate, subtype="FLOAT" if beyond else "PCM_16")
    titles = [f"as recorded: {heard.utterance.id}", *(_title(draw) for draw in made)]
    try:
        shown = [(title, audio) for title, (_, audio) in zip(titles, clips, strict=True)]
        picture.write(folder / "spectrograms.png", shown, heard.sampling_rate)
        files["picture"] = folder / "spectrograms.png"
    except picture.NoPillow as error:
        console.say(f"{error.message}: it is left out; {error.help}")
    return files


def _title(draw: Draw) -> str:
    return f"epoch {draw.epoch}: {', '.join(one.name for one in draw.effects if one.applied) or 'as recorded'}"


def _lines(heard: Clip, made: list[Draw], files: dict[str, Path]) -> list[str]:
    said = f', "{heard.utterance.text}"' if heard.utterance.text else ""
    lines = [f"{heard.utterance.id}: {len(heard.audio) / heard.sampling_rate:.2f} s{said}", ""]
    width = max(len(one.name) for one in made[0].effects)
    for draw in made:
        lines.append(f"epoch {draw.epoch}   {files[f'epoch-{draw.epoch}']}")
        lines += [f"  {one.name:{width}}  {_did(one)}" for one in draw.effects]
        if draw.text != heard.utterance.text:
            lines.append(f'  text: "{draw.text}"')
        if draw.problem:
            lines.append(f"  training passes it over in this epoch: {draw.problem}")
        lines.append("")
    lines.append(f"as recorded   {files['original']}")
    if "picture" in files:
        lines.append(f"picture       {files['picture']}")
    return lines


def _did(one: Effect) -> str:
    if not one.applied:
        return f"not drawn (p = {one.p:g})"
    if one.unchanged:
        return "drawn, and what was drawn changes nothing"
    length = f"{one.before:.2f} s" if one.before == one.after else f"{one.before:.2f} s -> {one.after:.2f} s"
    level = f"{one.level_before:.1f} dB -> {one.level_after:.1f} dB"
    snr = "" if one.snr is None else f"  SNR {one.snr:.1f} dB"
    return f"{length:18}  level {level:22}  peak {one.peak:.2f}{snr}"


def _table(heard: Clip, made: list[Draw], files: dict[str, Path]) -> dict[str, Any]:
    return {
        "utterance": heard.utterance.id,
        "text": heard.utterance.text,
        "duration": len(heard.audio) / heard.sampling_rate,
        "sampling_rate": heard.sampling_rate,
        "original": str(files["original"]),
        "picture": str(files["picture"]) if "picture" in files else None,
        "epochs": [
            {
                "epoch": draw.epoch,
                "audio": str(files[f"epoch-{draw.epoch}"]),
                "duration": len(draw.audio) / heard.sampling_rate,
                "text": draw.text,
                "problem": draw.problem,
                "augmentations": [dataclasses.asdict(one) for one in draw.effects],
            }
            for draw in made
        ],
    }
