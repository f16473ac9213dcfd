"""The errors that people cause, as one tree, and the exit code each one ends a command with.

    VoxError                 1   anything a person can repair; printed without a traceback
    ├── UsageError           2   the command line asks for something that does not exist or does not fit
    ├── RecipeError          2   the recipe does not resolve; carries every problem found, not the first
    ├── PluginError          2   a plugin that the command needs is missing, broken or ambiguous
    ├── DataError            1   audio, transcripts or manifests that cannot be used
    ├── ModelError           1   a checkpoint that is missing, of another architecture, or does not fit the data
    └── TrainingError        1   a run that had to stop: loss not finite, out of memory, disk full

Everything else that is raised is a defect of voxcli or of a plugin and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxcli.api import Finding
    from voxcli.recipe.where import Key, Place

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class VoxError(Exception):
    """A problem with its repair: `message` says what was found and expected, `help` what to do about it."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class UsageError(VoxError):
    """The command line asks for something that does not exist or does not fit."""

    exit_code = EXIT_USAGE


class RecipeError(VoxError):
    """A recipe that does not resolve: `findings` holds every problem, `places` where each key was set."""

    exit_code = EXIT_USAGE

    def __init__(
        self,
        message: str,
        *,
        help: str | None = None,
        findings: Sequence[Finding] = (),
        places: Mapping[Key, Place] | None = None,
    ) -> None:
        super().__init__(message, help=help)
        self.findings = tuple(findings)
        self.places = dict(places or {})


class PluginError(VoxError):
    """A plugin that the command needs is missing, broken or ambiguous."""

    exit_code = EXIT_USAGE


class DataError(VoxError):
    """Audio, transcripts or manifests that cannot be used."""


class ModelError(VoxError):
    """A checkpoint that is missing, of another architecture, or that does not fit the data."""


class TrainingError(VoxError):
    """A run that had to stop. `utterances` names the ids of the batch it stopped at."""

    def __init__(self, message: str, *, help: str | None = None, utterances: Sequence[str] = ()) -> None:
        super().__init__(message, help=help)
        self.utterances = tuple(utterances)
