"""R121: the model cannot be built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ModelCannotBeBuilt:
    """The config can be read, and the model, its tokenizer or its feature extractor cannot be made from the folder.

    Why: a checkpoint's folder without its tokenizer or preprocessor, or with those of another model, is found out only
    when the run loads it, after the data has been read.

    Repair: copy what is missing from the checkpoint that it was made from: preprocessor_config.json (or
    processor_config.json), tokenizer.json (or vocab.json), generation_config.json.

    Sources: voxcli.models.whisper and voxcli.models.ctc_build: what `build` loads; docs/models.md.
    """

    code: ClassVar[str] = "R121"
    name: ClassVar[str] = "model-cannot-be-built"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """Built with shapes and without weights; the context tells why it cannot be."""
        from voxcli.doctor.context import Unavailable

        _ = context.limits
        try:
            _ = context.skeleton
        except Unavailable:
            context.without("bundle", "prediction")  # for the same reason
            raise
        yield from ()
