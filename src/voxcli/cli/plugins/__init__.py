"""`vox plugins`: what is installed, what is broken, what to do about it. One sub-command a file."""

from __future__ import annotations

import typer

from voxcli.cli.plugins.list import list_

app = typer.Typer(help="Show what is installed, and what is broken.", no_args_is_help=True)


@app.callback()
def plugins() -> None:
    """Show what is installed, and what is broken."""


app.command("list")(list_)
