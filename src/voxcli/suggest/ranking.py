"""Task, language, hours and memory -> checkpoints in order, each with a way to train it and the reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

from voxcli.suggest import catalogue
from voxcli.suggest.catalogue import WHISPER, WHISPER_GOOD, Known
from voxcli.suggest.footprint import FULL, METHODS, Method, least

LITTLE, MUCH = 2.0, 50.0
"""h. Below LITTLE what a model knows already decides; from MUCH on every weight can be trained. Rules of thumb."""


_FEW = 0.5
"""h of labelled recordings that an output layer can be learned from, and a whole encoder hardly."""


@dataclass(frozen=True)
class Suggestion:
    """One checkpoint and how to train it."""

    known: Known
    method: Method
    memory: float
    """Bytes, about, at the least."""
    fits: bool
    score: float
    reasons: tuple[str, ...] = field(default=())

    @property
    def command(self) -> str:
        """The first recipe."""
        task = {"whisper": "seq2seq", "classifier": "classification"}.get(self.known.family, self.known.family)
        return f"vox recipe new DATA --task {task} --checkpoint {self.known.name}"


def suggest(task: str, *, language: str | None, hours: float, memory: float | None) -> list[Suggestion]:
    """Every checkpoint for a task, the best first, those that do not fit last. `memory`: bytes; None is enough."""
    bare = None if language is None else language.replace("_", "-").partition("-")[0].lower()
    made = [_one(known, bare, hours, memory) for known in catalogue.of(task)]
    return sorted(made, key=lambda one: (not one.fits, -one.score, one.memory))


def _one(known: Known, language: str | None, hours: float, memory: float | None) -> Suggestion:
    method, fits = _method(known, hours, memory)
    score, reasons = known.rank, [f"heard {known.heard}"]
    for points, reason in (*_language(known, language, hours), *_hours(known, method, hours)):
        score += points
        reasons.append(reason)
    if known.licence:
        reasons.append(known.licence)
    return Suggestion(known, method, least(known, method), fits, score, tuple(reasons))


def _method(known: Known, hours: float, memory: float | None) -> tuple[Method, bool]:
    """The way that suits the data, among those that fit; the smallest where none does."""
    ways = METHODS[known.family]
    fitting = [one for one in ways if memory is None or least(known, one) <= memory]
    if not fitting:
        return min(ways, key=lambda one: least(known, one)), False
    careful = known.family == "whisper" and hours < MUCH
    frozen = known.family == "classifier" and hours < _FEW
    if careful or frozen:
        small = [one for one in fitting if one.name != FULL]
        return (small or fitting)[0], True
    return fitting[0], True


def _language(known: Known, language: str | None, hours: float) -> list[tuple[float, str]]:
    if language is None:
        return []
    if known.languages == "english":
        return [(0.5, "knows English sounds")] if language == "en" else [(-2.5, f"has never heard '{language}'")]
    if known.languages == "whisper" and known.supervised:
        if language in WHISPER_GOOD:
            return [(2.0, f"writes '{language}' well before any training")]
        if language in WHISPER:
            return [(0.5, f"has seen '{language}', too little to write it well")]
        return [(-3.0, f"has never written '{language}': every token has to be learned")]
    if known.languages == "many":
        more = 1.0 if language not in WHISPER_GOOD else 0.0
        return [(more, "its sounds are of many languages")] if known.family != "classifier" else []
    return []


def _hours(known: Known, method: Method, hours: float) -> list[tuple[float, str]]:
    large = known.parameters > 400
    found: list[tuple[float, str]] = []
    if known.family == "ctc" and not known.supervised:
        if hours < LITTLE:
            found.append((-2.0, f"{hours:g} h are little for an output layer that begins at nothing"))
        elif hours >= MUCH:
            found.append((1.5, f"{hours:g} h are enough to learn the spelling, and it transcribes fast"))
    if known.family == "whisper" and hours < LITTLE:
        found.append((0.5, f"needs little: {hours:g} h change its words, not its ears"))
    if method.name == FULL and large and hours < LITTLE:
        found.append((-1.0, "every weight of so many learns so few data by heart"))
    if known.family == "classifier" and method.name != FULL and hours >= _FEW:
        found.append((-1.5, "of it only the output layer can be trained there"))
    if known.family == "classifier" and large and hours < _FEW:
        found.append((-1.0, "large for so few data"))
    if known.family == "pretraining":
        enough = 10 if known.languages == "many" else 500
        note = f"{hours:g} h go further from its weights than from nothing"
        found.append((0.0, note) if hours >= enough else (-1.0, f"{hours:g} h are little for pre-training"))
    return found
