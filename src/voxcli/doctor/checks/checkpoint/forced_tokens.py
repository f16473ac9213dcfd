"""C113: `forced_decoder_ids` left behind in a Whisper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ForcedTokensLeft:
    """config.json or generation_config.json still forces the first tokens of every text.

    Why: `forced_decoder_ids` is how older versions of transformers set language and task. Left behind after
    fine-tuning it decodes every recording as the language it names, translates where it names that task, and stands
    against `language` and `task` where those are set: which of the two wins depends on the program and its version. The
    form that OpenAI's own checkpoints have, without a language, is only noted.

    Repair: remove `forced_decoder_ids` from both files, and write `"language"` and `"task"` into
    generation_config.json.

    Sources: transformers issue 37172, pull requests 28687 and 29938; measured here with transformers 5.23: without
    `language` and `task` the forced tokens of either file are used, the generation config's first.
    """

    code: ClassVar[str] = "C113"
    name: ClassVar[str] = "forced-tokens-left"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """The generation config's come first; the config's are used where it has none."""
        from voxcli.doctor.checkpoint.vocabulary import language_word

        folder = context.checkpoint
        if folder.kind != "whisper":
            return
        generation = folder.generation or {}
        own = _forced(generation)
        for name, forced in (
            ("generation_config.json", own),
            ("config.json", _forced(folder.files.get("config.json", {}))),
        ):
            if not forced:
                continue
            names = {number: token for token, number in (folder.vocabulary or {}).items()}
            languages = _ids(generation, "lang_to_id")
            tasks = _ids(generation, "task_to_id")
            words = " ".join(names.get(one, str(one)) for one in forced)
            language = next((one for one in forced if one in languages), None)
            task = next((one for one in forced if one in tasks), None)
            contradicts = [
                f"{key} = {generation[key]}"
                for key, said in (("language", languages.get(language)), ("task", tasks.get(task)))
                if generation.get(key) and said is not None and language_word(generation[key]) != language_word(said)
            ]
            ignored = name == "config.json" and bool(own)
            harmless = ignored or (
                language is None
                and not contradicts
                and (not languages or language_word(tasks.get(task)) != "translate")
            )
            against = f", against {' and '.join(contradicts)} of generation_config.json" if contradicts else ""
            yield Finding(
                "note" if harmless else "warning",
                f"{name} forces the first tokens of every text: {words}{against}",
                f'remove "forced_decoder_ids" from {name}'
                + (
                    ""
                    if generation.get("language")
                    else ', and write "language" and "task" into generation_config.json'
                ),
                where=str(folder.path / name),
            )


def _forced(content: dict[str, Any]) -> list[int]:
    """The tokens that are forced, without places that are left open."""
    found = content.get("forced_decoder_ids") or ()
    return [pair[1] for pair in found if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], int)]


def _ids(generation: dict[str, Any], key: str) -> dict[int | None, str]:
    table = generation.get(key)
    return {number: token for token, number in table.items()} if isinstance(table, dict) else {}
