"""The characters of the training transcripts -> the output classes of a CTC model, and its tokenizer.

Classes: 0 blank (also padding), 1 unknown, 2 the space, then the characters by code point. There is no <s> and no </s>:
transformers adds both to every Wav2Vec2CTCTokenizer unless it is told not to, as classes that no label ever names. The
space stays even where no transcript has one (single words, Chinese), because the tokenizer cannot be saved without it.

A "|" in a transcript is a space: the tokenizer writes its spaces so, and no other mark survives AutoTokenizer.

The tokenizer's `decode` joins repeated ids, as CTC output needs it; labels are read back with `group_tokens=False`.
Never decode with `skip_special_tokens=True`: transformers counts the space among the special tokens and drops it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from voxcli.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BLANK = "<pad>"
UNKNOWN = "<unk>"
SPACE = "|"


@dataclass(frozen=True)
class Vocabulary:
    """Output classes of a CTC model. `characters` holds each once, sorted by code point, without the space."""

    characters: str

    @classmethod
    def of(cls, characters: Iterable[str]) -> Vocabulary:
        """The vocabulary of `Corpus.characters` or of a string written in a recipe; order and repeats do not matter.

        Raises `DataError` where nothing but white space is left.
        """
        kept = sorted({character for piece in characters for character in piece if not _is_space(character)})
        if not kept:
            raise DataError(
                "no characters to build a vocabulary from: the training transcripts are empty",
                help="check the column of the text, and [text] and [filter]",
            )
        return cls("".join(kept))

    @cached_property
    def classes(self) -> dict[str, int]:
        """Token -> class, in the order of the classes."""
        return {token: index for index, token in enumerate((BLANK, UNKNOWN, SPACE, *self.characters))}

    def __len__(self) -> int:
        """V, the number of classes."""
        return len(self.characters) + 3

    def __contains__(self, character: str) -> bool:
        return _is_space(character) or character in self.characters

    def write_tokenizer(self, folder: str | Path) -> Path:
        """Write vocab.json and the tokenizer's config into `folder` (made if need be); AutoTokenizer reads it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer().save_pretrained(folder)
        return folder

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """A Wav2Vec2CTCTokenizer of exactly `len(self)` classes, for every CTC architecture of transformers."""
        from transformers import Wav2Vec2CTCTokenizer

        with TemporaryDirectory(prefix="vox-vocabulary-") as folder:
            file = Path(folder, "vocab.json")
            file.write_text(json.dumps(self.classes, ensure_ascii=False), encoding="utf-8")
            return Wav2Vec2CTCTokenizer(
                str(file),
                bos_token=None,
                eos_token=None,
                unk_token=UNKNOWN,
                pad_token=BLANK,
                word_delimiter_token=SPACE,
                clean_up_tokenization_spaces=False,  # would glue punctuation to the word before it
            )


def characters_outside(vocabulary: Vocabulary | str, texts: Iterable[str | None]) -> dict[str, int]:
    """Characters of `texts` that the vocabulary lacks, with their counts, the most frequent first. Never a space."""
    inside = vocabulary.characters if isinstance(vocabulary, Vocabulary) else vocabulary
    return outside(inside, count_characters(texts))


def outside(inside: str, counts: Mapping[str, int]) -> dict[str, int]:
    """The same for characters that have been counted."""
    found = {character: n for character, n in counts.items() if not _is_space(character) and character not in inside}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def count_characters(texts: Iterable[str | None]) -> Counter[str]:
    """Every character of the texts with its count."""
    counts: Counter[str] = Counter()
    chunk: list[str] = []  # joined before counting: far fewer calls than one by one
    for text in texts:
        if text:
            chunk.append(text)
        if len(chunk) == 4096:
            counts.update("".join(chunk))
            chunk.clear()
    counts.update("".join(chunk))
    return counts


def _is_space(character: str) -> bool:
    return character == SPACE or character.isspace()
