"""The text is known: in which frames is each of its tokens? (CTC segmentation, Kürzinger et al. 2020, arXiv 2007.09127,
without its search for what is not in the text: the recording says all of it and nothing else.)

CTC says a token in few frames, often one, and need not say it where the sound is loudest: times are good to about two
frames. Between two tokens nothing is said; a cut halfway is a fair guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle
from voxcli.decoders.alignment import Span, aligned

if TYPE_CHECKING:
    from voxcli.align.file import Alignment
    from voxcli.api import Utterance


def alignments(
    bundle: Bundle, inputs: Mapping[str, Any], batch: Mapping[str, Any], utterances: Sequence[Utterance]
) -> list[Alignment | None]:
    """A batch of B utterances with texts -> where each text is spoken; None where the model cannot write it whole.

    `inputs` is what the model is called with; `batch` holds n_samples, frames and label_lengths, all (B,), and labels
    (sum of L,).
    """
    from voxcli.align.file import Alignment, Token
    from voxcli.tasks.ctc_decoding import alphabet_of, log_probabilities

    alphabet = alphabet_of(bundle)
    rate = bundle.processor.feature_extractor.sampling_rate
    labels = iter(batch["labels"].tolist())
    found: list[Alignment | None] = []
    for row, certain in enumerate(log_probabilities(bundle, inputs, batch["frames"])):
        utterance = utterances[row]
        tokens = [next(labels) for _ in range(int(batch["label_lengths"][row]))]
        said = [alphabet.tokens[token] for token in tokens]
        text = utterance.text or ""
        if not tokens or "".join(said).strip(" ") != text.strip(" "):
            found.append(None)  # a token that writes nothing stands for what the model cannot write
            continue
        said[0] = said[0].lstrip(" ")  # word pieces write a space before the first word
        seconds = int(batch["n_samples"][row]) / rate / max(len(certain), 1)
        places = aligned(certain, alphabet.blank, [Span(token, 0, len(certain) - 1) for token in tokens])
        times = tuple(
            Token(one, place.start * seconds, place.end * seconds) for one, place in zip(said, places, strict=True)
        )
        found.append(Alignment(utterance.id, "".join(said), times, _score(certain, alphabet.blank, places)))
    return found


def _score(certain: Any, blank: int, places: Sequence[Any]) -> float:
    """Mean log-probability of the frames of the alignment."""
    import numpy as np

    path = np.full(len(certain), blank)
    for one in places:
        path[one.start : one.end] = one.token
    return float(certain[np.arange(len(certain)), path].mean())
