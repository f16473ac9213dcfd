"""C110: what Whisper's generation config has to hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class GenerationConfigStripped:
    """Whisper's generation config is missing, or has lost the keys that decoding needs.

    Why: `generate` of transformers takes languages, tasks and timestamps from generation_config.json: without
    `lang_to_id` and `task_to_id` it refuses `language=` ("generation config is outdated"), without
    `no_timestamps_token_id` it refuses timestamps, without `alignment_heads` there are no word times, and without the
    file it stops after 20 tokens. A config with `"_from_model_config": true` loses all of these when it is read,
    although they stand in the file. voxcli derives all but the alignment heads when it opens the folder; other programs
    do not.

    Repair: copy generation_config.json of the checkpoint that training began with.

    Sources: transformers issues 21878, 30148, 25084; measured here with transformers 5.23 (each key removed, `generate`
    called).
    """

    code: ClassVar[str] = "C110"
    name: ClassVar[str] = "generation-config-stripped"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Of Whisper models; an adapter whose base is here has its base's."""
        folder = context.checkpoint
        if folder.kind != "whisper":
            return
        base = folder.base / "generation_config.json" if folder.base is not None else None
        copy = (
            f"cp {base} {folder.path}/"
            if base is not None and base.is_file()
            else "copy generation_config.json of the checkpoint that training began with (openai/whisper-… on the hub)"
        )
        generation, where = folder.generation, str(folder.path / "generation_config.json")
        if generation is None:
            if folder.adapter is None:
                yield Finding(
                    "warning",
                    "there is no generation_config.json: no languages, no timestamps, and texts end after 20 tokens",
                    copy,
                    where=where,
                )
            elif base is None or not base.is_file():
                yield Finding(
                    "note", "neither the adapter nor a base that is here has a generation config", copy, where=where
                )
            return
        if generation.get("_from_model_config") is True:
            yield Finding(
                "warning",
                "generation_config.json has _from_model_config = true: transformers drops its languages, timestamps "
                "and alignment heads when it reads the file",
                'write "_from_model_config": false into generation_config.json',
                where=where,
            )
        lost = [f"{key} ({loss})" for key, loss in _wanted(folder.config, generation) if not _has(generation, key)]
        if lost:
            yield Finding("warning", f"generation_config.json lacks {', '.join(lost)}", copy, where=where)


def _wanted(config: dict[str, object], generation: dict[str, object]) -> Iterator[tuple[str, str]]:
    from voxcli.models.generation import MULTILINGUAL_VOCABULARY

    yield "no_timestamps_token_id", "no timestamps"
    yield "alignment_heads", "no word times"
    yield "is_multilingual", "refuses language="
    if generation.get("is_multilingual", config.get("vocab_size") != MULTILINGUAL_VOCABULARY - 1):
        yield "lang_to_id", "no languages"
        yield "task_to_id", "no tasks"


def _has(generation: dict[str, object], key: str) -> bool:
    value = generation.get(key)
    return value is not None and value not in ({}, [])
