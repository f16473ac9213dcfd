"""D016: the languages that the recipe and the data say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class LanguagesDisagree:
    """The recipe says one language, the data or another key say another.

    Why: Whisper's labels begin with the token of `[model] language`, whatever the language column says: a model that
    hears Spanish after <|en|> unlearns both. Casing goes by `[text] language`.

    Repair: one language in the recipe; `[filter] languages` keeps the utterances of it; or leave `[model] language`
    out, so that each utterance takes its own.

    Sources: arXiv 2212.04356, figure 1, for the order of the tokens; `voxcli.tasks.whisper_prompt`.
    """

    code: ClassVar[str] = "D016"
    name: ClassVar[str] = "languages-disagree"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """`[text]` against `[model]`, then the column against both."""
        import numpy as np

        from voxcli.doctor.data.languages import declared, differ, groups, languages_of, translates
        from voxcli.doctor.data.rows import named, of

        recipe, data = context.recipe, context.data
        model: str | None = getattr(recipe.model, "language", None)
        texts = recipe.text.language and not translates(context)
        if texts and model and differ(recipe.text.language, model):
            yield Finding(
                "warning",
                f'[text] language = "{recipe.text.language}", but [model] language = "{model}"',
                "say the same in both",
                path=("text", "language"),
                fix=Fix({"text.language": model}),
            )
        said = model or declared(context)
        if said is None:
            return
        key = ("model", "language") if model else ("text", "language")
        every = sorted({one for split in data.filled for one in languages_of(data.used(split))})
        fitting = tuple(one for one in every if not differ(one, said))
        for split in data.filled:
            table = data.used(split)
            parts = [rows for one, rows in groups(table, said) if differ(one, said)]
            if not parts:
                continue
            rows = np.sort(np.concatenate(parts))
            others = [one for one in languages_of(table) if one not in fitting]
            fix = None
            if fitting:
                fix = Fix({"filter.languages": list(fitting)})
            elif len(others) == 1 and len(every) == 1:
                fix = Fix({".".join(key): others[0]})
            yield Finding(
                "warning",
                f"{of(len(rows), len(table))} of the {split} split are of another language "
                f'({", ".join(others[:5])}) than [{key[0]}] language = "{said}"',
                f"[filter] languages = {list(fitting)}" if fitting else f'[{key[0]}] language = "{others[0]}"',
                path=key,
                utterances=named(table, rows),
                fix=fix,
            )
