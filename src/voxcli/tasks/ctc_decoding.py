"""Which decoder reads a CTC model's frames, what it needs of them, and the transcript that it makes.

Greedy decoding needs two figures a frame, computed where the model is; every other decoder gets the log-probabilities
of all classes. Either way the frames of a recording are arrays of one row a frame: windows can be cut and joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from voxcli.alphabet import Alphabet
from voxcli.api import Bundle, Decoding, Transcript
from voxcli.decoders.opening import GREEDY, opened
from voxcli.tasks import ctc_greedy
from voxcli.tasks.wrapped import decoding_mode, unwrapped

if TYPE_CHECKING:
    import numpy as np
    import torch

    from voxcli.api import Decoder

Frames = tuple["np.ndarray", ...]
"""Arrays whose first axis is the frames of one recording."""


def check(bundle: Bundle, decoding: Decoding) -> None:
    """Open the decoder, and let it say what does not fit: its alphabet, a file. Raises `VoxError`."""
    decoder = _decoder(decoding)
    if decoder is not None and (fits := getattr(decoder, "check", None)):
        fits(alphabet_of(bundle))


def frames_of(bundle: Bundle, inputs: Mapping[str, Any], lengths: torch.Tensor, decoding: Decoding) -> list[Frames]:
    """What the decoder needs of B clips; `lengths` (B,) are their frames."""
    if _decoder(decoding) is None:
        return list(ctc_greedy.frame_classes(bundle, inputs, lengths))
    return [(certain,) for certain in log_probabilities(bundle, inputs, lengths)]


def log_probabilities(bundle: Bundle, inputs: Mapping[str, Any], lengths: torch.Tensor) -> list[np.ndarray]:
    """What the model thinks of B clips: log-probabilities (T, V) float32 each, T from `lengths` (B,)."""
    import torch

    model = bundle.model
    with decoding_mode(model):
        dtype = unwrapped(model).dtype
        logits = model(**{k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}).logits
        certain = torch.log_softmax(logits.float(), -1).cpu().numpy()
    return [certain[row, : int(length)] for row, length in enumerate(lengths)]


def transcript_of(frames: Frames, bundle: Bundle, decoding: Decoding, duration: float) -> Transcript:
    """The frames of a whole recording -> its transcript; `duration` is s."""
    decoder = _decoder(decoding)
    if decoder is None:
        classes, probabilities = frames
        return ctc_greedy.transcript(classes, probabilities, bundle, decoding, duration)
    alphabet = alphabet_of(bundle)
    found = list(decoder.decode(frames[0], alphabet))
    parted = [token for one in found for token in (one.token, alphabet.blank)]  # the tokenizer joins what is not parted
    text = " ".join(bundle.processor.tokenizer.decode(parted).split())
    return ctc_greedy.with_times(text, found, bundle, decoding, duration)


def alphabet_of(bundle: Bundle) -> Alphabet:
    """The classes of a model as text, by its tokenizer."""
    tokenizer = bundle.processor.tokenizer
    blank = int(unwrapped(bundle.model).config.pad_token_id)
    size = int(unwrapped(bundle.model).config.vocab_size)
    return Alphabet(tuple(_text(tokenizer, token, blank) for token in range(size)), blank)


def _text(tokenizer: Any, token: int, blank: int) -> str:
    if token == blank or token in (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id):
        return ""
    piece = tokenizer.convert_ids_to_tokens(token)
    if piece is None:  # an output layer larger than the vocabulary
        return ""
    if piece == getattr(tokenizer, "word_delimiter_token", None):
        return " "
    if "Ġ" in piece:  # bytes of UTF-8
        return str(tokenizer.convert_tokens_to_string([piece]))
    return str(piece).replace("▁", " ")


def _decoder(decoding: Decoding) -> Decoder | None:
    """None: greedy."""
    table = decoding.decoder
    return None if table is None or table["type"] == GREEDY else opened(table)
