"""The `vox` command: the table of its commands, and the one place that turns an error into text and an exit code.

A command's module is imported when the command runs or its help is asked, so that `vox --help` costs no imports.
Commands of plugins (`vox_commands`) are known from the index of plugins; one that is asked for imports its plugin.
"""

from __future__ import annotations

import errno
import functools
import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

import voxcli
from voxcli.cli import console
from voxcli.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, RecipeError, UsageError, VoxError
from voxcli.plugins.commands import SETTINGS, command_of

if TYPE_CHECKING:
    from voxcli.plugins.manager import Plugin

log = logging.getLogger(__name__)

COMMANDS = {
    "doctor": ("voxcli.cli.doctor:doctor", "Say what is wrong, where, and what to change."),
    "suggest": ("voxcli.cli.suggest:suggest", "Rank checkpoints for a language, hours of data and a GPU."),
    "explain": ("voxcli.cli.explain:explain", "Say what a check of `vox doctor` looks for, why, and the repair."),
    "plan": ("voxcli.cli.plan:plan", "Say whether a recipe fits a device's memory, and what would."),
    "augment": ("voxcli.cli.augment:app", "Hear and see what a recipe's augmentations do."),
    "data": ("voxcli.cli.data:app", "Count what a data set holds, and leave out what is wrong with it."),
    "train": ("voxcli.cli.train:train", "Train a model as a recipe says."),
    "evaluate": ("voxcli.cli.evaluate:evaluate", "Score a model on a data set."),
    "align": ("voxcli.cli.align:align", "Find where each letter of a text is spoken."),
    "transcribe": ("voxcli.cli.transcribe:transcribe", "Turn audio files into text."),
    "classify": ("voxcli.cli.classify:classify", "Say what audio files are: their classes."),
    "features": ("voxcli.cli.features:features", "Write log-mel, MFCC, spectrograms or embeddings to a file."),
    "export": ("voxcli.cli.export:export", "Write a trained model in another format."),
    "recipe": ("voxcli.cli.recipe:app", "Check, show, list and write recipes."),
    "plugins": ("voxcli.cli.plugins:app", "Show what is installed, and what is broken."),
}
"""name -> (where it lives, its line in `vox --help`)"""

GLOBAL_FLAGS = ("--verbose", "-v", "-vv", "--quiet", "-q", "--locked")


class Commands(TyperGroup):
    """The group `vox`: its commands are looked up in `COMMANDS`, then among those that plugins add."""

    _of_plugins: dict[str, tuple[str, Plugin]] | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *self.of_plugins()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return self._of_plugin(cmd_name)
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return command_of(cmd_name, getattr(importlib.import_module(module), attribute))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = {}
        if args[0] not in COMMANDS and self._of_plugin(args[0]) is None:
            _say_who_brings(args[0])
            names: dict[str, Any] = dict.fromkeys([*COMMANDS, *self.of_plugins()])
            self.commands = names  # what close matches are taken from
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        if found := self.of_plugins():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, help) for name, (help, _) in found.items()])

    def of_plugins(self) -> dict[str, tuple[str, Plugin]]:
        """name -> (its line of help, its plugin): no installed plugin is imported for it."""
        if self._of_plugins is None:
            from voxcli.plugins.manager import manager

            self._of_plugins = {}
            for name, (help, plugin) in manager().commands().items():
                if name in COMMANDS:
                    log.warning("%s adds a command '%s', which is a name of vox itself: left out", plugin.title, name)
                else:
                    self._of_plugins[name] = help, plugin
        return self._of_plugins

    @functools.cache  # noqa: B019  one group a process
    def _of_plugin(self, name: str) -> Any:
        """The command of a plugin, which is imported now; None where no plugin adds it."""
        from voxcli.plugins.manager import manager

        if name not in self.of_plugins():
            manager().complete(thorough=True)
            self._of_plugins = None
        found = self.of_plugins().get(name)
        return manager().command(name, found[1]) if found is not None else None


def _say_who_brings(name: str) -> None:
    """Raise `UsageError` where a package is known to bring the command."""
    from voxcli.plugins.known import COMMAND, distributions_of, repair
    from voxcli.plugins.manager import manager

    if distributions_of(COMMAND, name, manager().plugins):
        raise UsageError(f"there is no command '{name}' here", help=repair(COMMAND, name, manager().plugins))


def _version(asked: bool) -> None:
    if asked:
        print(f"voxcli {voxcli.__version__}")
        raise typer.Exit


def _plugins(paths: list[Path] | None) -> None:
    """Before the command is looked up: it may be one of the file's."""
    if paths:
        from voxcli.plugins.manager import use_files

        use_files(paths, console.say)


