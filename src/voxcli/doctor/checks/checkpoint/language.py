"""C115: the language and the task that a Whisper's files name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class LanguageContradicts:
    """Tokenizer and generation config name different languages or tasks, or one that the checkpoint does not have.

    Why: the tokenizer's language stands at the beginning of every label in training, the generation config's at the
    beginning of every text that is decoded. A model that learned one and is asked for the other writes what it did not
    learn. A language outside the table, or any language on an English-only model, makes `generate` fail.

    Repair: `"language"` and `"task"` of generation_config.json as in tokenizer_config.json.

    Sources: transformers, generation_whisper.py (language_to_id) and tokenization_whisper.py (set_prefix_tokens);
    measured here.
    """

    code: ClassVar[str] = "C115"
    name: ClassVar[str] = "language-contradicts"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Of Whisper models."""
        from voxcli.doctor.checkpoint.vocabulary import language_word

        folder = context.checkpoint
        generation = folder.generation
        if folder.kind != "whisper" or generation is None:
            return
        where = str(folder.path / "generation_config.json")
        asked = {key: generation[key] for key in ("language", "task") if isinstance(generation.get(key), str)}
        if asked and generation.get("is_multilingual") is False:
            yield Finding(
                "error",
                f"the model knows English only, and generation_config.json sets {' and '.join(asked)}: it is refused",
                f"remove {' and '.join(asked)} from generation_config.json",
                where=where,
            )
            return
        known = generation.get("lang_to_id")
        if (
            "language" in asked
            and isinstance(known, dict)
            and known
            and language_word(asked["language"]) not in map(language_word, known)
        ):
            yield Finding(
                "error",
                f"generation_config.json asks for the language '{asked['language']}', which lang_to_id does not have",
                f"one of {', '.join(sorted(map(language_word, known))[:8])} …",
                where=where,
            )
        for key, value in asked.items():
            learned = folder.tokenizer_settings.get(key)
            if isinstance(learned, str) and learned and language_word(learned) != language_word(value):
                yield Finding(
                    "warning",
                    f"labels have the {key} '{learned}' (tokenizer_config.json), texts are decoded with '{value}'",
                    f'"{key}": "{language_word(learned)}" in generation_config.json',
                    where=where,
                )
