"""T101: a run that met the end of its memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import LITTLE_LEFT, OUTLYING_CLIP
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record

WORDS = ("out of memory", "outofmemory", "memoryerror", "bad_alloc", "can't allocate memory", "cannot allocate memory")
WHERE = {"forward": "forward pass", "backward": "backward pass", "optimizer": "optimizer's step"}
GIB = 2**30


class OutOfMemory:
    """Memory ran out: in a step, in an evaluation, or so that the system ended the process.

    Why: a run of voxcli goes on with the batch in halves, but each failed attempt costs a step, and clips that do not
    fit alone are lost to the training. One long clip is often enough: every other clip of its batch is padded to its
    length. Where the system runs out (not the GPU), it ends the process without a word.

    Repair: the edit that is named, the cheapest first: smaller batches with more accumulation (the same mean gradient),
    then gradient checkpointing, mixed precision, an adapter, a quantised base. `vox plan RECIPE` says beforehand what
    fits.

    Sources: docs/train.md, "When memory runs out"; docs/memory.md. Threads where one clip was the cause: fairseq 2633,
    NeMo 5230, espnet 5652, wenet 260.
    """

    code: ClassVar[str] = "T101"
    name: ClassVar[str] = "out-of-memory"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Incidents of steps, of evaluations, an end by an error, a process that was ended."""
        record = context.record
        found = [one for one in record.incidents if one.get("incident") == "memory"]
        error = _error(record)
        steps = [one for one in found if one.get("where") not in ("evaluation", "optimizer")]
        if steps:
            yield _of_steps(record, steps, error)
        elif error:
            names = tuple(str(one) for one in error.get("utterances") or ())
            message = f"the run ended for want of memory: {error.get('message') or error.get('type')}"
            help = str(error.get("help") or "`vox plan` with this run's recipe says what fits")
            yield Finding("error", message, help, utterances=names, where=f"step {record.last_step}")
        if others := [one for one in found if one.get("where") == "optimizer"]:
            yield _of_optimizer(record, others)
        if others := [one for one in found if one.get("where") == "evaluation"]:
            yield _of_evaluation(record, others)
        if record.status == "crashed" and not error:
            yield from _killed(record)


def _error(record: Record) -> dict[str, Any]:
    """What the run ended with, where that was memory."""
    error = record.ends[-1].get("error") if record.status == "error" and record.ends else None
    if not isinstance(error, dict):
        return {}
    said = f"{error.get('type')} {error.get('message')}".lower()
    return error if any(word in said for word in WORDS) else {}


