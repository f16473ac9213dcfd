"""What the trials of one plugin share: the report, the components, a folder, small audio and models."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import voxcli
from voxcli.contract.report import Level, Remark, Report, Trial
from voxcli.contract.rules import RAISES, UNTRIED, Rule
from voxcli.contract.target import Target
from voxcli.errors import RecipeError, VoxError
from voxcli.plugins.registry import Registration, Registry
from voxcli.progress import NULL, Progress

PLUGIN = "plugin"


@dataclass
class Component:
    """One component that a plugin registers."""

    registration: Registration
    cls: Any
    given: Mapping[str, Any] = field(default_factory=dict)
    """Example keys."""
    source: Path | None = None
    """What an exporter exports or an engine opens: the example key `checkpoint` or `model`."""
    made: Any = None
    """The component with these keys, where it can be made."""

    @property
    def kind(self) -> str:
        """ "dataset", "augmentation" …"""
        return self.registration.kind

    @property
    def label(self) -> str:
        """ "augmentation/gain", as reports and `examples` call it."""
        return f"{self.kind}/{self.registration.name}"


@dataclass
class Outcome:
    """What came of a trial."""

    raised: bool = False


@dataclass
class Bench:
    """Where the components of one plugin are tried."""

    target: Target
    report: Report
    registry: Registry
    """The built-in components and those of the plugin."""
    folder: Path
    """For what trials write; empty at first."""
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """ "KIND/NAME" -> example keys."""
    progress: Progress = NULL

    def remark(
        self,
        component: Component | None,
        rule: Rule,
        found: str,
        *,
        expected: str = "",
        repair: str = "",
        level: Level | None = None,
    ) -> None:
        """Keep what is not as a rule expects; the rule says what is expected and the repair unless they are given."""
        label = component.label if component is not None else PLUGIN
        self.remark_of(label, rule, found, expected=expected, repair=repair, level=level)

    def remark_of(
        self,
        label: str,
        rule: Rule,
        found: str,
        *,
        expected: str = "",
        repair: str = "",
        level: Level | None = None,
    ) -> None:
        """The same for a component that is known by its label alone. Nothing is said twice."""
        one = Remark(level or rule.level, label, rule.name, found, expected or rule.expected, repair or rule.repair)
        self.report.add(one)

    def untried(self, component: Component, why: str, *, repair: str = "") -> None:
        """Keep that nothing is known of a component, or of a part of its contract."""
        self.remark(component, UNTRIED, why, repair=repair or self.how_to_give(component))

    def how_to_give(self, component: Component, keys: str = "...") -> str:
        """The repair where example keys are missing."""
        return (
            f'check_plugin(..., examples={{"{component.label}": {{{keys}}}}}), '
            f"or `example: ClassVar[dict[str, Any]] = {{{keys}}}` in {component.cls.__name__}"
        )

    @contextlib.contextmanager
    def trial(self, component: Component | None, what: str) -> Iterator[Outcome]:
        """Try something: keep how long it took. What the plugin raises is a remark, and the outcome says so."""
        outcome = Outcome()
        begin = time.perf_counter()
        label = component.label if component is not None else PLUGIN
        try:
            yield outcome
        except (Exception, SystemExit) as error:  # third-party code: what it raises is what is asked for
            outcome.raised = True
            self.remark(component, RAISES, f"{what}: {said(error)}")
        finally:
            self.report.tried.append(Trial(label, what, time.perf_counter() - begin))


def example_of(cls: Any) -> Mapping[str, Any]:
    """The example keys that a class has; none where `example` is one of its own keys, or anything else."""
    found = getattr(cls, "example", None)
    keys = {one.name for one in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    return found if isinstance(found, Mapping) and "example" not in keys else {}


def said(error: BaseException) -> str:
    """What an error says, and the line of the plugin that it comes from."""
    text = " ".join(str(error).split()) or "no message"
    text = text if len(text) < 400 else f"{text[:400]}…"
    help = f" (help: {error.help})" if isinstance(error, VoxError) and error.help else ""
    at = place(error)
    if isinstance(error, RecipeError):
        text = "; ".join([text, *(one.message for one in error.findings[:3])])
    return f"{type(error).__name__}: {text}{help}{f', at {at}' if at else ''}"


def place(error: BaseException) -> str:
    """File and line of the innermost code that is neither voxcli's own nor a library's; of any code where there is
    none."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith("<")]
    ours = str(Path(voxcli.__file__).parent / "contract")
    frames = [one for one in frames if not one.filename.startswith(ours)]
    own = [one for one in frames if not _of_a_library(one.filename)]
    best = (own or frames)[-1:]
    return f"{best[0].filename}:{best[0].lineno}" if best else ""


def _of_a_library(filename: str) -> bool:
    library = str(Path(traceback.__file__).parent)
    return filename.startswith((library, str(Path(voxcli.__file__).parent))) or "/site-packages/" in filename
