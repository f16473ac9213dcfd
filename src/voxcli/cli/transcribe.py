"""`vox transcribe`: files, folders or standard input -> text, subtitles, tables or JSON."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from voxcli.cli import console
from voxcli.cli.decoder import Decoder, check, with_decoder
from voxcli.cli.engine import opened_by
from voxcli.cli.evaluate import BatchDuration, Beams, Device, EncoderContext, Language, TaskName, Tokens, changed
from voxcli.errors import EXIT_FAILED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from voxcli.api import Transcript
    from voxcli.transcribe.inputs import Source
    from voxcli.transcribe.run import Result

log = logging.getLogger(__name__)

Format = Literal["txt", "srt", "vtt", "tsv", "json", "all"]
Times = Literal["none", "segment", "word"]
LongAudio = Literal["sequential", "windows"]

Inputs = Annotated[
    list[str], typer.Argument(metavar="FILE... | FOLDER | -", help="Audio; a folder with all below it; - is stdin.")
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="MODEL", help="A run, a folder or a hub id; by default the newest run."),
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", help="The runtime: transformers, or a plugin's; by default that of an exported folder."),
]
EngineOptions = Annotated[
    list[str] | None,
    typer.Option("--engine-option", metavar="KEY=VALUE", help="A key of the engine: vad_filter=true. Repeatable."),
]


def transcribe(
    inputs: Inputs,
    model: Model = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="What to write.")] = "txt",
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", metavar="DIR", help="Write files into this folder.")
    ] = None,
    beside: Annotated[bool, typer.Option("--beside", help="Write each file beside its audio.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave out audio that has its files.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="With --beside: replace files that exist.")] = False,
    language: Language = None,
    task: Annotated[TaskName | None, typer.Option("--task", help="What a multilingual model does.")] = None,
    timestamps: Annotated[Times | None, typer.Option("--timestamps", help="What times the text comes with.")] = None,
    word_timestamps: Annotated[bool, typer.Option("--word-timestamps", help="The same as --timestamps word.")] = False,
    long_audio: Annotated[
        LongAudio | None,
        typer.Option("--long-audio", help="Whisper beyond 30 s: from text to text, or windows side by side (faster)."),
    ] = None,
    num_beams: Beams = None,
    max_new_tokens: Tokens = None,
    decoder: Decoder = None,
    encoder_context: EncoderContext = None,
    batch_duration: BatchDuration = 120.0,
    device: Device = None,
    engine: Engine = None,
    engine_option: EngineOptions = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file and line.")] = False,
) -> int:
    """Turn audio files into text: to the standard output, into a folder, or beside the audio.

    Times are asked of the model where the format shows them (srt, vtt, tsv, json). One bad file is reported and the
    others go on; the exit code is then 1.

    \b
    vox transcribe talk.mp3
    vox transcribe recordings/ --model runs/my-run --format srt --output-dir subtitles
    vox transcribe talk.mp3 --model runs/my-run --engine ctranslate2 --engine-option vad_filter=true
    """
    from voxcli.transcribe.default import newest_run
    from voxcli.transcribe.formats import TIMED, chosen
    from voxcli.transcribe.inputs import find

    sources = find(inputs, stdin=lambda: sys.stdin.buffer.read())
    check(decoder)
    plan = _Plan.of(sources, chosen(format), output_dir, beside, many=len(sources) > 1, json=json)
    plan.check(skip_existing=skip_existing, overwrite=overwrite)
    if not plan.todo:
        console.say(f"nothing to do: {plan.existing} of {len(sources)} have their files")
        return EXIT_OK
    readable = [source for source in plan.todo if source.audio is not None]
    if not readable:
        return _Report(plan, json=json).all_bad()
    if model is None:
        model = str(newest_run())
        console.say(f"model {model}, the newest run (--model chooses another)")

    times: Times | None = "word" if word_timestamps else timestamps
    if times is None and (json or set(plan.formats) & set(TIMED)):
        times = "segment"
    console.say(f"loading {model}")
    more = {} if encoder_context is None else {"encoder_context": encoder_context}
    opened = opened_by(engine, engine_option or [], model, device=device, batch_duration=batch_duration, **more)
    from voxcli.evaluate.report import describe
    from voxcli.transcribe.run import transcribe as run

    decoding = changed(
        opened.decoding, language, task, num_beams, max_new_tokens, timestamps=times, long_audio=long_audio
    )
    decoding = with_decoder(decoding, decoder)
    console.say(f"decoding: {describe(decoding)}")
    report = _Report(plan, json=json)
    for result in run(plan.todo, opened, decoding=decoding, progress=console.progress()):
        report.add(result)
    return report.end()


@dataclass
class _Plan:
    """Which sources are transcribed, and the files each is written to; without stems, the standard output."""

    todo: list[Source]
    formats: tuple[str, ...]
    stems: dict[str, Path]
    many: bool
    existing: int = 0
    beside: bool = False

    @classmethod
    def of(
        cls,
        sources: Sequence[Source],
        formats: tuple[str, ...],
        output_dir: Path | None,
        beside: bool,
        *,
        many: bool,
        json: bool,
    ) -> _Plan:
        from voxcli.transcribe import outputs

        if output_dir is not None and beside:
            raise UsageError("--output-dir and --beside exclude each other", help="choose one")
        good = [source for source in sources if source.audio is not None]
        stems: list[Path] = []
        if output_dir is not None:
            stems = outputs.under(output_dir, good)
        elif beside:
            stems = outputs.beside(good)
        elif not json and (len(formats) > 1 or (many and formats[0] not in ("txt", "json"))):
            what = "several formats" if len(formats) > 1 else f"{formats[0]} of several files"
            raise UsageError(f"{what} cannot share the standard output", help="use --output-dir DIR or --beside")
        places = {source.name: stem for source, stem in zip(good, stems, strict=False)}
        return cls(list(sources), formats, places, many, beside=beside)

    def check(self, *, skip_existing: bool, overwrite: bool) -> None:
        """Leave out what is done; refuse, before any work, what cannot be written or would replace a file."""
        from voxcli.transcribe import outputs

        present = {
            name: [path for path in outputs.files(stem, self.formats) if path.exists()]
            for name, stem in self.stems.items()
        }
        if skip_existing:
            done = {name for name, files in present.items() if len(files) == len(self.formats)}
            self.existing = len(done)
            self.todo = [source for source in self.todo if source.name not in done]
        elif self.beside and not overwrite and (there := [path for files in present.values() for path in files]):
            raise UsageError(
                f"{there[0]} exists already" + (f", and {len(there) - 1} more" if len(there) > 1 else ""),
                help="--skip-existing leaves those out, --overwrite replaces them (also transcripts made by hand)",
            )
        todo = {source.name for source in self.todo}
        outputs.require_writable(stem.parent for name, stem in self.stems.items() if name in todo)


class _Report:
    """Writes each result where it belongs, and counts."""

    def __init__(self, plan: _Plan, *, json: bool) -> None:
        self._plan = plan
        self._json = json
        self._good = self._bad = 0
        self._duration = 0.0
        self._begin = time.perf_counter()

    def add(self, result: Result) -> None:
        """One recording is done."""
        if result.transcript is None:
            self._refuse(result.source.name, str(result.problem), result.help)
            return
        name, transcript = result.source.name, result.transcript
        self._good += 1
        self._duration += transcript.duration
        if (stem := self._plan.stems.get(name)) is not None:
            self._write(name, transcript, stem)
        elif not self._json:
            self._show(name, transcript)
        if self._json:
            self._line(name, transcript)

    def _write(self, name: str, transcript: Transcript, stem: Path) -> None:
        from voxcli.transcribe import outputs

        try:
            written = outputs.write(transcript, stem, self._plan.formats)
        except OSError as error:
            self._good -= 1
            self._refuse(
                name, f"{error.filename or stem}: {error.strerror or error}", "make room, then --skip-existing"
            )
            return
        if not self._json:
            console.say(f"{name} -> {', '.join(map(str, written))}")

    def _show(self, name: str, transcript: Transcript) -> None:
        from voxcli.transcribe.formats import FORMATS

        format = self._plan.formats[0]
        if format == "json":
            self._line(name, transcript)
        elif self._plan.many:
            console.write(f"{name}\n{FORMATS[format](transcript)}\n")
        else:
            console.write(FORMATS[format](transcript))

    def _line(self, name: str, transcript: Transcript) -> None:
        import json

        from voxcli.transcribe.formats import as_json

        console.write(json.dumps({"path": name, **as_json(transcript)}, ensure_ascii=False))

    def _refuse(self, name: str, problem: str, help: str | None) -> None:
        self._bad += 1
        log.error(problem + (f"\n  = help: {help}" if help else ""))
        if self._json:
            import json

            console.write(json.dumps({"path": name, "error": problem}, ensure_ascii=False))

    def all_bad(self) -> int:
        """None of the sources is there: say so without loading a model."""
        for source in self._plan.todo:
            self._refuse(source.name, f"{source.name}: {source.problem}", None)
        return EXIT_FAILED

    def end(self) -> int:
        """The last line, and the exit code."""
        seconds = time.perf_counter() - self._begin
        files = "1 file" if self._good == 1 else f"{self._good} files"
        parts = [f"{files}, {console.clock(self._duration)} of audio in {seconds:.1f} s"]
        if self._duration:
            parts.append(f"real-time factor {seconds / self._duration:.3f}")
        if self._plan.existing:
            parts.append(f"{self._plan.existing} left out, they have their files")
        if self._bad:
            parts.append(f"{self._bad} could not be transcribed")
        console.say(", ".join(parts))
        return EXIT_FAILED if self._bad else EXIT_OK
