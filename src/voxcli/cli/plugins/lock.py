"""`vox plugins lock`: the plugins of a project, by name, version and hash, in a file that `--locked` holds them to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voxcli.cli import console
from voxcli.errors import EXIT_FAILED, EXIT_OK, RecipeError, UsageError

if TYPE_CHECKING:
    from voxcli.plugins.locking import Difference, Lock
    from voxcli.plugins.manager import Manager, Plugin

NO_RECIPES = ("pyproject.toml",)


def lock(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(metavar="RECIPE...", help="By default every recipe in this folder.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write here; vox-plugins.lock by default.", show_default=False),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every plugin that runs here, whatever the recipes name.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing: say whether the lock holds, exit code 1 if not.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Write down which plugins a project uses.

    Name, version and a hash of the files of those whose components the recipes name, and of those that listen to every
    run. `--locked`, with any command, then refuses a plugin that is not in the lock or differs from it, before any of
    its code runs.

    \b
    vox plugins lock
    vox plugins lock --check
    vox train mine.toml --locked
    """
    from voxcli.plugins import locking
    from voxcli.plugins.manager import manager

    if all_ and recipes:
        raise UsageError("--all and recipes are two selections", help="leave one of them out")
    file = out if out is not None else Path(locking.FILE)
    before = locking.read(file) if check else None
    loaded = manager()
    loaded.wait()
    used = _runnable(loaded) if all_ else _used(loaded, _recipes(recipes or ()))
    if before is None:
        made = locking.lock_of(used, file)
        _write(file, locking.text(made))
        return _written(made, json=json)
    return _checked(before, used, loaded, json=json)


def _write(file: Path, text: str) -> None:
    """The whole lock or nothing. Raises `UsageError` where it cannot be written."""
    from voxcli.plugins import locking

    if file.is_dir():
        raise UsageError(f"{file} cannot be written: it is a folder", help=f"--out {file / locking.FILE}")
    beside = file.with_name(f".{file.name}.partial")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(
            f"{file} cannot be written: {error.strerror}", help="--out names a file in a folder"
        ) from error


def _recipes(given: Sequence[str]) -> list[str]:
    """Those that were named, or the TOML files here that are recipes. Raises `UsageError` where there is none."""
    if given:
        return list(given)
    found = [str(path) for path in sorted(Path.cwd().glob("*.toml")) if path.name not in NO_RECIPES]
    found = [Path(path).name for path in found if _is_recipe(Path(path))]
    if not found:
        raise UsageError(f"there is no recipe in {Path.cwd()}", help="name some, or --all for every plugin that runs")
    return found


def _is_recipe(path: Path) -> bool:
    """Whether a TOML file is meant to be one. What cannot be read is taken for one, so that it is named."""
    from voxcli.recipe.load import read
    from voxcli.recipe.schema import SECTIONS

    try:
        return bool({"extends", "stage", *SECTIONS} & set(read(path).values))
    except RecipeError:
        return True


def _used(loaded: Manager, recipes: Iterable[str]) -> list[Plugin]:
    """The plugins that the recipes use, parents and stages included. Raises what is wrong with one of them."""
    from voxcli.errors import PluginError
    from voxcli.recipe.load import load
    from voxcli.recipe.problems import Problems
    from voxcli.recipe.used import plugins

    found: list[Plugin] = []
    for recipe in recipes:
        problems = Problems()
        tables = load(recipe, (), problems)
        if problems.errors:
            raise RecipeError(
                f"{recipe} does not resolve",
                help=problems.errors[0].help,
                findings=problems.errors,
                places=tables.places,
            )
        try:
            used = plugins(tables.values, loaded)
        except PluginError as error:
            raise PluginError(f"{recipe}: {error.message}", help=error.help) from error
        found += [one for one in used if one not in found]
    return found


def _runnable(loaded: Manager) -> list[Plugin]:
    return [one for one in loaded.plugins if one.state == "ok"]


def _written(made: Lock, *, json: bool) -> int:
    from voxcli.plugins import locking

    if json:
        console.write_json({"lock": str(made.source), "plugins": locking.entries(made)})
        return EXIT_OK
    rows = [(one.name, one.version, (one.hash or "")[:19]) for one in made.plugins]
    if rows:
        console.write(console.table(("plugin", "version", "hash"), rows))
    console.say(f"wrote {made.source}: {_count(made)}")
    return EXIT_OK


def _count(lock: Lock) -> str:
    number = len(lock.plugins)
    return f"{number} {'plugin' if number == 1 else 'plugins'}" if number else "nothing but voxcli's own components"


def _checked(before: Lock, used: Sequence[Plugin], loaded: Manager, *, json: bool) -> int:
    """Every difference between the lock and what is installed, and what the recipes use and it lacks."""
    differences = _differences(before, used, loaded)
    if json:
        rows = [{"plugin": one.name, "message": one.message, "help": one.help} for one in differences]
        console.write_json({"lock": str(before.source), "holds": not rows, "differences": rows})
    elif differences:
        console.write("\n".join(f"{one.message}\n  = help: {one.help}" for one in differences))
    else:
        console.write(f"{before.source} holds: {_count(before)}")
    return EXIT_FAILED if differences else EXIT_OK


def _differences(before: Lock, used: Sequence[Plugin], loaded: Manager) -> list[Difference]:
    from voxcli.plugins.choices import same

    names = {same(one.name) for one in before.plugins if not one.is_file}
    there = [one for one in loaded.plugins if one.file is None and same(one.distribution) in names]
    asked = {id(one): one for one in [*there, *used]}
    found = {one.name: one for plugin in asked.values() if (one := before.difference(plugin)) is not None}
    return sorted([*found.values(), *before.missing(loaded.plugins)], key=lambda one: one.name)
