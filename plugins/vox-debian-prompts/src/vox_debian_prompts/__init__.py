"""A voxcli plugin: the data set `debian-prompts`, and `vox debian-prompts fetch`, which downloads its packages.

Reading order: prompts (the keys of `[[data]]`), places (where the files are), deb (what is in a package), texts (what
is said), recordings (how it sounds), commands.
"""

from __future__ import annotations

from typing import Any

from voxcli.api import ComponentRegistry, hookimpl


@hookimpl
def vox_register(registry: ComponentRegistry) -> None:
    """Offer the data set."""
    registry.add(
        "dataset",
        "debian-prompts",
        "vox_debian_prompts.prompts:DebianPrompts",
        summary="Asterisk's voice prompts in five languages",
    )


@hookimpl
def vox_commands(app: Any) -> None:
    """Add `vox debian-prompts`."""
    from vox_debian_prompts.commands import app as prompts

    app.add_typer(prompts, name="debian-prompts")
