"""What `vox lm build` is given -> sentences of words, after the recipe's `[text]` rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from voxcli.api import Utterance
from voxcli.errors import DataError, UsageError


def sentences(sources: Sequence[str], *, say: Callable[[str], None]) -> list[list[str]]:
    """The training transcripts of recipes, then the lines of text files.

    Raises `UsageError` for several recipes or a file that is not there, `DataError` where no word is left.
    """
    from voxcli.data.corpus import load_splits
    from voxcli.recipe.resolve import resolve
    from voxcli.recipe.schema import TextRules
    from voxcli.recipe.shipped import find
    from voxcli.text.normalize import normalizer

    recipes = [
        one for one in sources if one.endswith(".toml") or (not Path(one).is_file() and find(one, prefer="recipe"))
    ]
    if len(recipes) > 1:
        raise UsageError(f"{len(recipes)} recipes are named, and only one can say the [text] rules", help="name one")
    rules, found = TextRules(), []
    if recipes:
        recipe = resolve(recipes[0], missing="warning")
        rules = recipe.text
        table = load_splits(recipe.data, recipe.filter, rules, recipe.holdout, splits=("train",)).train
        texts = [_text(table.utterance(row)) for row in range(len(table))]
        found = [words for text in texts if (words := text.split())]
        say(f"{recipes[0]}: {len(found)} training transcripts")
    normalise = normalizer(rules)
    for one in sources:
        if one in recipes:
            continue
        if not (path := Path(one).expanduser()).is_file():
            raise UsageError(f"there is no recipe and no text file '{one}'", help="a recipe, or a file of sentences")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text (byte {error.start})", help="one sentence a line") from error
        more = [words for line in lines if (words := normalise(line).split())]
        say(f"{path}: {len(more)} lines" + ("" if recipes else ", as they are: no recipe says [text] rules"))
        found += more
    if not found:
        raise DataError("there are no words to count", help="a recipe with transcripts, or a file of sentences")
    return found


def _text(utterance: Utterance) -> str:
    return utterance.text or ""
