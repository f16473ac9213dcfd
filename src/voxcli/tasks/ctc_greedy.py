"""Logits of a CTC model -> the class of each frame -> text, words with times, segments.

Times are those of the frames in which a token was the most probable class: frame i begins at i * stride. CTC models put
a token in few frames, often late ones, so words appear shorter than they are spoken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from voxcli.alphabet import Emission
from voxcli.api import Bundle, Decoding, Segment, Transcript, Word
from voxcli.tasks.wrapped import decoding_mode, unwrapped

if TYPE_CHECKING:
    import numpy as np
    import torch

PAUSE = 0.8  # s without a token that ends a segment
LONGEST_SEGMENT = 12.0  # s
_SPACES = ("|", "▁", "Ġ")  # what tokenizers write for the space


def frame_classes(
    bundle: Bundle, inputs: Mapping[str, Any], frames: torch.Tensor
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each of B clips its frames' most probable classes (T,) int32 and their probabilities (T,) float32."""
    import torch

    model = bundle.model
    with decoding_mode(model):
        dtype = unwrapped(model).dtype
        logits = model(**{k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}).logits
        best = logits.max(-1)
        probabilities = (best.values.float() - torch.logsumexp(logits.float(), -1)).exp().cpu()
        classes = best.indices.to(torch.int32).cpu()
    return [
        (classes[row, : int(length)].numpy(), probabilities[row, : int(length)].numpy())
        for row, length in enumerate(frames)
    ]


def emissions(classes: np.ndarray, probabilities: np.ndarray, blank: int) -> Iterator[Emission]:
    """Frame classes (T,) -> tokens: equal neighbours joined, blanks dropped."""
    import numpy as np

    if not len(classes):
        return
    begins = np.flatnonzero(np.concatenate(([True], classes[1:] != classes[:-1])))
    ends = np.append(begins[1:], len(classes))
    for start, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if classes[start] != blank:
            yield Emission(int(classes[start]), start, end, float(probabilities[start:end].mean()))


def transcript(
    classes: np.ndarray, probabilities: np.ndarray, bundle: Bundle, decoding: Decoding, duration: float
) -> Transcript:
    """Frame classes (T,) and their probabilities (T,) of a whole recording -> its transcript."""
    import numpy as np

    tokenizer = bundle.processor.tokenizer
    blank = unwrapped(bundle.model).config.pad_token_id
    silent = [i for i in (tokenizer.unk_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) if i is not None]
    classes = np.where(np.isin(classes, silent), blank, classes)  # <unk> is nothing one can read
    text = " ".join(tokenizer.decode(classes.tolist()).split())
    return with_times(text, emissions(classes, probabilities, blank), bundle, decoding, duration)


def with_times(
    text: str, tokens: Iterable[Emission], bundle: Bundle, decoding: Decoding, duration: float
) -> Transcript:
    """A text and the tokens it was made of -> a transcript with the times that were asked for."""
    if decoding.timestamps == "none":
        return Transcript(text=text, language=decoding.language, duration=duration)
    limits = bundle.family.limits()
    seconds = limits.stride / limits.sampling_rate
    words = words_of(list(tokens), text, bundle.processor.tokenizer, seconds, duration)
    segments = segments_of(words, keep_words=decoding.timestamps == "word")
    return Transcript(text=text, segments=segments, language=decoding.language, duration=duration)


def words_of(tokens: list[Emission], text: str, tokenizer: Any, seconds: float, duration: float) -> tuple[Word, ...]:
    """Tokens and the text they decode to -> its words; `seconds` is the length of a frame."""
    groups: list[list[Emission]] = []
    open_word = False
    for token, piece in zip(tokens, tokenizer.convert_ids_to_tokens([one.token for one in tokens]), strict=True):
        if piece.startswith(_SPACES):
            open_word = False
        if piece.strip("".join(_SPACES)):
            if open_word:
                groups[-1].append(token)
            else:
                groups.append([token])
            open_word = not piece.endswith("|") or len(piece) == 1
    spoken = text.split()
    if len(groups) != len(spoken):  # a tokenizer with rules of its own: spread its words over the tokens
        groups = [tokens[len(tokens) * i // len(spoken) :][:1] for i in range(len(spoken))] if tokens else []
    return tuple(
        Word(
            text=word,
            start=min(group[0].start * seconds, duration),
            end=min(group[-1].end * seconds, duration),
            probability=sum(one.probability for one in group) / len(group),
        )
        for word, group in zip(spoken, groups, strict=False)
    )


def segments_of(words: tuple[Word, ...], *, keep_words: bool) -> tuple[Segment, ...]:
    """Words -> segments, cut where nobody speaks for `PAUSE` and where one gets too long to read."""
    groups: list[list[Word]] = []
    for word in words:
        if groups and word.start - groups[-1][-1].end < PAUSE and word.end - groups[-1][0].start <= LONGEST_SEGMENT:
            groups[-1].append(word)
        else:
            groups.append([word])
    return tuple(
        Segment(
            text=" ".join(word.text for word in group),
            start=group[0].start,
            end=group[-1].end,
            words=tuple(group) if keep_words else (),
        )
        for group in groups
    )
