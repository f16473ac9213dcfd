"""R111: an output layer for CTC that nobody trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_TOKENIZERS = ("tokenizer_config.json", "vocab.json", "tokenizer.json")


class OutputLayerUntrained:
    """`modules_to_save` leaves out the output layer, and the checkpoint has none that was trained.

    Why: an adapter freezes all that is not named. A checkpoint without transcripts (wav2vec2-base, XLS-R, WavLM …) gets
    a new output layer with random weights; frozen, it maps whatever the encoder says to random characters, and the
    adapter learns to live with that, if anything. Error rates stay near 100 %.

    Repair: remove `modules_to_save`: by default the output layer is trained whole and saved with the adapter.

    Sources: voxcli.train.lora; PEFT, modules_to_save; arXiv 2006.11477 (the output layer is new in fine-tuning).
    """

    code: ClassVar[str] = "R111"
    name: ClassVar[str] = "output-layer-untrained"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe and the checkpoint's files."""
        from voxcli.models.checkpoint import has_file

        recipe = context.recipe
        model: Any = recipe.model
        usual: tuple[str, ...] = tuple(getattr(recipe.task, "trained_with_adapter", ()))
        if recipe.adapter is None or recipe.adapter.modules_to_save is None or not usual:
            return
        if {name.rpartition(".")[2] for name in recipe.adapter.modules_to_save} & set(usual):
            return
        architectures = [str(name) for name in context.config.get("architectures") or ()]
        checkpoint = getattr(model, "checkpoint", None)
        if checkpoint is None or not architectures:
            return
        trained = any("CTC" in name for name in architectures)
        if trained and any(has_file(checkpoint, file) for file in _TOKENIZERS):
            return
        yield Finding(
            "error",
            f"the output layer of {checkpoint} is new, and modules_to_save = {list(recipe.adapter.modules_to_save)} "
            "leaves it random and frozen",
            f"remove modules_to_save: {' or '.join(usual)} is then trained whole",
            path=("adapter", "modules_to_save"),
            fix=Fix({"adapter.modules_to_save": None}),
        )
