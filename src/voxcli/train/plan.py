"""What a run would do, counted and not done: for `--dry-run`, and for the line a run begins with."""

from __future__ import annotations

import dataclasses
from typing import Any

from voxcli.data.batches import padding_of, padding_share
from voxcli.data.filters import Drop
from voxcli.data.mixing import counted as mixed
from voxcli.data.windows import size_of
from voxcli.train.device import describe
from voxcli.train.prepare import Ingredients


def plan(made: Ingredients) -> dict[str, Any]:
    """The plan as a JSON-able table."""
    recipe, splits = made.recipe, made.splits
    first = made.batching.epoch(0, made.world)
    padded = padding_of(recipe.model, made.limits)
    parameters = list(made.bundle.model.parameters())
    return {
        "name": recipe.name,
        "model": recipe.model_type,
        "task": recipe.task_name,
        "device": describe(made.device),
        "processes": made.world,
        "parameters": {
            "total": made.limits.n_parameters or sum(one.numel() for one in parameters),
            "trained": sum(one.numel() for one in parameters if one.requires_grad),
        },
        "splits": {
            name: {"utterances": len(table), "duration": round(table.duration, 1)}
            for name, table in (("train", splits.train), ("validation", splits.validation))
        },
        "changes": [dataclasses.asdict(change) for change in splits.changes],
        "drops": [drop_table(drop) for drop in splits.drops],
        "characters": len(splits.corpus.characters),
        "unknown_characters": {name: dict(found) for name, found in splits.unknown_characters.items() if found},
        "mix": mixed(made.batching.mix, splits.train.origins, splits.train.durations, recipe.weights),
        "stream": {"window": size} if (size := size_of(recipe.data)) else None,
        "batches": {
            "per_epoch": len(first),
            "utterances": round(sum(map(len, first)) / max(len(first), 1), 1),
            "padding": round(padding_share(splits.train.durations, first, padded=padded), 4),
        },
        "steps": {
            "total": made.length.total_steps,
            "per_epoch": made.length.steps_per_epoch,
            "epochs": round(made.length.total_steps / made.length.steps_per_epoch, 2),
            "warmup": made.length.warmup_steps,
            "between_evaluations": made.length.eval_steps,
            "between_checkpoints": made.length.save_steps,
        },
        "optimizer": {key: getattr(recipe.train, key) for key in ("optim", "learning_rate", "lr_scheduler_type")},
        "metrics": list(made.metrics),
        "decoding": dataclasses.asdict(recipe.decoding()),
    }


def lines(counted: dict[str, Any]) -> list[str]:
    """The plan for a person."""
    parameters, batches, steps = counted["parameters"], counted["batches"], counted["steps"]
    share = parameters["trained"] / max(parameters["total"], 1)
    decoding = ", ".join(f"{key} {value}" for key, value in counted["decoding"].items() if value not in (None, "none"))
    optimizer = counted["optimizer"]
    rows = [
        ("model", f"{counted['model']} ({counted['task']})"),
        ("parameters", f"{parameters['trained']:,} trained of {parameters['total']:,} ({share:.1%})"),
        ("device", f"{counted['device']}" + (f" x {counted['processes']}" if counted["processes"] > 1 else "")),
    ]
    rows += [
        (name, f"{split['utterances']:,} utterances, {clock(split['duration'])}")
        for name, split in counted["splits"].items()
    ]
    if len({one["weight"] for one in counted["mix"]}) > 1:
        for one in counted["mix"]:
            taken = f"{one['an_epoch']:,} of {one['utterances']:,} utterances an epoch"
            said = f"weight {one['weight']:g}: {taken}, {clock(one['seconds_an_epoch'])}, {one['share']:.0%}"
            rows.append((f"data.{one['number']}", said))
    if counted["stream"]:
        size = counted["stream"]["window"]
        rows.append(
            ("stream", f"read as it comes, {size:,} rows at a time; here an epoch is the first of these windows")
        )
    for one in counted["changes"]:
        seconds = f"{clock(one['before'])} -> {clock(one['after'])}"
        rows.append(("changed", f"{one['count']:,} of {one['split']}, {seconds}: {one['what']}"))
    for drop in counted["drops"]:
        examples = ", ".join(drop["examples"])
        rows.append(
            (
                "dropped",
                f"{drop['count']:,} of {drop['split']}, {clock(drop['duration'])}: {drop['reason']} ({examples})",
            )
        )
    for split, characters in counted["unknown_characters"].items():
        shown = " ".join(f"{character!r} x{count}" for character, count in list(characters.items())[:12])
        rows.append(("unknown", f"characters of {split} that training never shows: {shown}"))
    rows += [
        (
            "batches",
            f"{batches['per_epoch']:,} an epoch, about {batches['utterances']} utterances each, "
            f"{batches['padding']:.1%} padding",
        ),
        (
            "steps",
            f"{steps['total']:,} = {steps['epochs']} epochs of {steps['per_epoch']:,}, {steps['warmup']:,} warm-up",
        ),
        (
            "pauses",
            f"evaluation every {steps['between_evaluations']:,} steps, "
            f"checkpoint every {steps['between_checkpoints']:,}",
        ),
        (
            "optimizer",
            f"{optimizer['optim']}, learning_rate {optimizer['learning_rate']:g}, {optimizer['lr_scheduler_type']}",
        ),
        ("metrics", ", ".join(counted["metrics"])),
        *([] if counted["task"] == "classification" else [("decoding", decoding)]),
    ]
    return [f"{name:<11} {text}" for name, text in rows]


def clock(seconds: float) -> str:
    """A duration: 3.2 s, 4:05 min, 2:03:04 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02} h" if hours else f"{rest // 60}:{rest % 60:02} min"


def drop_table(drop: Drop) -> dict[str, Any]:
    return {
        "split": drop.split,
        "reason": drop.reason,
        "count": drop.count,
        "duration": round(float(drop.duration), 1),
        "examples": list(drop.examples),
    }
