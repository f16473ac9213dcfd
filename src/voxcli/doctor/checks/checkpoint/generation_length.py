"""C111: how long Whisper's generation config lets a text become."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import SHORTEST_OUTPUT
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

DEFAULT = 20  # tokens, transformers' own


class OutputCutShort:
    """The generation config cuts texts off, or allows more tokens than the decoder has positions.

    Why: `max_length` of Whisper is 448. Missing or 20 (transformers' default, which old configs hold), `generate` stops
    after 20 tokens: the text of a 30 s window is cut in its first sentence. `max_new_tokens` that fills all positions
    leaves no room for language and task, and `generate` refuses it.

    Repair: `"max_length": 448` (the config's max_target_positions), without max_new_tokens.

    Sources: measured here with transformers 5.23 (20 tokens come out without max_length and with 20); transformers
    issue 27445 and pull request 33196.
    """

    code: ClassVar[str] = "C111"
    name: ClassVar[str] = "output-cut-short"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Of Whisper models that have a generation config; one that is missing is told elsewhere."""
        folder = context.checkpoint
        generation = folder.generation
        if folder.kind != "whisper" or generation is None:
            return
        positions = int(folder.config.get("max_target_positions") or 448)
        where, help = (
            str(folder.path / "generation_config.json"),
            f'"max_length": {positions} in generation_config.json',
        )
        new, length = generation.get("max_new_tokens"), generation.get("max_length")
        if isinstance(new, int) and new >= positions:
            yield Finding(
                "warning",
                f"max_new_tokens = {new}, but the decoder has {positions} positions for prompt and text",
                f"remove max_new_tokens, and {help}",
                where=where,
            )
        elif isinstance(new, int):
            length = new  # it wins
        if length is None:
            yield Finding(
                "warning",
                f"max_length is not set: transformers stops after {DEFAULT} tokens, the model has {positions}",
                help,
                where=where,
            )
        elif isinstance(length, int) and (length < SHORTEST_OUTPUT * positions or length <= DEFAULT < positions):
            yield Finding(
                "warning",
                f"texts are cut off after {length} tokens, the model has {positions}",
                help,
                where=where,
            )
