"""The `vox` command: the table of its commands, and the one place that turns an error into text and an exit code.

A command's module is imported when the command runs or its help is asked, so that `vox --help` costs no imports.
Commands of plugins (`vox_commands`) are loaded for `vox --help` and for a name that is not in the table.
"""

from __future__ import annotations

import errno
import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import voxcli
from voxcli.cli import console
from voxcli.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, RecipeError, VoxError

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

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
GLOBAL_FLAGS = ("--verbose", "-v", "-vv", "--quiet", "-q")


def command_of(name: str, target: Any, **settings: Any) -> Any:
    """The command that a function, or a `typer.Typer` of several, stands for."""
    if isinstance(target, typer.Typer):
        target.info.context_settings = SETTINGS
        target.rich_markup_mode = None
        command = typer.main.get_group(target)
    else:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name, context_settings=SETTINGS, **settings)(target)
        command = typer.main.get_command(app)  # type: ignore[assignment]
    command.name = name
    return command


class Commands(TyperGroup):
    """The group `vox`: its commands are looked up in `COMMANDS`, then among those of plugins."""

    _of_plugins: dict[str, Any] | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        return [*COMMANDS, *self.of_plugins()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return self.of_plugins().get(cmd_name)
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return command_of(cmd_name, getattr(importlib.import_module(module), attribute))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = dict.fromkeys(COMMANDS) | self.of_plugins() if args[0] not in COMMANDS else {}
        return super().resolve_command(ctx, args)  # `commands` is what close matches are taken from

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        if found := self.of_plugins():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in found.items()])

    def of_plugins(self) -> dict[str, Any]:
        """Commands that plugins add. One that cannot be built is named in a warning and left out."""
        if self._of_plugins is None:
            from voxcli.plugins.manager import manager

            added = typer.Typer()
            manager().call("vox_commands", app=added)
            self._of_plugins = {}
            for info in [*added.registered_commands, *added.registered_groups]:
                self._keep(info)
        return self._of_plugins

    def _keep(self, info: Any) -> None:
        target = getattr(info, "typer_instance", None) or info.callback
        where = getattr(target, "__module__", None) or "a plugin"
        try:
            of_group = getattr(getattr(target, "info", None), "name", None)
            name = info.name or of_group or target.__name__.replace("_", "-")
            if name in COMMANDS:
                log.warning("%s adds a command '%s', which is a name of vox itself: left out", where, name)
                return
            self._of_plugins[name] = command_of(name, target)  # type: ignore[index]
        except Exception as error:  # third-party code: its failure must not cost other commands
            log.warning("a command of %s cannot be used: %s: %s", where, type(error).__name__, error)


def _version(asked: bool) -> None:
    if asked:
        print(f"voxcli {voxcli.__version__}")
        raise typer.Exit


def _plugins(paths: list[Path] | None) -> None:
    """Before the command is looked up: it may be one of the file's."""
    if paths:
        from voxcli.plugins.manager import use_files

        use_files(paths)


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
        return [*plugins, *flags, *rest]
    kept: list[str] = []
    while rest and rest[0] != "--":
        if rest[0].startswith("--plugin"):
            plugins += _option(rest)
        else:
            (flags if rest[0] in GLOBAL_FLAGS else kept).append(rest.pop(0))
    return [*plugins, *flags, *kept, *rest]


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
        result = _group()(hoisted(given), prog_name="vox", standalone_mode=False)
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
