"""What `vox doctor` and a recipe's checks have to say: a finding, the repair it proposes, the contract of a check.

Part of `voxcli.api`, which is where plugins import them from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")

About = Literal["machine", "plugins", "recipe", "data", "audio", "memory", "run", "checkpoint"]
ABOUT: tuple[About, ...] = ("machine", "plugins", "recipe", "data", "audio", "memory", "run", "checkpoint")
"""What a check looks at, in the order in which checks run and are shown: the cheap ones first."""


@dataclass(frozen=True)
class Fix:
    """A repair that `vox doctor --fix` can make: edits of the recipe, utterances to leave out, or both."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    """Dotted key -> new value: {"train.warmup_steps": 0.1, "adapter": {"type": "lora", "r": 8}}; None removes the key
    or the table."""
    leave_out: tuple[str, ...] = ()
    """Lines for the list that `[filter] exclude` names: the id of an utterance, or id, tab and the split it leaves."""


@dataclass(frozen=True)
class Finding:
    """Something worth telling: what, where, and the repair."""

    level: Level
    message: str
    """One line: what was found and what was expected."""
    help: str | None = None
    """One line: the repair."""
    code: str = ""
    """The check that found it, for example R004; filled in where a check yields it."""
    path: tuple[str | int, ...] = ()
    """The recipe key it belongs to, for example ("augment", 0, "p")."""
    utterances: tuple[str, ...] = ()
    """Ids, all of them; the screen shows the first few."""
    fix: Fix | None = None
    where: str = ""
    """The place where it is no key of a recipe: a file, a file and line, "step 312"."""


@runtime_checkable
class Check(Protocol):
    """One thing `vox doctor` looks for. A light class without arguments, in a file of its own.

    Its docstring is what `vox explain CODE` prints and what stands in the documentation: a first line that says what is
    wrong where the check finds something, then paragraphs that begin with "Why:", "Repair:" and "Sources:". Optional
    beyond what is below: `before_training: ClassVar[bool]`; True for a check that takes milliseconds, reads no audio
    and no weights, and is worth making before every `vox train`.
    """

    code: ClassVar[str]
    """Letters and a number. voxcli has M, P, R, D, A, S, T and C; a plugin takes letters of its own: "ACME001"."""
    name: ClassVar[str]
    """The problem, not the cure, in lower-case words joined by hyphens: "duration-over-window"."""
    about: ClassVar[About]
    """What it looks at: decides for which subjects it is made."""

    def run(self, context: Context) -> Iterator[Finding]:
        """Yield what is wrong; nothing when all is well. What `context` cannot provide ends the check quietly."""
        ...
