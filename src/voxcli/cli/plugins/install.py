"""`vox plugins install` and `uninstall`: pip or uv of the running environment, and then a look at what came.

Installing is the command, so nothing is asked; what will run is said first, and `--dry-run` only says it.
"""

from __future__ import annotations

import json as json_module
import shlex
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.cli import console
from voxcli.errors import EXIT_FAILED, EXIT_OK, UsageError, VoxError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the command that would run, and run nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def install(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Names, `vox-x==1.2`, folders, wheels or git URLs.", show_default=False),
    ] = None,
    editable: Annotated[
        list[str] | None,
        typer.Option(
            "--editable", "-e", metavar="FOLDER", help="Install a folder so that its edits count; repeatable."
        ),
    ] = None,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", "-U", help="Take the newest version, also where one is there.")
    ] = False,
    reinstall: Annotated[
        bool, typer.Option("--reinstall", help="Install anew what is there already, without what it needs.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Install plugins, and say what they bring.

    Into the running environment: by its own pip, or uv where it has none. The command is said before it runs. A plugin
    runs with your rights: install those you trust.

    \b
    vox plugins install vox-lm
    vox plugins install 'vox-lm==0.1.*' git+https://github.com/ada/vox-tapes
    vox plugins install -e ./vox-mine
    """
    from voxcli.plugins import choices, installing

    wanted, folders = list(names or ()), list(editable or ())
    if not wanted and not folders:
        raise UsageError("install what?", help="vox plugins install NAME, a wheel, a git URL, or -e FOLDER")
    asked = {name for one in [*wanted, *folders] if (name := installing.name_of(one)) is not None}
    for name in sorted(asked):
        _refuse_other_names(name)
    chosen = installing.installer()
    command = chosen.install(wanted, editable=folders, upgrade=upgrade, reinstall=reinstall)
    if dry_run:
        console.write(shlex.join(command))
        return EXIT_OK
    installing.check_environment(chosen)
    before = installing.installed()
    console.say(f"running: {shlex.join(command)}")
    installing.run(command, console.say)
    after = installing.installed()
    brought = installing.changed(before, after)
    if any(installing.name_of(one) is None for one in [*wanted, *folders]):
        asked |= installing.from_urls(brought)
    installing.note_unasked(chosen, brought, asked)
    looked = [_looked(after[name][0], changed=after[name][0] in brought) for name in sorted(asked) if name in after]
    for one in installing.unmet([after[name][0] for name in ("voxcli", *sorted(asked)) if name in after], after):
        console.say(f"warning: {one}")
    along = [one for one in brought if choices.same(one.metadata["Name"]) not in asked]
    held = [one.metadata["Name"] for one in along if _is_plugin(one)]
    if json:
        console.write_json({"command": command, "installed": looked, "held": held})
    else:
        _tell(looked, held)
    return EXIT_OK if looked and all(_works(one) for one in looked) else EXIT_FAILED


def uninstall(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Plugins, or the distributions that bring them.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: DryRun = False,
) -> int:
    """Uninstall plugins, after asking."""
    from voxcli.plugins import choices, installing
    from voxcli.plugins.find import plugins_called
    from voxcli.plugins.manager import manager

    found: dict[str, str] = {}
    for name in names:
        if choices.same(name) == "voxcli":
            raise UsageError("voxcli is no plugin of its own", help="`pip uninstall voxcli`, if that is what you want")
        for plugin in plugins_called(manager().plugins, name):
            if plugin.file is not None:
                raise UsageError(f"{plugin.file} is a file, and not installed", help="leave `--plugin` out")
            found[plugin.distribution] = plugin.version
    chosen = installing.installer()
    command = chosen.uninstall(list(found))
    if dry_run:
        console.write(shlex.join(command))
        return EXIT_OK
    for distribution, needed_by in installing.needed_by(found).items():
        console.say(f"warning: {', '.join(needed_by)} needs {distribution}")
    listed = ", ".join(f"{distribution} {version}" for distribution, version in found.items())
    if not yes:
        if not console.answers():
            raise UsageError("uninstall asks first, and nobody is there to answer", help="add --yes")
        if not typer.confirm(f"uninstall {listed}?", err=True):
            console.say("nothing was uninstalled")
            return EXIT_FAILED
    installing.check_environment(chosen)
    console.say(f"running: {shlex.join(command)}")
    installing.run(command, console.say, done="uninstalled")
    there = installing.installed()
    left = [there[name][0] for one in found if (name := choices.same(one)) in there]
    if left:
        folders = ", ".join(f"{one.metadata['Name']} in {one.locate_file('')}" for one in left)
        raise VoxError(
            f"{chosen.name} left {folders}, which is not of this environment ({sys.prefix})",
            help="uninstall it with the Python that it belongs to, or take that folder off PYTHONPATH",
        )
    console.write(f"uninstalled {listed}")
    return EXIT_OK


def _refuse_other_names(name: str) -> None:
    """Indexes have packages called `lm` and `ray`, which are something else than the plugins that bring these names."""
    from voxcli.plugins import known

    if name == "voxcli":
        raise UsageError("voxcli is no plugin of its own", help="`pip install --upgrade voxcli` brings a newer one")
    brings = sorted(
        {one for (_, called), distributions in known.shipped().items() if called == name for one in distributions}
    )
    brings = [one for one in brings if one != name]
    if brings:
        raise UsageError(
            f"'{name}' is what a plugin brings; the package called so on an index is something else",
            help=" or ".join(f"`vox plugins install {one}`" for one in brings),
        )


def _looked(distribution: Distribution, *, changed: bool) -> dict[str, Any]:
    """What `vox plugins info` says of it, in a process that sees the environment as it is now."""
    from voxcli.plugins import choices, locking

    name, version = distribution.metadata["Name"], distribution.version
    found: dict[str, Any] = {"distribution": name, "version": version, "changed": changed, "plugins": []}
    if not _is_plugin(distribution):
        return found
    found |= _info(name)
    held = [plugin["name"] for plugin in found["plugins"] if plugin["state"] == "held"]
    if held and locking.current() is None:  # it came as a dependency before, and now somebody asks for it
        choices.enable(*(choices.key(name, one) for one in held))
        found |= _info(name)
    return found


def _info(name: str) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "voxcli", "plugins", "info", name, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    try:
        found: dict[str, Any] = json_module.loads(done.stdout)
    except ValueError as error:
        raise VoxError(f"{name} is installed, and `vox plugins info {name}` fails", help="run it to see why") from error
    return found


def _tell(looked: Sequence[dict[str, Any]], held: Sequence[str]) -> None:
    """What came, one paragraph for each distribution."""
    for one in looked:
        who = f"{one['distribution']} {one['version']}"
        if not one["plugins"]:
            console.write(
                f"{who} is installed, and is no plugin: it has no entry point in the group voxcli"
                f"\n  pip uninstall {one['distribution']}   takes it away"
            )
            continue
        console.write(f"{who} {'is installed' if one['changed'] else 'was installed already'}")
        for plugin in one["plugins"]:
            if plugin["state"] != "ok":
                console.write(f"  plugin {plugin['name']} is {plugin['state']}: {plugin['reason']}")
            rows = [(part["kind"], part["name"], part["summary"]) for part in plugin["components"]]
            rows += [("command", f"vox {name}", help) for name, help in plugin["commands"].items()]
            rows += [("hook", name, "") for name in plugin["hooks"] if name not in ("vox_register", "vox_commands")]
            if rows:
                console.write("\n".join(f"  {line}" for line in console.table(("", "", ""), rows).split("\n")[1:]))
    for name in held:
        console.write(
            f"{name} came with it and is held, as nobody asked for it: `vox plugins enable {name}` lets it run"
        )


def _works(one: dict[str, Any]) -> bool:
    return bool(one["plugins"]) and all(plugin["state"] in ("ok", "disabled") for plugin in one["plugins"])


def _is_plugin(distribution: Distribution) -> bool:
    return any(point.group == "voxcli" for point in distribution.entry_points)
