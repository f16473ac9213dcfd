"""R115: the language and the task of the recipe against those of the checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.spoken import code
from voxcli.doctor.checks.thresholds import ENGLISH_VOCABULARY, TURBO_LAYERS
from voxcli.errors import ModelError
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.recipe.resolve import Recipe

_MEANT = re.compile(r"did you mean `([\w-]+)`")


class LanguageNotOfCheckpoint:
    """The checkpoint does not know the language or the task of the recipe.

    Why: the language is a token that every label begins with; a checkpoint without it cannot be asked for it. Those
    that end in .en know English alone, and have a vocabulary that takes other languages apart into bytes.
    large-v3-turbo was made without translations.

    Repair: the multilingual checkpoint, or the code of a language that the checkpoint knows.

    Sources: arXiv 2212.04356, section 2.3 and appendix E; openai/whisper, model-card.md and README (turbo is not
    trained for translation); generation_config.json: lang_to_id, task_to_id.
    """

    code: ClassVar[str] = "R115"
    name: ClassVar[str] = "language-not-of-checkpoint"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """For families with a language of their own; from the checkpoint's small files."""
        from voxcli.models.checkpoint import read_json

        recipe = context.recipe
        model: Any = recipe.model
        config = context.config
        if not hasattr(model, "check_language") or config.get("model_type") != "whisper":
            return
        try:
            model.check_language()
        except ModelError as error:
            context.without("limits", "skeleton", "bundle", "prediction")
            yield _refused(error, recipe)
            return
        stored = read_json(model.checkpoint, "generation_config.json") or {}
        if not stored.get("is_multilingual", config.get("vocab_size") != ENGLISH_VOCABULARY):
            yield from _english_only(recipe)
        if model.generation_task == "translate" and (
            (config.get("encoder_layers"), config.get("decoder_layers")) == TURBO_LAYERS
        ):
            yield Finding(
                "warning",
                f'generation_task is "translate", and {model.checkpoint} is a turbo checkpoint, made without '
                "translations",
                "take large-v3 or medium for translation",
                path=("model", "generation_task"),
            )


def _refused(error: ModelError, recipe: Recipe) -> Finding:
    model: Any = recipe.model
    help = error.help or "give a code that the checkpoint knows"
    if model.language is not None and "generation_task" not in help:
        meant = _MEANT.search(help)
        changes: dict[str, Any] = {}
        if meant:
            changes = {"model.language": meant[1]}
        elif "English only" in error.message:
            changes = {"model.language": None}
            if model.generation_task is not None:
                changes["model.generation_task"] = None
        fix = Fix(changes) if changes else None
        return Finding("error", error.message, help, path=("model", "language"), fix=fix)
    fix = Fix({"model.generation_task": None})
    return Finding("error", error.message, help, path=("model", "generation_task"), fix=fix)


def _english_only(recipe: Recipe) -> Iterator[Finding]:
    for path, name in _named(recipe):
        if code(name) != "en":
            yield Finding(
                "warning",
                f"{recipe.tables['model']['checkpoint']} knows English only, and the recipe's language is '{name}'",
                "take the multilingual checkpoint, the one without .en",
                path=path,
            )
            return


def _named(recipe: Recipe) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The languages of the transcripts, and the keys that name them."""
    if recipe.text.language:
        yield ("text", "language"), recipe.text.language
    for index, table in enumerate(recipe.tables["data"]):
        if isinstance(table.get("language"), str):
            yield ("data", index, "language"), table["language"]
