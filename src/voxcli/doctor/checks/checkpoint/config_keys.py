"""C105: what a config has to say so that the model can be opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ConfigIncomplete:
    """config.json does not say which model it is.

    Why: `model_type` chooses the config and the model class of every Auto class: without it nothing opens the folder.
    `architectures` says which head the weights are for; without it converters and servers refuse the folder or take
    another head with random weights.

    Repair: copy both keys from the checkpoint that training began with, for example `"model_type": "whisper"` and
    `"architectures": ["WhisperForConditionalGeneration"]`.

    Sources: transformers' documentation, "Auto Classes"; measured here: AutoConfig fails without model_type.
    """

    code: ClassVar[str] = "C105"
    name: ClassVar[str] = "config-incomplete"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Of the folder's own config; that of an adapter's base is the base's."""
        folder = context.checkpoint
        config = folder.files.get("config.json")
        if config is None:
            return
        where = str(folder.path / "config.json")
        base = (
            f"copy it from {folder.base / 'config.json'}" if folder.base is not None else "copy it from the base model"
        )
        if not isinstance(config.get("model_type"), str):
            yield Finding("error", "config.json names no model_type: nothing can open the folder", base, where=where)
        elif not config.get("architectures"):
            yield Finding(
                "warning",
                "config.json names no architectures: which head the weights are for is not known",
                f'{base}: "architectures": ["…"]',
                where=where,
            )
