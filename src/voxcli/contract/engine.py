"""An engine opened on a tiny checkpoint, or on what its exporter makes of one: three clips, and folders of nothing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Classification, Decoding, Transcript
from voxcli.contract import material
from voxcli.contract.bench import Bench, Component, example_of, said
from voxcli.contract.documentation import try_documentation
from voxcli.contract.keys import try_table
from voxcli.contract.rules import Rule, rule
from voxcli.errors import ModelError, VoxError

if TYPE_CHECKING:
    import numpy as np

DURATIONS = (1.3, 0.01, 2.2)
"""s of the three clips; the second is shorter than any model's first layers."""
TOKENS = 12
"""Longest output, in tokens: weights are random, and their texts without end."""


def _rule(name: str, expected: str, repair: str, **more: Any) -> Rule:
    return rule("engine", name, expected, repair, **more)


UNKNOWN = _rule("unknown-model", "`open` raises ModelError for what it cannot open", "raise ModelError(..., help=...)")
ATTRIBUTES = _rule("attributes", "`sampling_rate` in Hz, and `decoding`, a `voxcli.api.Decoding`", "set both in `open`")
ANSWERS = _rule(
    "answers",
    "as many answers as recordings, in their order: a Transcript, a Classification, or None where memory runs out",
    "return one for each, the shortest too: silence behind a clip makes it long enough",
)
DURATION = _rule(
    "duration", "each answer has the duration of its recording in s", "Transcript(..., duration=…)", level="note"
)
TIMES = _rule("times", "segments and words in order, within the recording", "clip their times to the duration")
NONE = _rule("no-recordings", "an empty answer where there are no recordings", "return []")
SEEDED = _rule("not-deterministic", "the same texts for the same recordings", "no sampling", level="note")


OPTIONS = _rule(
    "options",
    "where there is a class `options`, `open` has the keyword `options`: the KEY=VALUE of `--engine-option`",
    "def open(cls, name, *, device=None, batch_duration=120.0, options=None), and options: ClassVar[type] = Options",
)


def try_engine(bench: Bench, component: Component) -> None:
    """All of it, with the first model that it opens."""
    if not callable(getattr(component.cls, "open", None)):
        bench.remark(component, UNKNOWN, f"{component.cls.__name__} has no class method `open`")
        return
    if (options := getattr(component.cls, "options", None)) is not None:
        _options(bench, component, options)
    with bench.trial(component, "folders that hold no model"):
        empty = bench.folder / "no-model"
        empty.mkdir(exist_ok=True)
        for name in (str(bench.folder / "not-there"), str(empty)):
            try:
                component.cls.open(name, device="cpu")
            except VoxError as error:
                if not isinstance(error, ModelError):
                    bench.remark(component, UNKNOWN, f"open({name!r}) raises {said(error)}")
            except Exception as error:  # third-party code: what it raises is what is asked for
                bench.remark(component, UNKNOWN, f"open({name!r}) raises {said(error)}")
            else:
                bench.remark(component, UNKNOWN, f"open({name!r}) opens something")
    with bench.trial(component, "opening a tiny model"):
        engine = _opened(bench, component)
    if engine is not None:
        _try_open(bench, component, engine)


def _options(bench: Bench, component: Component, options: Any) -> None:
    """Its keys, as those of a component."""
    if not inspect.isclass(options):
        bench.remark(component, OPTIONS, f"options is {options!r:.80}, no class")
        return
    parameters = inspect.signature(component.cls.open).parameters.values()
    if not any(one.name == "options" or one.kind is one.VAR_KEYWORD for one in parameters):
        bench.remark(component, OPTIONS, f"`open` of {component.cls.__name__} has no keyword `options`")
    keys = Component(component.registration, options, example_of(options))
    try_documentation(bench, keys)
    try_table(bench, keys)


