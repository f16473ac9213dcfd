"""C112: the tokens that a generation config names, against config and vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import NAMED_TENSORS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.checkpoint.folder import CheckpointFolder
    from voxcli.doctor.context import Context

_DECIDING = ("decoder_start_token_id", "eos_token_id")
_SPECIAL = (*_DECIDING, "pad_token_id", "bos_token_id")


class TokensDisagree:
    """The generation config names tokens that config or vocabulary do not have, or that mean something else there.

    Why: a generation config copied from another checkpoint (English-only against multilingual, large-v3 against
    large-v2) is off by one or more: `<|notimestamps|>` becomes a timestamp, Turkish becomes Polish, and a text has no
    end because its end token is another one. A token that is suppressed can never be written: suppressing the end token
    or all timestamps makes every text run to its limit or loses its times.

    Repair: copy generation_config.json of the checkpoint that training began with.

    Sources: openai/whisper, tokenizer.py (order of the special tokens); transformers' documentation, GenerationConfig.
    """

    code: ClassVar[str] = "C112"
    name: ClassVar[str] = "tokens-disagree"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """For every model that generates; languages and tasks are Whisper's."""
        folder = context.checkpoint
        generation, config = folder.generation, folder.config
        if generation is None or not config:
            return
        where = str(folder.path / "generation_config.json")
        base = folder.base / "generation_config.json" if folder.base is not None else None
        help = (
            f"cp {base} {folder.path}/"
            if base is not None and base.is_file()
            else "copy generation_config.json of the checkpoint that training began with"
        )
        size = config.get("vocab_size")
        beyond = [f"{name} {number}" for name, number in _named(generation) if isinstance(size, int) and number >= size]
        if beyond:
            shown = ", ".join(beyond[:NAMED_TENSORS])
            yield Finding("error", f"the vocabulary has {size:,} tokens; beyond it are {shown}", help, where=where)
        for key in _SPECIAL if config.get("model_type") == "whisper" else ():
            mine, theirs = generation.get(key), config.get(key)
            if isinstance(mine, int) and isinstance(theirs, int) and mine != theirs:
                yield Finding(
                    "error" if key in _DECIDING else "note",
                    f"{key} is {mine} in generation_config.json and {theirs} in config.json",
                    help,
                    where=where,
                )
        yield from self._other_meaning(folder, generation, help, where)
        yield from self._suppressed(generation, config, help, where)

    def _other_meaning(
        self, folder: CheckpointFolder, generation: dict[str, Any], help: str, where: str
    ) -> Iterator[Finding]:
        vocabulary = folder.vocabulary
        if folder.kind != "whisper" or not vocabulary:
            return
        tables: dict[str, Any] = {"<|notimestamps|>": generation.get("no_timestamps_token_id")}
        tables["<|startofprev|>"] = generation.get("prev_sot_token_id")
        for name in ("lang_to_id", "task_to_id"):
            for token, number in (generation.get(name) or {}).items():
                tables[token if name == "lang_to_id" else f"<|{token}|>"] = number
        wrong = [
            f"{token} is {number}, in the vocabulary {vocabulary[token]}"
            for token, number in tables.items()
            if isinstance(number, int) and token in vocabulary and vocabulary[token] != number
        ]
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            yield Finding("error", f"tokens of another vocabulary: {wrong[0]}{more}", help, where=where)

    def _suppressed(
        self, generation: dict[str, Any], config: dict[str, Any], help: str, where: str
    ) -> Iterator[Finding]:
        suppressed = {one for one in generation.get("suppress_tokens") or () if isinstance(one, int)}
        end, last = generation.get("eos_token_id"), generation.get("no_timestamps_token_id")
        ends = {end} if isinstance(end, int) else set(end or ())
        if ends and ends <= suppressed:
            yield Finding("error", "suppress_tokens holds the end token: no text ever ends", help, where=where)
        size = config.get("vocab_size")
        if isinstance(last, int) and isinstance(size, int):
            times = set(range(last + 1, size))
            if times and len(times & suppressed) > len(times) // 2:
                yield Finding(
                    "warning", "suppress_tokens holds the timestamps: they are never written", help, where=where
                )
        if isinstance(size, int) and len(suppressed) > size // 2:
            yield Finding("error", f"suppress_tokens forbids {len(suppressed):,} of {size:,} tokens", help, where=where)


def _named(generation: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Key and id of every token that the generation config names."""
    for key, value in generation.items():
        if not isinstance(value, dict | list | int) or isinstance(value, bool):
            continue
        if key.endswith(("token_id", "_tokens", "_to_id")):
            several = value.values() if isinstance(value, dict) else value if isinstance(value, list) else (value,)
            yield from ((key, one) for one in several if isinstance(one, int) and not isinstance(one, bool))
