"""What `vox evaluate` does with a classifier: a report for people, or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Split
from voxcli.cli import console
from voxcli.errors import ModelError

if TYPE_CHECKING:
    from voxcli.evaluate.classes import ClassScores
    from voxcli.evaluate.target import Target
    from voxcli.models.open import OpenModel


def evaluate_classes(
    opened: OpenModel,
    model: str,
    of: Target,
    split: Split,
    *,
    baseline: str | None,
    out: Path,
    json: bool,
    settings: dict[str, Any],
) -> None:
    """Score a classifier, and a second one beside it. `settings`: batch_duration, num_workers, worst, device."""
    from voxcli.cli.evaluate import classifies
    from voxcli.data.corpus import clock
    from voxcli.evaluate import class_compare, class_report
    from voxcli.evaluate.class_run import evaluate as run
    from voxcli.evaluate.target import split_of
    from voxcli.models.open import open_model

    progress = console.progress()
    device = settings.pop("device")
    table, notes = split_of(of, split, text=opened.text, labels=True, progress=progress)
    for note in notes:
        console.say(note)

    def score(one: OpenModel, name: str, out: Path) -> ClassScores:
        facts = {"model": name, "checkpoint": str(one.folder or name), "data": of.name, "split": split, "notes": notes}
        classes = len(one.bundle.processor.labels.names)
        console.say(f"{name} on {of.name}, {split}: {len(table)} utterances, {classes} classes")
        return run(one, table, facts=facts, out=out, progress=progress, **settings)

    scores = score(opened, model, out)
    changes = None
    if baseline is not None:
        del opened
        other = open_model(baseline, device=device)
        if not classifies(other):
            raise ModelError(f"{baseline} writes text, and {model} classifies", help="compare with a classifier")
        changes = class_compare.compare(
            score(other, baseline, out.parent / f"{out.name}-baseline-{Path(baseline).name}"), scores
        )
    if json:
        facts: dict[str, Any] = {"model": model, "data": of.name, "split": split, "folder": str(out)}
        compared = {} if changes is None else {"baseline": {"model": baseline, **class_compare.as_json(changes)}}
        console.write_json({**facts, **scores.as_json(), **compared})
        return
    console.write(f"model     {model}")
    console.write(f"data      {of.name}, {split}: {len(scores.clips)} utterances, {clock(scores.duration)}")
    console.write("")
    console.write("\n".join(class_report.lines(scores)))
    if changes is not None:
        console.write(f"\nbefore: {baseline}\nafter:  {model}")
        console.write("\n".join(class_compare.lines(changes)))
    if scores.skipped:
        count = "1 utterance" if len(scores.skipped) == 1 else f"{len(scores.skipped)} utterances"
        console.write(f"\nnot in these figures: {count} whose audio cannot be read, named in {out}/scores.json")
    console.say(f"{scores.seconds:.1f} s, real-time factor {scores.real_time_factor:.3f}; every utterance is in {out}")