def _opened(bench: Bench, component: Component) -> Any | None:
    refused = []
    for name, checkpoint in _models(component):
        try:
            folder = _exported(bench, component, name, checkpoint)
            return component.cls.open(folder, device="cpu")
        except VoxError as error:
            refused.append(f"{name}: {error.message}")
    bench.untried(component, f"it opens none of the tiny models: {'; '.join(refused)}", repair=_how(bench, component))
    return None


def _how(bench: Bench, component: Component) -> str:
    return bench.how_to_give(component, '"model": "FOLDER"')


def _models(component: Component) -> Iterator[tuple[str, Path]]:
    if component.source is not None:
        yield str(component.source), component.source
        return
    for name in ("whisper", "ctc", "classifier"):
        yield f"the tiny {name}", material.model(name)


def _exported(bench: Bench, component: Component, name: str, checkpoint: Path) -> Path:
    """The folder that the engine opens: its exporter's, where it has one and the checkpoint is no export already."""
    exporter = getattr(component.cls, "exporter", None)
    opens = getattr(component.cls, "opens", None)
    if exporter is None or (opens is not None and opens(checkpoint)):
        return checkpoint
    out = bench.folder / f"{component.registration.name}-{checkpoint.name}"
    out.mkdir()
    return Path(bench.registry.load("exporter", exporter)().export(checkpoint, out))


def _try_open(bench: Bench, component: Component, engine: Any) -> None:
    import dataclasses

    rate, decoding = getattr(engine, "sampling_rate", None), getattr(engine, "decoding", None)
    if isinstance(rate, bool) or not isinstance(rate, int) or rate <= 0 or not isinstance(decoding, Decoding):
        bench.remark(component, ATTRIBUTES, f"sampling_rate is {rate!r}, decoding is {decoding!r:.80}")
        return
    decoding = dataclasses.replace(decoding, max_new_tokens=TOKENS)
    clips = [material.clip(duration, rate) for duration in DURATIONS]
    with bench.trial(component, "three recordings"):
        found = _answers(bench, component, engine, clips, decoding)
    if found is None:
        return
    with bench.trial(component, "the same in another order"):
        again = _answers(bench, component, engine, clips[::-1], decoding)
        if again is not None and [one.duration for one in again] != [one.duration for one in found][::-1]:
            bench.remark(component, ANSWERS, "recordings in another order do not bring the answers in that order")
        if _said(engine.transcribe_batch(clips, decoding)) != _said(found):
            bench.remark(component, SEEDED, "other answers the second time")
    with bench.trial(component, "no recordings"):
        if len(engine.transcribe_batch([], decoding)) != 0:
            bench.remark(component, NONE, "there are some")


def _answers(
    bench: Bench, component: Component, engine: Any, clips: Sequence[np.ndarray], decoding: Decoding
) -> list[Any] | None:
    """The answers, looked at; None where they are not of the right form."""
    found = list(engine.transcribe_batch(clips, decoding))
    if len(found) != len(clips):
        bench.remark(component, ANSWERS, f"of {len(clips)} recordings there are {len(found)} answers")
        return None
    for one, clip in zip(found, clips, strict=True):
        duration = len(clip) / engine.sampling_rate
        if not isinstance(one, Transcript | Classification):
            bench.remark(component, ANSWERS, f"of a recording of {duration:g} s it says {one!r:.120}")
            return None
        if abs(one.duration - duration) > 1e-3:
            bench.remark(component, DURATION, f"of a recording of {duration:g} s it says {one.duration:g} s")
        if isinstance(one, Transcript):
            _times(bench, component, one, duration)
    return found


def _times(bench: Bench, component: Component, one: Transcript, duration: float) -> None:
    begin = 0.0
    for segment in one.segments:
        if not begin - 1e-3 <= segment.start <= segment.end <= duration + 0.05:
            bench.remark(component, TIMES, f"a segment from {segment.start:g} to {segment.end:g} s of {duration:g} s")
            return
        begin = segment.start


def _said(found: Sequence[Any]) -> list[Any]:
    return [getattr(one, "text", getattr(one, "chosen", None)) for one in found]
