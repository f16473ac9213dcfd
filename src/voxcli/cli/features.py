"""`vox features`: files, folders or a recipe's split -> log-mel, MFCC, spectrograms or embeddings in one file."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from voxcli.cli import console, imports
from voxcli.errors import EXIT_FAILED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from voxcli.features.presets import Spectral
    from voxcli.features.run import Outcome
    from voxcli.features.sources import Sources

log = logging.getLogger(__name__)

Pool = Literal["mean", "none"]
SplitName = Literal["train", "validation", "test"]


def features(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", help="log-mel, mfcc, speaker-mfcc, spectrogram, embedding or x-vector."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE... | FOLDER | - | RECIPE [KEY=VALUE]...]",
            help="Audio, folders with all below them, - for stdin; or one recipe and changes of it.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write: .npz or .parquet.")
    ] = None,
    split: Annotated[
        SplitName | None, typer.Option("--split", help="With a recipe: which split.", show_default="train")
    ] = None,
    n_fft: Annotated[int | None, typer.Option("--n-fft", metavar="N", help="Points of the Fourier transform.")] = None,
    win_length: Annotated[
        int | None, typer.Option("--win-length", metavar="N", help="Samples of the window.", show_default="n_fft")
    ] = None,
    hop_length: Annotated[int | None, typer.Option("--hop-length", metavar="N", help="Samples a frame.")] = None,
    n_mels: Annotated[int | None, typer.Option("--n-mels", metavar="N", help="Mel bands.")] = None,
    n_mfcc: Annotated[int | None, typer.Option("--n-mfcc", metavar="N", help="Cepstral coefficients.")] = None,
    sampling_rate: Annotated[
        int | None, typer.Option("--sampling-rate", metavar="HZ", help="Resample to this.", show_default="16000")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="embedding, x-vector: a run, a folder or a hub id."),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option("--layer", metavar="N", help="embedding: which hidden states; by default the encoder's output."),
    ] = None,
    pool: Annotated[
        Pool | None,
        typer.Option("--pool", help="embedding: one mean vector a recording, or all frames.", show_default="mean"),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            "--window", metavar="S", min=0.5, help="Of a model: s of audio that it sees at once.", show_default="30"
        ),
    ] = None,
    device: Annotated[str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1 …")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    list_presets: Annotated[bool, typer.Option("--list", help="List the features and their parameters.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Write log-mel, MFCC, spectrograms or embeddings to a file.

    To cluster, to plot or to feed a classifier of your own. vox itself trains on audio: a model computes its own input,
    and wav2vec 2.0, HuBERT, WavLM and their like take the waveform as it is. A recording that cannot be read is named
    and left out; the exit code is then 1.

    \b
    vox features --list
    vox features log-mel recordings/ --out mel.npz
    vox features mfcc recipe.toml --split test --n-mfcc 20 --out mfcc.parquet
    vox features embedding recordings/ --model runs/my-run --out vectors.npz
    """
    if list_presets:
        return _list(json=json)
    if kind is None or not inputs:
        raise UsageError("name a feature and recordings", help="vox features log-mel recordings/ --out mel.npz")
    spectral_options = {
        "n_fft": n_fft,
        "win_length": win_length,
        "hop_length": hop_length,
        "n_mels": n_mels,
        "n_mfcc": n_mfcc,
        "sampling_rate": sampling_rate,
    }
    model_options = {"layer": layer, "pool": pool, "window": window, "device": device}
    from voxcli.features.presets import named

    preset = named(kind)
    if isinstance(preset, str):
        _refuse_options(kind, spectral_options, "a model has its own parameters")
        if model is None:
            raise UsageError(f"{kind} comes from a model, and none is named", help="--model runs/my-run, or a hub id")
        if kind == "x-vector":
            _refuse_options(kind, {"layer": layer, "pool": pool}, "it is one vector a recording")
    else:
        _refuse_options(kind, {"model": model, **model_options}, "it is computed without a model")
        preset = preset.changed(**spectral_options)
    target = _target(out, overwrite=overwrite)

    progress = console.progress()
    from voxcli.features import sources

    found = sources.find(inputs, split=split, stdin=lambda: sys.stdin.buffer.read(), progress=progress)
    for note in found.notes:
        console.say(f"note: {note}")
    if isinstance(preset, str):
        console.say(f"loading {model}")
        imports.libraries()
    compute, rate, parameters = _computed(preset, str(model), model_options)
    from voxcli.features.run import extract

    done = extract(
        found.recordings,
        compute,
        target,
        sampling_rate=rate,
        parameters={"kind": kind, **parameters},
        progress=progress,
    )
    for name, reason in done.problems:
        log.error("%s: %s", name, reason)
    _tell(target, kind, parameters, done, found, json=json)
    return EXIT_FAILED if done.problems else EXIT_OK


