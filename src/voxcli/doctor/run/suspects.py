"""Utterances of a step that was not finite -> which of them cannot be learned from, and why.

Only for runs whose log names no culprit: their data are opened once more by the recipe that the run recorded. Where
that fails (another machine, data that moved) nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxcli.doctor.context import Context, Unavailable
from voxcli.doctor.run.record import Record
from voxcli.doctor.subject import Subject
from voxcli.errors import VoxError
from voxcli.train.folder import RECIPE

MOST = 64
"""Utterances that are read; a step has seldom more, and each takes milliseconds."""


def suspects(record: Record, ids: Sequence[str]) -> list[tuple[str, str, str]]:
    """(id, cause, reason) of utterances with a fault of their own."""
    quiet = Context(Subject(("recipe",), record.path.name, record.path / RECIPE))
    try:
        return list(_found(quiet, ids[:MOST]))
    except (Unavailable, VoxError, OSError, ImportError, ValueError, KeyError):
        return []


def _found(context: Context, ids: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    from voxcli.audio.decode import read_utterance
    from voxcli.plugins.manager import manager
    from voxcli.train.causes import of_samples

    table, wanted = context.data.listed("train"), set(ids)
    task = manager().registry.load("task", context.recipe.task_name)()
    limits = context.limits
    try:
        bundle = context.bundle
    except Unavailable:
        bundle = None
    rows = [row for row, name in enumerate(table.ids) if name in wanted]
    for row in rows:
        utterance = table.utterance(row)
        try:
            audio = read_utterance(utterance, limits.sampling_rate, name=utterance.id)
        except VoxError as error:
            yield utterance.id, "audio-not-finite" if "not numbers" in error.message else "unknown", error.message
            continue
        seconds = len(audio) / limits.sampling_rate
        if found := of_samples(audio):
            yield utterance.id, found.cause, found.text
        elif why := task.problem(utterance.replace(duration=seconds), limits, bundle):
            yield utterance.id, "ctc-infeasible" if "frames" in why else "unknown", why
