"""`vox evaluate`: a checkpoint and a split -> error rates, or accuracy and F1, and every utterance in a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from voxcli.api import Split
from voxcli.cli import console, imports
from voxcli.cli.decoder import Decoder, check, with_decoder
from voxcli.errors import UsageError

if TYPE_CHECKING:
    from voxcli.api import Decoding
    from voxcli.evaluate.scores import Scores
    from voxcli.models.open import OpenModel


TaskName = Literal["transcribe", "translate"]

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A run, a checkpoint, an adapter's folder, or a hub id.")]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="A recipe, a manifest or a folder; by default the run's own data."),
]
Language = Annotated[str | None, typer.Option("--language", help="Language of the speech; auto: as the model finds.")]
Beams = Annotated[int | None, typer.Option("--num-beams", min=1, help="Beams of the search; 1 is greedy.")]
Tokens = Annotated[int | None, typer.Option("--max-new-tokens", min=1, help="Longest output, in tokens.")]
Context = Literal["window", "merged", "clip"]
EncoderContext = Annotated[
    Context | None,
    typer.Option("--encoder-context", help="Whisper: whole windows, their silence merged, or the clip's own length."),
]
BatchDuration = Annotated[float, typer.Option("--batch-duration", min=0.1, help="s of padded audio per batch.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1; by default a GPU where there is one.")]


def evaluate(
    model: Model,
    data: Data = None,
    split: Annotated[Split, typer.Option("--split", help="Which split.")] = "test",
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="MODEL", help="Score this model too and compare.")
    ] = None,
    language: Language = None,
    task: Annotated[TaskName | None, typer.Option("--task", help="What a multilingual model does.")] = None,
    num_beams: Beams = None,
    max_new_tokens: Tokens = None,
    decoder: Decoder = None,
    encoder_context: EncoderContext = None,
    batch_duration: BatchDuration = 120.0,
    device: Device = None,
    num_workers: Annotated[int, typer.Option("--num-workers", min=0, help="Threads that read audio.")] = 2,
    worst: Annotated[int, typer.Option("--worst", min=0, help="How many of the worst utterances to show.")] = 20,
    examples: Annotated[int, typer.Option("--examples", min=0, help="How many other utterances to show.")] = 0,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", metavar="DIR", help="Where scores.json and utterances.jsonl go.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a model on a data set, with 95 % intervals, and write every utterance with what became of it.

    A model that writes text: WER and CER. `normalised` rates are counted after the scoring rules of the language
    (Whisper's for English), `raw` ones on the text as it is. Words inserted where the reference is empty count as
    errors. A classifier: accuracy and F1, a row for each class, what is taken for what.

    \b
    vox evaluate runs/my-run
    vox evaluate openai/whisper-small --data speech/manifest.csv --language tr
    """
    from voxcli.export.origin import require_checkpoint

    check(decoder)
    require_checkpoint(model)
    say = console.say
    say("loading torch and transformers")
    imports.libraries()
    from voxcli.data.corpus import clock
    from voxcli.evaluate import compare, report
    from voxcli.evaluate.target import place, run_of, split_of, target
    from voxcli.models.open import open_model

    progress = console.progress()
    of = target(data, run_of(Path(model)), model=model)
    opened = open_model(model, device=device, encoder_context=encoder_context)
    out = output_dir or place(model, opened.folder, of, split)
    if classifies(opened):
        from voxcli.cli.evaluate_classes import evaluate_classes

        given = {"language": language, "task": task, "num-beams": num_beams, "max-new-tokens": max_new_tokens}
        refuse({**given, "decoder": decoder, "examples": examples or None}, "is for models that write text", model)
        settings = {"batch_duration": batch_duration, "num_workers": num_workers, "worst": worst, "device": device}
        evaluate_classes(opened, model, of, split, baseline=baseline, out=out, json=json, settings=settings)
        return
    decoding = with_decoder(changed(opened.decoding, language, task, num_beams, max_new_tokens), decoder)
    if (
        output_dir is None and decoding.decoder != opened.decoding.decoder
    ):  # beside the scores of the model's own decoder
        out = out.with_name(f"{out.name}-{(decoding.decoder or {'type': 'greedy'})['type']}")
    if output_dir is None and encoder_context is not None:
        out = out.with_name(f"{out.name}-{encoder_context}")
    table, notes = split_of(of, split, text=opened.text, progress=progress)
    for note in notes:
        say(note)

    def score(opened: OpenModel, name: str, out: Path) -> Scores:
        from voxcli.evaluate.run import evaluate as run

        facts = {"model": name, "checkpoint": str(opened.folder or name), "data": of.name, "split": split}
        say(f"{name} on {of.name}, {split}: {len(table)} utterances; {report.describe(decoding)}")
        return run(
            opened,
            table,
            decoding=decoding,
            batch_duration=batch_duration,
            num_workers=num_workers,
            worst=worst,
            examples=examples,
            facts={**facts, "notes": notes},
            out=out,
            progress=progress,
        )

    scores = score(opened, model, out)
    comparison = None
    if baseline is not None:
        del opened
        other = open_model(baseline, device=device, encoder_context=encoder_context)
        below = out.parent / f"{out.name}-baseline-{Path(baseline).name}"
        comparison = compare.compare(score(other, baseline, below), scores)

    if json:
        facts: dict[str, Any] = {"model": model, "data": of.name, "split": split, "folder": str(out)}
        compared = {} if comparison is None else {"baseline": {"model": baseline, **comparison.as_json()}}
        console.write_json({**facts, **scores.as_json(), **compared})
        return
    console.write(f"model     {model}")
    console.write(f"data      {of.name}, {split}: {scores.utterances} utterances, {clock(scores.duration)}")
    console.write(f"decoding  {report.describe(decoding)}")
    console.write("")
    console.write("\n".join(report.lines(scores)))
    if comparison is not None:
        console.write(f"\nbefore: {baseline}\nafter:  {model}")
        console.write("\n".join(compare.lines(comparison)))
    elif scores.examples:
        console.write("\n".join(report.examples(scores)))
    if scores.skipped:
        count = "1 utterance" if len(scores.skipped) == 1 else f"{len(scores.skipped)} utterances"
        console.write(f"\nnot in these figures: {count} whose audio cannot be read, named in {out}/scores.json")
    say(f"{scores.seconds:.1f} s, real-time factor {scores.real_time_factor:.3f}; every utterance is in {out}")


def classifies(opened: OpenModel) -> bool:
    """Whether a model says classes, not text."""
    return getattr(opened.task, "learns", "text") == "label"


def refuse(given: dict[str, Any], why: str, model: str) -> None:
    """Raise `UsageError` for options that were given and do nothing here."""
    if said := [f"--{name}" for name, value in given.items() if value is not None]:
        what = "classifies" if "text" in why else "writes text"
        raise UsageError(f"{said[0]} {why}, and {model} {what}", help=f"leave out {', '.join(said)}")


def changed(
    decoding: Decoding,
    language: str | None,
    task: TaskName | None,
    num_beams: int | None,
    max_new_tokens: int | None,
    **more: Any,
) -> Decoding:
    """A checkpoint's decoding with what the command line sets; `--language auto` takes the language back."""
    given: dict[str, Any] = {"num_beams": num_beams, "max_new_tokens": max_new_tokens, **more}
    if task is not None:
        given["task"] = task
    changes = {key: value for key, value in given.items() if value is not None}
    if language is not None:
        changes["language"] = None if language == "auto" else language
    return dataclasses.replace(decoding, **changes)
