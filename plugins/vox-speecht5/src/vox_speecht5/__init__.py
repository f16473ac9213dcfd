"""A voxcli plugin: the task `text-to-speech`, the model `speecht5` that it trains, and `vox speak`.

Reading order: family (the keys of `[model]`), task (features, batches, figures), loss, layers (what is changed in
transformers' model, and why), loading, processing, speakers (vectors of voices), griffin_lim, speech, commands.
"""

from __future__ import annotations

from typing import Any

from voxcli.api import ComponentRegistry, hookimpl


@hookimpl
def vox_register(registry: ComponentRegistry) -> None:
    """Offer the task and the model family."""
    registry.add("task", "text-to-speech", "vox_speecht5.task:TextToSpeech", summary="a text to speech")
    registry.add("model", "speecht5", "vox_speecht5.family:SpeechT5", summary="SpeechT5: text to speech")


@hookimpl
def vox_commands(app: Any) -> None:
    """Add `vox speak`."""
    from vox_speecht5.commands import speak

    app.command()(speak)
