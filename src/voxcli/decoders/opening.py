"""The table of a `[decoder]` -> the decoder, made once: a language model may take seconds to load."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from voxcli.errors import UsageError
from voxcli.plugins.manager import manager
from voxcli.recipe import consistency
from voxcli.recipe.problems import Problems
from voxcli.recipe.validate import validate

if TYPE_CHECKING:
    from voxcli.api import Bundle, Decoder, Decoding, Task

GREEDY = "greedy"


def check(task: Task, bundle: Bundle, decoding: Decoding) -> None:
    """Let a task say what does not fit of how it is to decode, before it does. Raises `VoxError`."""
    own = getattr(task, "check_decoding", None)
    if own is not None:
        own(bundle, decoding)
    elif decoding.decoder is not None:
        raise UsageError(
            f"the decoder {decoding.decoder['type']} reads the frames of a CTC model, and this model is none",
            help="leave --decoder out; --num-beams is for models that write token by token",
        )


def opened(table: Mapping[str, Any]) -> Decoder:
    """The decoder of a table with `type`. Raises `PluginError` where nothing brings it, `UsageError` for wrong keys."""
    return _opened(json.dumps(table, sort_keys=True))


@functools.lru_cache(maxsize=8)
def _opened(text: str) -> Decoder:
    keys = json.loads(text)
    name = keys.pop("type")
    problems = Problems()
    made: Any = validate(manager().registry.load("decoder", name), keys, (), problems, title=f"decoder {name}")
    if made is not None and not problems.errors:
        consistency.own_findings(made, (), problems)
    if problems.errors:
        first = problems.errors[0]
        raise UsageError(f"decoder {name}: {first.message}", help=first.help)
    decoder: Decoder = made
    return decoder