def _locked(context: typer.Context, source: str | None) -> None:
    """Before any plugin is imported. The lock may be that of a run which the command line, `context.obj`, names."""
    if source is not None and context.obj is not None:
        from voxcli.cli.locked import lock_for
        from voxcli.plugins import locking

        locking.use(Path(source).expanduser() if source else lock_for(context.obj))


def _verbose(times: int) -> None:
    if times:
        console.start(verbosity=times)


def _quiet(asked: bool) -> None:
    if asked:
        console.start(verbosity=-1)


def vox(
    plugin: Annotated[
        list[Path] | None,
        typer.Option(
            "--plugin",
            metavar="FILE.py",
            callback=_plugins,
            is_eager=True,
            help="Load a one-off plugin file; repeatable.",
        ),
    ] = None,
    locked: Annotated[
        str | None,
        typer.Option(
            "--locked",
            metavar="[=FILE]",
            callback=_locked,
            is_eager=True,
            show_default=False,
            help="Run no plugin but those of the run, of vox-plugins.lock or of FILE.",
        ),
    ] = None,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            callback=_verbose,
            is_eager=True,
            show_default=False,
            help="Say more; twice for all.",
        ),
    ] = 0,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", callback=_quiet, is_eager=True, help="Errors and results only."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Fine-tune, pre-train, diagnose and run speech and audio models from one recipe.

    The options below may stand before or after the command.
    """


def _group() -> Any:
    app = typer.Typer(
        cls=Commands,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
        no_args_is_help=True,
    )
    app.callback()(vox)
    return typer.main.get_group(app)


def hoisted(arguments: Sequence[str]) -> list[str]:
    """Move the global options before the command, so that they may be written after it too.

    What follows the command of a plugin is left to that command.
    """
    rest = list(arguments)
    plugins: list[str] = []
    flags: list[str] = []
    while rest and rest[0].startswith("-") and rest[0] != "--":
        (plugins if rest[0].startswith("--plugin") else flags).extend(_option(rest))
    if rest and rest[0] not in COMMANDS:
        return [*plugins, *_valued(flags), *rest]
    kept: list[str] = []
    while rest and rest[0] != "--":
        if rest[0].startswith("--plugin"):
            plugins += _option(rest)
        else:
            (flags if rest[0].partition("=")[0] in GLOBAL_FLAGS else kept).append(rest.pop(0))
    return [*plugins, *_valued(flags), *kept, *rest]


def _valued(flags: list[str]) -> list[str]:
    """`--locked` without a file takes an empty one, so that the parser does not take the next word for it."""
    return ["--locked=" if flag == "--locked" else flag for flag in flags]


def _option(rest: list[str]) -> list[str]:
    """Take an option off the front, with its value where it has one."""
    has_value = rest[0] == "--plugin" and len(rest) > 1
    taken, rest[:] = rest[: 1 + has_value], rest[1 + has_value :]
    return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `vox` and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    console.start()
    try:
        return _run(given)
    except VoxError as error:
        _tell(error, as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _closed()
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        _tell(VoxError(what), as_json=as_json)
        return EXIT_FAILED


def _run(given: list[str]) -> int:
    try:
        result = _group()(hoisted(given), prog_name="vox", standalone_mode=False, obj=given)
        sys.stdout.flush()
    except typer.Abort:
        return EXIT_FAILED
    except _usage_errors() as error:
        error.show()  # type: ignore[attr-defined]
        code: int = error.exit_code  # type: ignore[attr-defined]
        return code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_FAILED if end.code else EXIT_OK
    return result if isinstance(result, int) else EXIT_OK


def _usage_errors() -> type[Exception]:
    """What typer raises for a wrong command line; typer 0.28 brings its own copy of click, so it is found by name."""
    return next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def _closed() -> int:
    """The reader of our output went away (`vox … | head`): end quietly."""
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(silent, stream.fileno())  # so that flushing at exit does not raise again
        except (OSError, ValueError):
            continue
    return EXIT_FAILED


def _tell(error: VoxError, *, as_json: bool) -> None:
    """An error and its repair on stderr."""
    found: tuple[Any, ...] = getattr(error, "findings", ())
    if as_json:
        content = {"type": type(error).__name__, "message": error.message, "help": error.help}
        if isinstance(error, RecipeError):
            from voxcli.recipe import render

            content["findings"] = render.findings_json(found, error.places)  # type: ignore[assignment]
        print(json.dumps({"error": content}, ensure_ascii=False), file=sys.stderr)
        return
    if isinstance(error, RecipeError) and found:
        from voxcli.recipe import render

        print(render.findings(found, error.places), file=sys.stderr)
        if len(found) > 1:
            print(f"\n{error.message}", file=sys.stderr)
        if error.help and error.help not in [one.help for one in found]:
            print(f"  = help: {error.help}", file=sys.stderr)
        return
    print(f"error: {error.message}", file=sys.stderr)
    if error.help:
        print(f"  = help: {error.help}", file=sys.stderr)
