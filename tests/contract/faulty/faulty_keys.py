"""Components whose keys, names and docstrings are wrong, one fault each. What they are called says which."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from voxcli.api import config, hookimpl


class Sound:
    """What an augmentation has to have, so that nothing else is found."""

    def __call__(self, audio, sampling_rate, rng):
        return audio.copy()

    def longest(self, duration):
        return duration


@config
class Undocumented(Sound):
    p: float = 1.0
    """Share of the utterances."""


@config
class Silent(Sound):
    """A key without a word."""

    p: float = 1.0
    """Share of the utterances."""
    mode: str = "soft"


@config
class Unitless(Sound):
    """A quantity of what?"""

    p: float = 1.0
    """Share of the utterances."""
    delay: float = 0.5
    """How late it comes."""


@config
class Meaningless(Sound):
    """A number of nothing."""

    p: float = 1.0
    """Share of the utterances."""
    strongness: float = 0.5
    """More is stronger."""


class Ordinary(Sound):
    """No dataclass at all."""

    p = 1.0


@dataclass(frozen=True)
class Lenient(Sound):
    """Takes every key."""

    p: float = 1.0
    """Share of the utterances."""


@config
class Loose(Sound):
    """Takes every type."""

    p: float = 1.0
    """Share of the utterances."""
    mode: str | float | bool | list | dict = "soft"
    """How it is done."""


@config
class Vague(Sound):
    """Says nothing of the type."""

    p: float = 1.0
    """Share of the utterances."""
    mode: Any = "soft"
    """How it is done."""


@config
class BadExample(Sound):
    """Its own example does not fit."""

    example: ClassVar[dict[str, Any]] = {"p": "often"}

    p: float = 1.0
    """Share of the utterances."""


@config
class Crashing(Sound):
    """Looks its key up without care."""

    p: float = 1.0
    """Share of the utterances."""
    mode: str = "soft"
    """soft or hard"""

    def __post_init__(self):
        {"soft": 1, "hard": 2}[self.mode]


@config
class Talking(Sound):
    """Its findings are text."""

    p: float = 1.0
    """Share of the utterances."""

    def findings(self):
        yield "p is odd"


@config
class Doubling(Sound):
    """Changes what it was given."""

    p: float = 0.1
    """Share of the utterances."""

    def __post_init__(self):
        object.__setattr__(self, "p", 2 * self.p)


@config
class Unequal(Sound):
    """Is never the same."""

    p: float = 1.0
    """Share of the utterances."""

    def __eq__(self, other):
        return self is other

    __hash__ = object.__hash__


@config
class Unpicklable(Sound):
    """Keeps a function."""

    p: float = 1.0
    """Share of the utterances."""
    shape: Any = field(default_factory=lambda: None, init=False, repr=False)
    """Of the curve."""

    def __post_init__(self):
        object.__setattr__(self, "shape", lambda x: x)


@config
class Needy(Sound):
    """Nobody knows what to give it."""

    root: str
    """Folder of recordings."""
    p: float = 1.0
    """Share of the utterances."""


@config
class Failing(Sound):
    """Divides by zero."""

    p: float = 1.0
    """Share of the utterances."""

    def __call__(self, audio, sampling_rate, rng):
        return audio / (1 // 0)


@config
class Fine(Sound):
    """Nothing is wrong with it but its name."""

    p: float = 1.0
    """Share of the utterances."""


@hookimpl
def vox_register(registry):
    for cls in (
        *(Undocumented, Silent, Unitless, Meaningless, Ordinary, Lenient, Loose, Vague, BadExample, Crashing),
        *(Talking, Doubling, Unequal, Unpicklable, Needy, Failing),
    ):
        registry.add("augmentation", cls.__name__.lower(), f"{__name__}:{cls.__name__}", summary="a fault")
    registry.add("augmentation", "Snake_Case", f"{__name__}:Fine", summary="a fault")
    registry.add("augmentation", "noise", f"{__name__}:Fine", summary="a fault")
    registry.add("augmentation", "gone", f"{__name__}:Gone", summary="a fault")
    registry.add("augmentation", "quiet", f"{__name__}:Fine")