def _of_steps(record: Record, found: list[dict[str, Any]], error: dict[str, Any]) -> Finding:
    first = found[0]
    alone = sorted(
        {str(one["utterances"][0]) for one in found if one.get("goes_on") == "without it" and one.get("utterances")}
    )
    names = [str(name) for name in first.get("utterances") or ()]
    durations = [float(value) for value in first.get("durations") or ()]
    longest, culprits = max(durations, default=0.0), names
    if len(durations) == len(names) > 1:
        middle = sorted(durations)[(len(durations) - 1) // 2]
        outlying = [name for name, one in zip(names, durations, strict=True) if one >= OUTLYING_CLIP * middle]
        culprits = outlying or names
    count = first.get("n_utterances") or len(names)
    place = WHERE.get(str(first.get("where")), "step")
    parts = [f"step {first['step']}: out of memory in the {place} of {count} utterances"]
    if count == 1 and names:
        parts = [f"step {first['step']}: out of memory in the {place} of one utterance of {longest:.1f} s, {names[0]}"]
    elif isinstance(first.get("padded_seconds"), int | float):
        padding = float(first.get("padding") or 0)
        parts.append(f"{first['padded_seconds']:.0f} s of padded audio, {padding:.0%} of it padding")
        if durations and len(durations) == len(names):
            parts.append(f"the longest {longest:.1f} s ({names[durations.index(longest)]})")
    message = ", ".join(parts)
    others = len({one["step"] for one in found}) - 1
    if len(found) > 1:
        message += f"; {len(found)} times in all, in {others + 1} {'step' if others == 0 else 'steps'}"
    if error:
        message += ", and the run ended"
    elif alone:
        who = f"{alone[0]} was" if len(alone) == 1 else f"{len(alone)} utterances were"
        message += f". {who} left out of the training, too large even alone"
    else:
        message += ". The run went on with the batch in parts, and the gradient is the same"
    shorter = (
        f"cut or leave out what is that long (filter.max_duration={longest / 2:.0f}); " if alone and longest > 2 else ""
    )
    return Finding(
        "error" if error else "warning",
        message,
        shorter + str(error.get("help") or _advice(record, count=1 if alone else int(count or 1), longest=longest)),
        utterances=tuple(alone or culprits),
        where=f"step {first['step']}",
    )


def _advice(record: Record, *, count: int, longest: float) -> str:
    """The edit, as overrides of the recipe that the run was begun with."""
    from voxcli.recipe.schema import Adapter, Quantization, Train
    from voxcli.train.guard import ANOTHER_RUN, next_try

    def made(cls: type, name: str) -> Any:
        table = record.train if name == "train" else record.tables.get(name)
        known = getattr(cls, "__dataclass_fields__", {})
        return cls(**{key: value for key, value in table.items() if key in known}) if isinstance(table, dict) else None

    if record.trainer or not record.train:
        return "smaller batches with more gradient_accumulation_steps, then gradient checkpointing"
    ladder = next_try(
        made(Train, "train"), made(Adapter, "adapter"), made(Quantization, "quantization"), count=count, longest=longest
    )
    return f"{ladder}. {ANOTHER_RUN}"


def _of_optimizer(record: Record, found: list[dict[str, Any]]) -> Finding:
    optim = str(record.train.get("optim", "adamw_torch"))
    edit = 'train.optim="adamw_bnb_8bit": its states take a quarter' if "8bit" not in optim else "train a LoRA adapter"
    return Finding(
        "warning",
        f"step {found[0]['step']}: out of memory in the optimizer's step{_times(found)}",
        edit,
        where=f"step {found[0]['step']}",
    )


def _of_evaluation(record: Record, found: list[dict[str, Any]]) -> Finding:
    sizes = [float(one["padded_seconds"]) for one in found if isinstance(one.get("padded_seconds"), int | float)]
    lost = sum(one.get("goes_on") == "without it" for one in found)
    message = f"step {found[0]['step']}: out of memory in an evaluation{_times(found)}"
    if sizes:
        message += f", the smallest batch {min(sizes):.0f} s of padded audio"
    message += f"; {lost} clips are in no score" if lost else "; it went on in halves, with the same result"
    half = max(1.0, min(sizes) / 2) if sizes else None
    edit = f"evaluate.batch_duration={half:.0f}" if half else "a smaller evaluate.batch_duration"
    return Finding("warning", message, f"{edit}; --resume takes it", where=f"step {found[0]['step']}")


def _times(found: list[dict[str, Any]]) -> str:
    return f", {len(found)} times in all" if len(found) > 1 else ""


def _killed(record: Record) -> Iterator[Finding]:
    """A process that ended without a word, with little memory left."""
    import numpy as np

    expected: dict[str, Any] = next((one["memory"] for one in record.memory if "usable" in one["memory"]), {})
    usable = expected.get("usable")
    if not isinstance(usable, int | float) or usable <= 0:
        return
    peaks = record.column("peak_bytes")
    peak = float(np.nanmax(peaks)) if np.isfinite(peaks).any() else 0.0
    predicted = expected.get("predicted")
    needed = float(predicted.get("needed") or 0) if isinstance(predicted, dict) else 0.0
    if max(peak, needed) < LITTLE_LEFT * usable:
        return
    what = f"it had taken {peak / GIB:.1f} GiB" if peak >= needed else f"its largest batch needs {needed / GIB:.1f} GiB"
    yield Finding(
        "error",
        f"the process was ended without a word after step {record.last_step}; {what}, and {expected.get('device')} has "
        f"{usable / GIB:.1f} GiB: probably the system ran out of memory and ended it",
        f"{_advice(record, count=2, longest=0.0)}; fewer train.dataloader_num_workers; `dmesg` names what was ended",
        where=f"step {record.last_step}",
    )
