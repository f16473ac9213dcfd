"""`vox classify`: files, folders or standard input -> their classes with probabilities."""

from __future__ import annotations

import json as json_module
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from voxcli.cli import console, imports
from voxcli.cli.engine import opened_by
from voxcli.cli.evaluate import BatchDuration, Device
from voxcli.cli.transcribe import Engine, EngineOptions, Inputs, Model
from voxcli.errors import EXIT_FAILED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from voxcli import api
    from voxcli.models.open import OpenModel

log = logging.getLogger(__name__)

Format = Literal["txt", "tsv", "json"]
Aggregate = Literal["mean", "max"]


def classify(
    inputs: Inputs,
    model: Model = None,
    top_k: Annotated[int, typer.Option("--top-k", min=0, help="How many classes to show; 0 shows all.")] = 5,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="Leave out classes less probable than this, 0 to 1.")
    ] = None,
    window: Annotated[
        float | None, typer.Option("--window", metavar="S", help="Hear recordings in windows of so many s.")
    ] = None,
    stride: Annotated[
        float | None, typer.Option("--stride", metavar="S", help="s from window to window; by default they touch.")
    ] = None,
    aggregate: Annotated[
        Aggregate | None,
        typer.Option("--aggregate", help="How windows become one: mean, or max for what is heard once."),
    ] = None,
    by_window: Annotated[bool, typer.Option("--by-window", help="Show the classes of each window too.")] = False,
    format: Annotated[Format, typer.Option("--format", "-f", help="What to write.")] = "txt",
    batch_duration: BatchDuration = 120.0,
    device: Device = None,
    engine: Engine = None,
    engine_option: EngineOptions = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json: an object a file and line.")] = False,
) -> int:
    """Say what audio files are: their classes.

    The most probable ones of each file, by a classifier that was trained here or elsewhere. Recordings beyond the
    model's window are heard in windows whose probabilities are aggregated. One bad file is reported and the others go
    on; the exit code is then 1.

    \b
    vox classify bark.wav --model runs/animals
    vox classify recordings/ --top-k 1 --format tsv
    vox classify night.flac --window 2 --by-window --threshold 0.8
    vox classify recordings/ --model runs/animals --engine onnx
    """
    from voxcli.transcribe.default import newest_run
    from voxcli.transcribe.inputs import find

    _check(threshold, window, stride)
    sources = find(inputs, stdin=lambda: sys.stdin.buffer.read())
    readable = [source for source in sources if source.audio is not None]
    if readable and model is None:
        model = str(newest_run())
        console.say(f"model {model}, the newest run (--model chooses another)")
    report = _Report("json" if json else format, top_k, threshold)
    if not readable:
        for source in sources:
            report.refuse(source.name, f"{source.name}: {source.problem}", None)
        return EXIT_FAILED
    console.say(f"loading {model}")
    from voxcli.classify.run import adjusted
    from voxcli.classify.run import classify as run
    from voxcli.models.open import OpenModel

    asked = {"--window": window, "--stride": stride, "--aggregate": aggregate, "--by-window": by_window}
    opened = _opened(engine, engine_option or [], str(model), asked=asked, device=device, batch_duration=batch_duration)
    if isinstance(opened, OpenModel):
        opened = adjusted(opened, window=window, stride=stride, aggregate=aggregate, threshold=threshold)
        names = opened.bundle.processor.labels.names
        console.say(f"{len(names)} classes: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}")
    report.begin()
    for result in run(
        sources,
        opened,
        by_window=by_window,
        threshold=threshold,
        batch_duration=batch_duration,
        progress=console.progress(),
    ):
        report.add(result)
    return report.end()


def _opened(
    engine: str | None,
    options: Sequence[str],
    model: str,
    *,
    asked: Mapping[str, object],
    device: str | None,
    batch_duration: float,
) -> OpenModel | api.Engine:
    """The model, also that behind an engine of a plugin; or the engine, where it shows none."""
    from voxcli.export.origin import DEFAULT, engine_of, require_openable

    name = engine or engine_of(model)
    if name == DEFAULT:
        require_openable(model, name, None)
        from voxcli.models.open import open_model

        if options:
            raise UsageError(f"the engine '{name}' takes no options", help="leave --engine-option out")
        imports.libraries()
        return open_model(model, device=device)
    runtime = opened_by(name, options, model, device=device, batch_duration=batch_duration)
    from voxcli.classify.run import model_of

    return model_of(runtime, name, asked) or runtime


def _check(threshold: float | None, window: float | None, stride: float | None) -> None:
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise UsageError(f"--threshold {threshold:g} is no probability", help="0 to 1, for example 0.5")
    for name, value in (("window", window), ("stride", stride)):
        if value is not None and not 0.0 < value < float("inf"):
            raise UsageError(f"--{name} {value:g}: expected s above 0", help=f"--{name} 1.0")


class _Report:
    """Writes each result, and counts."""

    def __init__(self, format: Format, top_k: int, threshold: float | None) -> None:
        self._format, self._top_k, self._threshold = format, top_k, threshold
        self._good = self._bad = 0
        self._duration = 0.0
        self._begin = time.perf_counter()
        if format == "tsv":
            console.write("\t".join(("path", "start", "end", "label", "score", "chosen")))

    def begin(self) -> None:
        """The model is loaded."""
        self._begin = time.perf_counter()

    def add(self, result: object) -> None:
        """One recording is done."""
        from voxcli.classify.formats import FORMATS
        from voxcli.classify.run import Result

        assert isinstance(result, Result)
        if result.classification is None:
            self.refuse(result.source.name, str(result.problem), result.help)
            return
        self._good += 1
        self._duration += result.classification.duration
        for line in FORMATS[self._format](result, top_k=self._top_k, threshold=self._threshold):
            console.write(line)

    def refuse(self, name: str, problem: str, help: str | None) -> None:
        """One that could not be classified."""
        self._bad += 1
        log.error(problem + (f"\n  = help: {help}" if help else ""))
        if self._format == "json":
            console.write(json_module.dumps({"path": name, "error": problem}, ensure_ascii=False))

    def end(self) -> int:
        """The last line, and the exit code."""
        seconds = time.perf_counter() - self._begin
        files = "1 file" if self._good == 1 else f"{self._good} files"
        parts = [f"{files}, {console.clock(self._duration)} of audio in {seconds:.1f} s"]
        if self._bad:
            parts.append(f"{self._bad} could not be classified")
        console.say(", ".join(parts))
        return EXIT_FAILED if self._bad else EXIT_OK
