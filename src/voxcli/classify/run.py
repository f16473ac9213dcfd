"""Recordings -> classifications: audio is read ahead of the model, short recordings share its batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from voxcli.api import Classification, Engine
from voxcli.engines.transformers import TransformersEngine
from voxcli.errors import DataError, ModelError, UsageError
from voxcli.models.open import OpenModel
from voxcli.progress import NULL, Progress
from voxcli.tasks.classification import classification
from voxcli.tasks.classification_windows import aggregated, scored
from voxcli.transcribe.inputs import Source
from voxcli.transcribe.reading import groups

LOOK_AHEAD = 120.0  # s of audio that are read together and share batches


@dataclass(frozen=True)
class Window:
    """The classes of a stretch of a recording, s."""

    start: float
    end: float
    classification: Classification


@dataclass(frozen=True)
class Result:
    """What became of one recording: its classes, or the reason why there are none."""

    source: Source
    classification: Classification | None
    windows: tuple[Window, ...] = ()
    """In order; empty unless they were asked for."""
    problem: str | None = None
    help: str | None = None


def model_of(engine: Engine, name: str, asked: Mapping[str, object]) -> OpenModel | None:
    """The model behind an engine called `name`, which hears windows as well as recordings; None where it shows none.

    An engine shows it as `model`. Without it the engine's own classes of whole recordings are all there is: `asked` is
    what the command line wants beyond them, by the option's name. Raises `UsageError` where that is anything.
    """
    model = getattr(engine, "model", None)
    if isinstance(model, OpenModel):
        return model
    wanted = [option for option, value in asked.items() if value]
    if wanted:
        raise UsageError(
            f"the engine '{name}' hears whole recordings: {', '.join(wanted)} cannot be asked of it",
            help="leave it out, or --engine transformers",
        )
    return None


def adjusted(
    model: OpenModel,
    *,
    window: float | None = None,
    stride: float | None = None,
    aggregate: Literal["mean", "max"] | None = None,
    threshold: float | None = None,
) -> OpenModel:
    """The model with what the command line sets in place of its recipe's keys.

    Raises `ModelError` for a model that writes text, `UsageError` for windows that it cannot take.
    """
    family: Any = model.bundle.family
    if getattr(model.task, "learns", "text") != "label":
        raise ModelError("this model writes text: it has no classes", help="vox transcribe, or a classifier's --model")
    whole = dataclasses.replace(family, scored="whole").limits().max_duration
    if window is not None and window > whole:
        raise UsageError(f"--window {window:g}: the model takes {whole:g} s at a time", help=f"--window {whole:g}")
    if stride is not None and window is None and family.scored == "whole":
        raise UsageError("--stride is from window to window, and there are none", help="add --window 1.0 (s)")
    changes: dict[str, Any] = {"aggregate": aggregate, "threshold": threshold, "window_stride": stride}
    if window is not None:
        changes |= {"scored": "windows", "window_duration": window, "window_stride": stride or window}
    kept = {key: value for key, value in changes.items() if value is not None}
    return dataclasses.replace(model, bundle=model.bundle.replace(family=dataclasses.replace(family, **kept)))


def classify(
    sources: Iterable[Source],
    model: OpenModel | Engine,
    *,
    by_window: bool = False,
    threshold: float | None = None,
    batch_duration: float = 120.0,
    progress: Progress = NULL,
) -> Iterator[Result]:
    """Classify recordings, in order. One that cannot be read has a result with its problem; the others go on.

    `by_window`: say the classes of each window too; an engine that shows no model (`model_of`) cannot. `threshold`: a
    class below it does not count as chosen. Raises `ModelError` for an engine whose model writes text.
    """
    sources = list(sources)
    engine: Engine = model if not isinstance(model, OpenModel) else _engine(model, batch_duration)
    with progress.task("classifying", total=len(sources), unit="files") as bar:
        for group in groups(sources, sampling_rate=engine.sampling_rate, look_ahead=LOOK_AHEAD):
            clips = [audio for _, audio in group if not isinstance(audio, DataError)]
            found: list[Any] = [None] * len(clips)
            if not by_window and clips:
                found = list(engine.transcribe_batch(clips, engine.decoding))
            rest = iter(found)
            for source, audio in group:
                if isinstance(audio, DataError):
                    yield Result(source, None, problem=audio.message, help=audio.help)
                elif by_window and isinstance(model, OpenModel):
                    next(rest)
                    yield _in_windows(source, audio, model, threshold)
                elif (one := next(rest)) is None:
                    yield _too_large(source, len(audio) / engine.sampling_rate)
                elif not isinstance(one, Classification):
                    raise ModelError("this model writes text: it has no classes", help="vox transcribe, same --model")
                else:
                    yield Result(source, _above(one, threshold))
                bar.advance(1)


def _engine(model: OpenModel, batch_duration: float) -> Engine:
    made: Engine = TransformersEngine(model, batch_duration=batch_duration)
    return made


def _in_windows(source: Source, audio: np.ndarray, model: OpenModel, threshold: float | None) -> Result:
    bundle = model.bundle
    family: Any = bundle.family
    pieces = list(scored(model.task, bundle, audio))  # type: ignore[arg-type]
    windows = tuple(
        Window(start, end, _above(classification(scores, bundle, duration=end - start), threshold))
        for start, end, scores in pieces
    )
    whole = aggregated([scores for _, _, scores in pieces], family.aggregate)
    duration = len(audio) / bundle.processor.feature_extractor.sampling_rate
    return Result(source, _above(classification(whole, bundle, duration=duration), threshold), windows)


def _above(found: Classification, threshold: float | None) -> Classification:
    """The same; of one class at most, none is chosen where the first is below the threshold."""
    if threshold is None or len(found.chosen) != 1 or found.scores[0] >= threshold:
        return found
    return dataclasses.replace(found, chosen=())


def _too_large(source: Source, duration: float) -> Result:
    problem = f"{source.name}: {duration:.1f} s of audio do not fit the memory, even alone"
    return Result(source, None, problem=problem, help="--window 10 (s), or a device with more memory")
