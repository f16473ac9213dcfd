"""C104: weights that are stored as a Python pickle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class WeightsPickled:
    """The weights are there as a Python pickle only.

    Why: loading a pickle runs code that is in it; transformers refuses it with torch below 2.6. voxcli's checks of
    weights read safetensors, so nothing is known of these.

    Repair: load and save once, `AutoModel….from_pretrained(FOLDER).save_pretrained(NEW)`: transformers writes
    safetensors.

    Sources: transformers' documentation, "safetensors"; CVE-2025-32434 (torch.load below 2.6).
    """

    code: ClassVar[str] = "C104"
    name: ClassVar[str] = "weights-pickled"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """A note: it can be loaded all the same."""
        weights = context.checkpoint.weights
        if weights.pickles and not weights.files:
            yield Finding(
                "note",
                f"{weights.pickles[0].name} is a Python pickle, whose loading runs code; its weights were not examined",
                "load it and save it again: transformers writes model.safetensors",
                where=str(weights.pickles[0]),
            )
