"""`vox plugins`: what is installed, what is broken, what to do about it. One sub-command a file."""

from __future__ import annotations

import typer

from voxcli.cli.plugins.check import check
from voxcli.cli.plugins.choose import disable, enable
from voxcli.cli.plugins.info import info
from voxcli.cli.plugins.install import install, uninstall
from voxcli.cli.plugins.list import list_
from voxcli.cli.plugins.lock import lock
from voxcli.cli.plugins.new import new

app = typer.Typer(help="Show what is installed, and what is broken.", no_args_is_help=True)


@app.callback()
def plugins() -> None:
    """Show what is installed, and what is broken."""


app.command("list")(list_)
app.command("info")(info)
app.command("check")(check)
app.command("install")(install)
app.command("uninstall")(uninstall)
app.command("disable")(disable)
app.command("enable")(enable)
app.command("lock")(lock)
app.command("new")(new)
