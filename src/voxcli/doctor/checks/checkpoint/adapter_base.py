"""C130: the base that an adapter belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AdapterWithoutBase:
    """The base model of an adapter is missing, or not named.

    Why: an adapter holds only what it adds to a base, which is opened from the place that vox.json (base) or
    adapter_config.json (base_model_name_or_path) names. A folder that was moved or deleted, or the path of another
    machine, leaves an adapter that nothing can open.

    Repair: write where the base is now into both files; or export a whole model while the base is at hand,
    `vox export FOLDER --to merged`.

    Sources: peft's documentation, "Checkpoint format" (base_model_name_or_path); docs/export.md.
    """

    code: ClassVar[str] = "C130"
    name: ClassVar[str] = "adapter-without-base"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """An error where the place is a folder that is gone; a warning for a hub id that cannot be had from here."""
        folder = context.checkpoint
        if folder.adapter is None:
            return
        named, settings = folder.named_base, folder.path / "adapter_config.json"
        both = "base_model_name_or_path of adapter_config.json" + (" and base of vox.json" if folder.vox else "")
        if named is None:
            yield Finding(
                "error",
                "the adapter does not say which model it belongs to",
                f"write the base's folder or hub id into {both}",
                where=str(settings),
            )
        elif folder.base is None:
            from voxcli.models.checkpoint import source

            if Path(named).expanduser().is_absolute() or named.startswith((".", "~")) or named.count("/") > 1:
                yield Finding(
                    "error",
                    f"the adapter's base is gone: there is no folder {named}",
                    f"write where the base is now into {both}",
                    where=str(settings),
                )
            elif source(named):
                yield Finding(
                    "warning",
                    f"the adapter's base '{named}' is neither a folder here nor in the hub's cache, and the hub cannot "
                    "be reached",
                    f"on a machine with a network, `hf download {named} --local-dir FOLDER`; write FOLDER into {both}",
                    where=str(settings),
                )
        elif not (folder.base / "config.json").is_file():
            yield Finding(
                "error",
                f"the adapter's base {named} has no config.json",
                f"write where the whole base is into {both}",
                where=str(settings),
            )
