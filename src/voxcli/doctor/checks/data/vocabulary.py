"""D005: characters that the model has no class for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.thresholds import UNKNOWN_ERROR
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class CharactersOutsideVocabulary:
    """Transcripts hold characters that the model's vocabulary lacks.

    Why: each becomes the class "unknown". The model learns to answer with it, and what it stands for is lost. Most
    often the vocabulary is in the other case, or has no punctuation.

    Repair: `[text] lowercase = true` where the vocabulary is in lower case, `remove_punctuation = true` where it has
    none; `[model] vocabulary = "data"` learns the letters of the data, with a new output layer.

    Sources: transformers' Wav2Vec2CTCTokenizer, unk_token; wav2vec2-base-960h's vocab.json, which is in capitals.
    """

    code: ClassVar[str] = "D005"
    name: ClassVar[str] = "characters-outside-vocabulary"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Every character of the data, tokenized alone by the real tokenizer."""
        from voxcli.doctor.data.rows import characters, named, of

        data = context.data
        if context.recipe.task_name != "ctc":
            return
        tokenizer = context.bundle.processor.tokenizer
        if tokenizer.unk_token_id is None:
            return
        every = {one for split in data.filled for one in data.characters(split).counts}
        known = {one for one in every if one.isspace() or _knows(tokenizer, one)}
        if known >= every:
            return
        for split in data.filled:
            points, table = data.characters(split), data.used(split)
            unknown = {one: points.counts[one] for one in points.counts if one not in known}
            hit = points.holding(unknown) if unknown else None
            learned = getattr(context.recipe.model, "vocabulary", None) == "data"
            if hit is None or (learned and split != "train"):  # what training lacks is said by another check
                continue
            share = sum(unknown.values()) / max(1, sum(points.counts.values()))
            order = sorted(unknown, key=lambda one: -unknown[one])
            words, fix = self._repair(context, tokenizer, sorted(unknown), hit if split == "train" else None, table)
            learns = split == "train" or not unknown.keys().isdisjoint(data.characters("train").counts)
            yield Finding(
                "error" if share > UNKNOWN_ERROR and split == "train" else "warning" if learns else "note",
                f"{of(int(hit.sum()), len(table))} of the {split} split hold characters that the vocabulary lacks, "
                f"{share:.2%} of all: {characters(order)}",
                words,
                path=("model", "vocabulary"),
                utterances=named(table, hit),
                fix=fix,
            )

    def _repair(
        self, context: Context, tokenizer: Any, unknown: list[str], hit: Any, table: Any
    ) -> tuple[str, Fix | None]:
        """What takes the unknown characters away: casing, punctuation, then the utterances or a new vocabulary."""
        rules = context.data.text
        changes: dict[str, Any] = {}
        words: list[str] = []
        left = set(unknown)
        if not rules.lowercase and (lowered := {one for one in left if _knows(tokenizer, one.lower())}):
            changes["text.lowercase"] = True
            words.append("the vocabulary is in lower case: [text] lowercase = true")
            left -= lowered
        if any(one.islower() and _knows(tokenizer, one.upper()) for one in left):
            changes["model.vocabulary"] = "data"
            words.append('the vocabulary is in capitals: [model] vocabulary = "data" learns small letters')
            return "; ".join(words), Fix(changes)
        if not rules.remove_punctuation and (marks := {one for one in left if unicodedata.category(one)[0] in "PS"}):
            changes["text.remove_punctuation"] = True
            words.append("[text] remove_punctuation = true")
            left -= {one for one in marks if one not in rules.keep}
        respelt = {one: "'" for one in left if one == "’" and _knows(tokenizer, "'")}
        if respelt:
            changes["text.replace"] = {**rules.replace, **respelt}
            words.append("replace ’ by '")
            left -= set(respelt)
        if not left:
            return "; ".join(words), Fix(changes)
        few = hit is not None and hit.mean() <= UNKNOWN_ERROR / 5 and not changes
        if few:
            return "; ".join([*words, "respell them with [text] replace, or leave the utterances out"]), Fix(
                leave_out=context.data.leave_out("train", table, hit)
            )
        changes["model.vocabulary"] = "data"
        words.append('respell them with [text] replace, or [model] vocabulary = "data" for a new output layer')
        return "; ".join(words), Fix(changes)


def _knows(tokenizer: Any, text: str) -> bool:
    return bool(text) and tokenizer.unk_token_id not in tokenizer(text, add_special_tokens=False).input_ids
