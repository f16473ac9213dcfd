"""`--locked` on a command line -> the lock that it means: that of the run it names, or the project's.

A run's `lock.json` says what the run was made with; `vox-plugins.lock` of the working directory, or beside the recipe,
what the project uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from voxcli.errors import UsageError
from voxcli.plugins.locking import FILE, RUN_FILE, holds_lock


def lock_for(arguments: Sequence[str]) -> Path:
    """The lock of a command line without the file's name. Raises `UsageError` where there is none."""
    paths = list(_paths(arguments))
    for path in paths:
        if (run := _run(path)) is not None:
            return run
    places = list(dict.fromkeys([Path.cwd(), *(path.parent.resolve() for path in paths if path.suffix == ".toml")]))
    for place in places:
        if (place / FILE).is_file():
            return place / FILE
    raise UsageError(
        f"--locked: there is no {FILE} in {' or in '.join(map(str, places))}, and no run with a {RUN_FILE} is named",
        help="`vox plugins lock` writes it; --locked=FILE names another",
    )


def _paths(arguments: Sequence[str]) -> Iterator[Path]:
    """What the command line names that exists; of `--option=PATH` the path."""
    for argument in arguments:
        text = argument.partition("=")[2] if argument.startswith("--") else argument
        if text and not text.startswith("-"):
            path = Path(text).expanduser()
            try:
                there = path.exists()
            except OSError:  # too long for a path: a text
                continue
            if there:
                yield path


def _run(path: Path) -> Path | None:
    """The run that a folder is or lies in: RUN, RUN/best, RUN/checkpoints/step-100. A run's recipe means its run."""
    resolved = path.resolve()
    for folder in (resolved, *list(resolved.parents)[:2]):
        if (folder / "recipe.toml").is_file() and holds_lock(folder):
            return folder
    return None
