"""C122: the tokenizer of a checkpoint, against its weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.checkpoint.folder import CheckpointFolder
    from voxcli.doctor.context import Context


class Tokenizer:
    """The tokenizer is missing, or it is that of another vocabulary.

    Why: classes of the output layer and tokens belong together one by one. With a vocabulary of another size, or the
    same in another order, the model writes other letters than it learned, or an index out of range ends the decoding.
    Whisper's English-only, multilingual and large-v3 vocabularies differ by one token each. Of CTC, the pad token is
    the blank: where tokenizer and config name different ones, blanks are written and a letter is dropped.

    Repair: the tokenizer files that were saved with the weights.

    Sources: openai/whisper, tokenizer.py; transformers, Wav2Vec2CTCTokenizer and Wav2Vec2ForCTC (pad_token_id is the
    blank).
    """

    code: ClassVar[str] = "C122"
    name: ClassVar[str] = "tokenizer"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Of models that write text."""
        folder = context.checkpoint
        if folder.kind not in ("whisper", "ctc"):
            return
        base = folder.base
        names = (
            "tokenizer.json, tokenizer_config.json" if folder.kind == "whisper" else "vocab.json, tokenizer_config.json"
        )
        help = f"copy {names} from where the weights were saved"
        if base is not None and folder.kind == "whisper":
            help += f", or from {base}"
        if not folder.has_tokenizer:
            mild = folder.of_trainer or folder.adapter is not None
            yield Finding(
                "note" if mild else "error",
                "there is no tokenizer: what comes out of the model cannot be written as text",
                help,
                where=str(folder.path),
            )
            return
        if not folder.vocabulary:
            return
        compared = _whisper(folder) if folder.kind == "whisper" else _ctc(folder)
        for message, certain in compared:
            yield Finding("error" if certain else "warning", message, help, where=str(folder.path))


def _whisper(folder: CheckpointFolder) -> Iterator[tuple[str, bool]]:
    """(what is wrong, whether it surely is)."""
    vocabulary, config = folder.vocabulary or {}, folder.config
    size = config.get("vocab_size")
    highest = max(vocabulary.values()) + 1
    for token, key in (("<|endoftext|>", "eos_token_id"), ("<|startoftranscript|>", "decoder_start_token_id")):
        mine, theirs = vocabulary.get(token), config.get(key)
        if mine is None:
            yield f"the tokenizer has no {token}: it is no Whisper tokenizer", True
            return
        if isinstance(theirs, int) and mine != theirs:
            yield f"the tokenizer is that of another vocabulary: {token} is {mine}, the model's {key} is {theirs}", True
            return
    if not isinstance(size, int):
        return
    if highest > size:
        yield f"the tokenizer has {highest:,} tokens, the model {size:,} classes", True
        return
    last, positions = vocabulary.get("<|notimestamps|>"), config.get("max_source_positions")
    if last is not None and isinstance(positions, int) and size < last + 1 + positions + 1:
        times = positions + 1
        yield f"after <|notimestamps|> ({last}) {times:,} times have to follow, the model has {size:,} classes", False


def _ctc(folder: CheckpointFolder) -> Iterator[tuple[str, bool]]:
    from voxcli.doctor.checkpoint.vocabulary import special

    vocabulary, config = folder.vocabulary or {}, folder.config
    head = next((folder.weights.tensors[name] for name in _heads(folder) if name in folder.weights.tensors), None)
    size = head.shape[0] if head is not None else config.get("vocab_size")
    highest = max(vocabulary.values()) + 1
    if isinstance(size, int) and highest > size:
        yield f"the tokenizer has {highest:,} tokens, the model {size:,} classes", True
    pad = special(folder.tokenizer_settings, "pad_token")
    written = vocabulary.get(pad) if pad is not None else None
    # an adapter may bring a head and a blank of its own, and has no config to say so
    blank = config.get("pad_token_id") if folder.adapter is None else written
    nameless = set(range(size if isinstance(size, int) else 0)) - set(vocabulary.values()) - {blank}
    if nameless:
        yield f"{len(nameless):,} of the model's {size:,} classes have no token: what they stand for is lost", False
    if isinstance(blank, int) and written is not None and written != blank:
        yield f"the model's blank is class {blank} (pad_token_id), the tokenizer's {pad} is {written}", True


def _heads(folder: CheckpointFolder) -> Iterator[str]:
    """The names that a CTC model's output layer may have in the file."""
    for name in ("lm_head.weight", "ctc_head.weight"):
        yield name
        yield f"base_model.model.{name}"
        yield f"base_model.model.{name.removesuffix('.weight')}.modules_to_save.weight"
