"""A file on disk -> a KenLM model and the words it knows, loaded once."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from vox_lm.vocabulary import packed, unpacked, vocabulary
from voxcli.errors import DataError


@dataclass(frozen=True, eq=False)
class NGrams:
    """A loaded model."""

    path: Path
    model: Any
    """kenlm.Model"""
    words: tuple[str, ...]
    """Sorted, without <s>, </s> and <unk>."""

    def knows(self, word: str) -> bool:
        """Whether the word has a probability of its own."""
        at = bisect_left(self.words, word)
        return at < len(self.words) and self.words[at] == word

    def begins(self, part: str) -> bool:
        """Whether any known word begins so."""
        at = bisect_left(self.words, part)
        return at < len(self.words) and self.words[at].startswith(part)


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """The file, or a copy of it that is not compressed."""
    if not packed(path):
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=".arpa") as copy:
        unpacked(path, cast("IO[bytes]", copy))
        copy.flush()
        yield Path(copy.name)


def opened(path: Path) -> NGrams:
    """Load an ARPA file or a KenLM binary. Raises `DataError` where it is missing or neither."""
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(
            f"the language model {path} cannot be read: {error.strerror}",
            help="--decoder path=FILE names another; --decoder greedy decodes without one",
        ) from error
    return _opened(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=2)
def _opened(path: Path, _changed: int, _size: int) -> NGrams:
    import kenlm

    words = vocabulary(path)
    settings = kenlm.Config()
    settings.show_progress = False
    settings.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        with _plain(path) as plain:
            model = kenlm.Model(str(plain), settings)
    except (OSError, RuntimeError) as error:
        reason = str(error).split(" Byte: ")[0].strip().splitlines()[-1]
        raise DataError(
            f"{path} is not a language model that KenLM reads: {reason}",
            help="an ARPA file, or what KenLM's build_binary makes of one; `vox lm build` writes one",
        ) from error
    return NGrams(path, model, tuple(sorted(words)))
