"""A voxcli plugin: the exporter and the engine `ctranslate2`, for Whisper models on CTranslate2 and faster-whisper.

Reading order: exporter (a checkpoint becomes a folder), description (what the folder says of itself), engine (the class
and its options), pieces (which stretches of a recording are decoded), features (log-mel), hearing (texts and times).
"""

from __future__ import annotations

from voxcli.api import ComponentRegistry, hookimpl


@hookimpl
def vox_register(registry: ComponentRegistry) -> None:
    """Offer both."""
    registry.add(
        "exporter", "ctranslate2", "vox_ctranslate2.exporter:CTranslate2", summary="Whisper for faster-whisper, int8"
    )
    registry.add(
        "engine", "ctranslate2", "vox_ctranslate2.engine:CTranslate2Engine", summary="faster-whisper: VAD, hot words"
    )
