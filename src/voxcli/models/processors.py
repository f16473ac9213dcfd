"""A checkpoint -> its processor or tokenizer, read once in a process; each caller has one of its own.

A plan builds a model four to eight times, without its weights, and reading 50,000 tokens takes a good part of that.
Families change what they get (the tokens that a label begins with), so it is not shared: what is handed out is a copy,
but for the tokens themselves, which tokenizers holds outside of Python and only ever reads.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MOST = 4  # checkpoints whose processors are remembered
_LARGE = 1000  # entries from which a table of a tokenizer is one of tokens: its entries never change
_WEIGHTS = (".safetensors", ".bin", ".pt", ".h5", ".msgpack")

_read: dict[tuple[object, ...], Any] = {}


def opened(kind: Any, checkpoint: str, **where: Any) -> Any:
    """What `kind.from_pretrained` makes of a checkpoint; `where` goes to it. Raises what it raises.

    A folder whose files have changed is read again.
    """
    key = (kind, checkpoint, repr(sorted(where.items())), *_files(checkpoint))
    if key in _read:
        _read[key] = _read.pop(key)  # the newest last
    else:
        made = kind.from_pretrained(checkpoint, **where)
        while len(_read) >= _MOST:
            _read.pop(next(iter(_read)))
        _read[key] = made
    return copied(_read[key])


def copied(processor: Any) -> Any:
    """A processor or tokenizer whose changes the other does not see."""
    memo: dict[int, Any] = {}
    for one in (processor, getattr(processor, "tokenizer", None)):
        backend = getattr(one, "backend_tokenizer", None)
        if backend is None:  # written in Python, and as small as its alphabet
            continue
        memo[id(backend)] = _backend(backend)
        memo.update(
            (id(value), copy.copy(value))
            for value in vars(one).values()
            if isinstance(value, dict | list) and len(value) > _LARGE
        )
    return copy.deepcopy(processor, memo)


def _backend(tokenizer: Any) -> Any:
    """A `tokenizers.Tokenizer` of the same tokens; deepcopy would write them all out as JSON and read them again."""
    made = type(tokenizer)(tokenizer.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if getattr(tokenizer, part) is not None:
            setattr(made, part, getattr(tokenizer, part))
    made.add_tokens([token for _, token in sorted(tokenizer.get_added_tokens_decoder().items())])
    made.encode_special_tokens = tokenizer.encode_special_tokens
    if tokenizer.padding is not None:
        made.enable_padding(**tokenizer.padding)
    if tokenizer.truncation is not None:
        made.enable_truncation(**tokenizer.truncation)
    return made


def _files(checkpoint: str) -> Iterator[tuple[str, int, int]]:
    """Name, time and size of the files of a folder that are no weights; none of a checkpoint on the hub."""
    folder = Path(checkpoint)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file() and path.suffix not in _WEIGHTS:
            status = path.stat()
            yield path.name, status.st_mtime_ns, status.st_size
