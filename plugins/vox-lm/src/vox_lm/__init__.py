"""A voxcli plugin: the decoder `lm` (an n-gram language model and hot words), and `vox lm build`, which makes one.

Reading order: decoder (the keys of `[decoder]`), scoring (what a prefix is worth), hot_words, vocabulary (which words a
model knows), kneser_ney (how one is estimated), arpa (the file), commands.
"""

from __future__ import annotations

from typing import Any

from voxcli.api import ComponentRegistry, hookimpl


@hookimpl
def vox_register(registry: ComponentRegistry) -> None:
    """Offer the decoder."""
    registry.add("decoder", "lm", "vox_lm.decoder:LanguageModel", summary="a KenLM or ARPA model, and hot words")


@hookimpl
def vox_commands(app: Any) -> None:
    """Add `vox lm`."""
    from vox_lm.commands import app as lm

    app.add_typer(lm, name="lm")
