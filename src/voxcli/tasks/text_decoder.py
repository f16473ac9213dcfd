"""An acoustic encoder and a text decoder: padded samples or log-mel, labels of any tokenizer, decoding by `generate`.

A label is the start token, the text and the end token, as the model's generation config names them, whatever the
decoder was trained on before. Such a decoder invents text beyond the lengths that it was trained with, so longer
recordings are cut where it is quiet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Decoding, Segment, Transcript, Utterance
from voxcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from voxcli.api import Task
    from voxcli.data.table import Table

WINDOW = 20.0  # s of a long recording in one piece
WINDOWS_AT_ONCE = 8
_AROUND = 2  # tokens around a text: start and end


def features(utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
    """Audio (N,) -> samples (N,) or log-mel (T, C), float32, without padding."""
    return {"features": bundle.family.features(audio, bundle.processor)}  # type: ignore[attr-defined]


def collate(items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
    """Items -> the encoder's input (B, N) or (B, T, C) float32, and attention_mask (B, N or T) where it takes one."""
    from voxcli.tasks.padding import padded

    return padded([item["features"] for item in items], bundle.processor.feature_extractor)


def inputs(batch: Mapping[str, Any], device: torch.device, *, training: bool) -> dict[str, Any]:
    """What the model is called with beside the label."""
    names = ("input_values", "input_features", "attention_mask")
    return {name: batch[name].to(device, non_blocking=True) for name in names if name in batch}


def label(utterance: Utterance, bundle: Bundle, duration: float) -> tuple[list[int], int] | None:
    """Start token, text and end token, of which the first is given; None without a transcript."""
    if utterance.text is None:
        return None
    tokenizer = bundle.processor.tokenizer
    start, end = bundle.family.start_and_end(tokenizer)  # type: ignore[attr-defined]
    return [start, *tokenizer(utterance.text, add_special_tokens=False).input_ids, end], 1


def around(table: Table, bundle: Bundle) -> int:
    """Tokens of a label beside its text."""
    return _AROUND


def speaks(language: str | None, bundle: Bundle) -> bool:
    """No language stands in a label."""
    return True


def predict(bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> list[Transcript]:
    """B transcripts, greedy or by beams. Raises `ModelError` for times and translations, which it does not have."""
    from voxcli.models.checkpoint import quietly
    from voxcli.tasks.wrapped import decoding_mode, device_of, unwrapped

    _check(decoding)
    model, tokenizer = unwrapped(bundle.model), bundle.processor.tokenizer
    given = {
        name: value.to(model.dtype) if value.is_floating_point() else value
        for name, value in inputs(batch, device_of(model), training=False).items()
    }
    room = bundle.family.positions - 1  # type: ignore[attr-defined]
    options: dict[str, Any] = {
        "max_new_tokens": room if decoding.max_new_tokens is None else min(decoding.max_new_tokens, room),
        "num_beams": decoding.num_beams,
        "do_sample": False,
        "use_cache": True,
    }
    if decoding.no_repeat_ngram_size:
        options["no_repeat_ngram_size"] = decoding.no_repeat_ngram_size
    if decoding.stop_repeats and decoding.num_beams == 1:
        from voxcli.tasks.endless import stopping

        options["stopping_criteria"] = stopping()
    with quietly(), decoding_mode(model):
        ids = model.generate(**given, **options)
    rate = bundle.processor.feature_extractor.sampling_rate
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    durations = [int(n_samples) / rate for n_samples in batch["n_samples"]]
    return [_transcript(text.strip(), decoding, length) for text, length in zip(texts, durations, strict=True)]


def transcribe(task: Task, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
    """One recording of any length, in pieces that are cut where it is quiet."""
    from voxcli.engines.halving import Halving, whole
    from voxcli.tasks.cuts import quiet_cuts

    rate = bundle.processor.feature_extractor.sampling_rate
    cuts = quiet_cuts(audio, round(WINDOW * rate), rate)
    spans = list(zip([0, *cuts], [*cuts, len(audio)], strict=True))

    def together(some: list[tuple[int, int]]) -> list[Transcript]:
        unnamed = Utterance(id="recording", audio=_unread)
        items = [task.features(unnamed, audio[begin:end], bundle) for begin, end in some]
        return list(task.predict(bundle, task.collate(items, bundle), decoding))

    halving, found = Halving(together), []
    for first in range(0, len(spans), WINDOWS_AT_ONCE):
        some = spans[first : first + WINDOWS_AT_ONCE]
        found += whole(halving(some, [(end - begin) / rate for begin, end in some]))
    segments = [
        Segment(one.text, begin / rate, end / rate)
        for (begin, end), one in zip(spans, found, strict=True)
        if one.text and decoding.timestamps != "none"
    ]
    text = " ".join(one.text for one in found if one.text)
    return Transcript(text=text, segments=tuple(segments), duration=len(audio) / rate, language=decoding.language)


def _transcript(text: str, decoding: Decoding, duration: float) -> Transcript:
    segments = (Segment(text, 0.0, duration),) if text and decoding.timestamps != "none" else ()
    return Transcript(text=text, segments=segments, duration=duration, language=decoding.language)


def _check(decoding: Decoding) -> None:
    if decoding.timestamps == "word":
        raise ModelError(
            "an encoder-decoder of this kind has no times of words",
            help="ask for segments, which are the pieces that a long recording is cut into; or take a CTC model",
        )
    if decoding.task == "translate":
        raise ModelError("this model writes what it was trained to write: it has no task", help="leave the task out")


def _unread() -> tuple[np.ndarray, int]:
    raise RuntimeError("the audio of this window is already in memory")