def _refuse_options(kind: str, options: dict[str, Any], why: str) -> None:
    """Raise `UsageError` for options that do nothing here."""
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{kind} does not take {', '.join(given)}: {why}", help=f"leave {', '.join(given)} out")


def _target(out: Path | None, *, overwrite: bool) -> Path:
    from voxcli.features.files import SUFFIXES

    if out is None:
        raise UsageError("say where to write", help="--out features.npz, or features.parquet")
    if out.suffix not in SUFFIXES:
        raise UsageError(f"--out {out}: a file of features ends in {' or '.join(SUFFIXES)}", help="rename it")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists already", help="--overwrite replaces it")
    return out


def _computed(preset: Spectral | str, model: str, options: dict[str, Any]) -> tuple[Any, int, dict[str, Any]]:
    """What turns audio into features, the rate that it wants, and its parameters."""
    if isinstance(preset, str):
        from voxcli.features.embedding import embedder

        made = embedder(
            model,
            x_vector=preset == "x-vector",
            layer=options["layer"],
            mean=options["pool"] != "none",
            window=options["window"] or 30.0,
            device=options["device"],
        )
        return made, made.sampling_rate, made.parameters()
    from functools import partial

    from voxcli.features.spectral import features as spectrum

    return partial(spectrum, spectral=preset), preset.sampling_rate, dict(preset.parameters())


def _tell(out: Path, kind: str, parameters: dict[str, Any], done: Outcome, found: Sources, *, json: bool) -> None:
    """What was written, and what the recipe's own model makes of it."""
    heard = None
    if found.recipe is not None and "model" not in parameters:
        from voxcli.features.heard import heard_by

        heard = heard_by(found.recipe)
    if json:
        console.write_json(
            {
                "file": str(out),
                "kind": kind,
                "parameters": parameters,
                "recordings": done.recordings,
                "duration": done.duration,
                "frames": done.frames,
                "bins": done.bins,
                "left_out": [{"id": name, "reason": reason} for name, reason in done.problems],
                "model_hears": heard,
            }
        )
        return
    said = ", ".join(f"{name} {value}" for name, value in parameters.items() if value is not None)
    console.write(f"{out}: {kind} of {done.recordings} recordings, {console.clock(done.duration)}, "
                  f"{done.frames:,} x {done.bins} ({said})")  # fmt: skip
    if done.problems:
        console.say(f"{len(done.problems)} left out")
    if heard is not None:
        console.say(f"note: {heard}")


def _list(*, json: bool) -> int:
    from voxcli.features.presets import OF_MODELS, PRESETS

    if json:
        console.write_json(
            {
                **{
                    name: {"parameters": preset.parameters(), "summary": text}
                    for name, (preset, text) in PRESETS.items()
                },
                **{name: {"parameters": {}, "summary": text} for name, text in OF_MODELS.items()},
            }
        )
        return EXIT_OK
    for name, (preset, text) in PRESETS.items():
        said = ", ".join(f"{key} {value}" for key, value in preset.parameters().items())
        console.write(f"{name:<13}{text}\n{'':<13}{said}")
    for name, text in OF_MODELS.items():
        console.write(f"{name:<13}{text}")
    return EXIT_OK
