"""`vox speak`: a text -> a file of speech."""

from __future__ import annotations

import json as json_
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.errors import DataError, ModelError, UsageError

if TYPE_CHECKING:
    from voxcli.api import Bundle

SUFFIXES = (".wav", ".flac", ".ogg")


def speak(
    text: Annotated[str | None, typer.Argument(metavar="[TEXT | -]", help="What to say; - reads stdin.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help=".wav, .flac or .ogg.")] = Path("speech.wav"),
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="A run, a checkpoint's folder or a hub id.")
    ] = "microsoft/speecht5_tts",
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="Say the lines of a file.")] = None,
    speaker: Annotated[str | None, typer.Option("--speaker", metavar="NAME", help="Whose voice.")] = None,
    vocoder: Annotated[
        str | None,
        typer.Option("--vocoder", metavar="MODEL", help="A SpeechT5HifiGan: folder or hub id [Griffin-Lim]."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**63 - 1, help="Another one says it a little differently.")
    ] = 0,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0.0, help="How sure of the end a line ends; higher: later.")
    ] = 0.5,
    longest: Annotated[
        float, typer.Option("--longest", metavar="N", min=1.0, help="Most frames (16 ms) for each letter.")
    ] = 20.0,
    device: Annotated[str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1 …")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say a text with a SpeechT5 that vox has trained, or with any other.

    Each line is said by itself, with a pause behind it, after the [text] rules that the model has learned with.

    \b
    vox speak "Good morning." --model runs/my-voice -o morning.wav
    vox speak --file book.txt --model runs/my-voice --vocoder microsoft/speecht5_hifigan -o book.flac
    """
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--out {out}: speech is written as {', '.join(SUFFIXES)}", help="rename it")
    if out.is_dir():
        raise UsageError(f"{out} is a folder", help="name a file in it")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists already", help="--overwrite replaces it")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent}", help="make it, or give another --out")
    if not os.access(out.parent, os.W_OK):
        raise UsageError(f"the folder {out.parent} cannot be written", help="give another --out")
    lines = _lines(text, file)

    typer.echo(f"loading {model}", err=True)
    from voxcli.checkpoints import as_learned, open_checkpoint

    try:
        opened = open_checkpoint(model, device=device)
    except ModelError:
        bundle = _as_it_is(model, device)
        if bundle is None:
            raise
    else:
        bundle = opened.bundle
        lines = [(number, as_learned(line, opened)) for number, line in lines]
    if getattr(bundle.family, "task", None) != "text-to-speech":
        raise UsageError(f"{model} does not speak: it is a model for {bundle.family.task}", help="name another --model")

    from vox_speecht5.speech import Speaker, joined
    from vox_speecht5.writing import write

    voice = Speaker(bundle, speaker=speaker, vocoder=vocoder, threshold=threshold, longest=longest, seed=seed)
    for number, line in lines:  # all of them, before minutes go into the first
        voice.check(line, at=f"line {number}: " if len(lines) > 1 else "")
    said = [voice.say(line) for _, line in lines]
    audio = joined(said, voice.sampling_rate)
    write(out, audio, voice.sampling_rate)
    for one in said:
        if not one.ended:
            typer.echo(
                f"'{one.text[:40]}' was cut off at {longest:g} frames a letter: --threshold, --longest", err=True
            )
    told = {
        "file": str(out),
        "duration": round(len(audio) / voice.sampling_rate, 3),
        "sampling_rate": voice.sampling_rate,
        "model": model,
        "speaker": speaker,
        "vocoder": vocoder or "griffin-lim",
        "lines": [{"text": one.text, "frames": one.frames, "ended": one.ended} for one in said],
    }
    if json:
        typer.echo(json_.dumps(told, ensure_ascii=False, indent=1))
    else:
        typer.echo(
            f"{out}: {told['duration']} s, {len(said)} {'line' if len(said) == 1 else 'lines'}, {told['vocoder']}"
        )


def _lines(text: str | None, file: Path | None) -> list[tuple[int, str]]:
    """The lines to say with their numbers in the text.

    Raises `UsageError` where there are none or two sources, `DataError` for an unreadable file.
    """
    if (text is None) == (file is None):
        raise UsageError("say what to say: TEXT, or - for stdin, or --file", help='vox speak "Good morning."')
    try:
        whole = file.read_text(encoding="utf-8") if file is not None else sys.stdin.read() if text == "-" else text
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file or 'stdin'} cannot be read: {error}", help="give a text file in UTF-8") from error
    lines = [(number, line.strip()) for number, line in enumerate((whole or "").splitlines(), 1) if line.strip()]
    if not lines:
        raise UsageError("there is nothing to say", help='vox speak "Good morning."')
    return lines


def _as_it_is(model: str, device: str | None) -> Bundle | None:
    """A SpeechT5 that vox has not trained; None where it is no SpeechT5."""
    from vox_speecht5.family import SpeechT5
    from voxcli.api import Corpus
    from voxcli.models.open import device_of

    placed = device_of(device)
    family = SpeechT5(checkpoint=model)
    try:
        family.limits()
    except ModelError:
        return None
    bundle = family.build(Corpus("", (), 0, 0.0))
    bundle.model.eval().requires_grad_(False)
    bundle.model.to(placed)
    return bundle
