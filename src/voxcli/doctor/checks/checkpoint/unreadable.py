"""C100: a model's folder that cannot be opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class FolderUnreadable:
    """The folder has no config, or one of its JSON files cannot be read.

    Why: config.json says which model the weights belong to, adapter_config.json which layers an adapter changes.
    Without either nothing can open the folder. A file that is no JSON was cut off by a full disk, a killed process or
    an edit.

    Repair: copy the file from the checkpoint that training began with, or copy the folder again from where it was
    written.

    Sources: transformers' documentation, "Loading models" (from_pretrained); peft's documentation, "Checkpoint format".
    """

    code: ClassVar[str] = "C100"
    name: ClassVar[str] = "folder-unreadable"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """The context says why, under this code."""
        _ = context.checkpoint
        yield from ()
