"""Clips up to Whisper's window -> log-mel and labels with their prefix; decoding with the language of each clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Decoding, Transcript, Utterance
from voxcli.errors import DataError, ModelError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from voxcli.api import Task
    from voxcli.data.table import Table

_AROUND = 6  # tokens around a text, at most: language, task, no times or two of them, end
_PER_SEGMENT = 3  # two times, and a space of its own
_TOLERANCE = 0.01  # s by which a clip may pass the window: resampling rounds
_NO_LANGUAGE = -1

Label = tuple[list[int], int]
"""Tokens from the prompt or <|startoftranscript|> on, and how many of them are given: they are not learned."""


def features(utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
    """Audio (N,) -> log-mel (C, T) and the token of its language, -1 where nobody names one.

    Raises `DataError` for audio longer than the window.
    """
    extractor = bundle.processor.feature_extractor
    duration = len(audio) / extractor.sampling_rate
    window = extractor.n_samples / extractor.sampling_rate
    if duration > window + _TOLERANCE:
        raise DataError(
            f"{utterance.id}: {duration:.2f} s of audio, and the model's window is {window:g} s",
            help=f"leave it out with [filter] max_duration = {window:g}, or cut it where nobody speaks",
        )
    return {
        "input_features": bundle.family.features(audio, bundle.processor),  # type: ignore[attr-defined]
        "language": _language_token(utterance, bundle),
    }


def collate(items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
    """Items -> input_features (B, C, T) float32 and languages (B,) int64."""
    import torch

    from voxcli.models import clip_context

    return {
        "input_features": torch.from_numpy(clip_context.stack([item["input_features"] for item in items])),
        "languages": torch.tensor([item.get("language", _NO_LANGUAGE) for item in items]),
    }


def inputs(batch: Mapping[str, Any], device: torch.device, *, training: bool) -> dict[str, Any]:
    """What the model is called with beside the label."""
    mel = batch["input_features"].to(device, non_blocking=True)
    return {"input_features": mel.clone() if training else mel}  # SpecAugment of transformers masks in place


def label(utterance: Utterance, bundle: Bundle, duration: float) -> Label | None:
    """The label with its prefix, after what was said before where that is given; None without a transcript or, for a
    multilingual model, without a language. Raises `ModelError` for a language the tokenizer lacks.
    """
    from voxcli.tasks.whisper_prompt import among, is_multilingual, label_language, label_tokens, prefix, prompt_tokens

    if utterance.text is None:
        return None
    tokenizer, family = bundle.processor.tokenizer, _family(bundle)
    language = label_language(utterance, family.language, tokenizer)
    if language is None and is_multilingual(tokenizer):
        return None
    times = among(utterance, family.timestamps)
    before = prefix(tokenizer, language, tokenizer.task, timestamps=times)
    extractor = bundle.processor.feature_extractor
    tokens = label_tokens(
        tokenizer,
        utterance.text,
        before,
        duration=duration if times else None,
        window=extractor.n_samples / extractor.sampling_rate,
        segments=utterance.segments,
    )
    share = getattr(family, "previous_text", 0.0)
    if not utterance.previous or not among(utterance, share, "previous text of "):
        return tokens, 1
    # half of the positions at most, as in openai/whisper: transcribe.py, decoding.py
    room = min(family.positions // 2, family.positions - (len(tokens) - 1))
    prompt = prompt_tokens(tokenizer, utterance.previous, room)
    return [*prompt, *tokens], len(prompt) + 1


def around(table: Table, bundle: Bundle) -> np.ndarray:
    """Tokens of each row's label beside its text, at most; int64 (rows,)."""
    import numpy as np
    import pyarrow.compute as pc

    stored = table.column("segments").array
    segments = pc.fill_null(pc.count_substring(stored, "], ["), 0).to_numpy()
    found: np.ndarray = _AROUND + _PER_SEGMENT * segments.astype(np.int64)
    return found


def speaks(language: str | None, bundle: Bundle) -> bool:
    """Whether a label in a language has all the tokens that stand before its text."""
    from voxcli.tasks.whisper_prompt import is_multilingual, label_language, prefix

    tokenizer = bundle.processor.tokenizer
    code = label_language(Utterance(id="", audio=_unread, language=language), _family(bundle).language, tokenizer)
    if code is None and is_multilingual(tokenizer):
        return False
    try:
        prefix(tokenizer, code, tokenizer.task)
    except ModelError:
        return False
    return True


def predict(bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> list[Transcript]:
    """B transcripts, each clip in the language asked for, else in its own, the checkpoint's, or the one heard."""
    from voxcli.tasks.whisper_decoding import decode

    rate = bundle.processor.feature_extractor.sampling_rate
    durations = [int(n_samples) / rate for n_samples in batch["n_samples"]]
    own = [int(one) for one in batch["languages"]] if "languages" in batch else None
    return decode(bundle, batch["input_features"], durations, decoding, own=own)


def transcribe(task: Task, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
    """One recording of any length: in one piece up to the window, beyond it as `decoding.long_audio` says."""
    from voxcli.tasks import whisper_long

    extractor = bundle.processor.feature_extractor
    if len(audio) <= extractor.n_samples:
        item = task.features(Utterance(id="recording", audio=_unread), audio, bundle)
        one: Transcript = task.predict(bundle, task.collate([item], bundle), decoding)[0]
        return one
    if decoding.long_audio == "windows":
        return whisper_long.in_windows(task, bundle, audio, decoding)
    return whisper_long.sequential(bundle, audio, decoding)


def _language_token(utterance: Utterance, bundle: Bundle) -> int:
    """The token of the language that the data or the recipe name, else -1: the checkpoint's own, or heard."""
    from voxcli.tasks.whisper_prompt import label_language

    tokenizer = bundle.processor.tokenizer
    code = label_language(utterance, _family(bundle).language, tokenizer)
    number = None if code is None else tokenizer.convert_tokens_to_ids(f"<|{code}|>")
    return _NO_LANGUAGE if number in (None, tokenizer.unk_token_id) else int(number)


def _family(bundle: Bundle) -> Any:
    """A family whose clips are Whisper's has the keys `language` and `timestamps`."""
    return bundle.family


def _unread() -> tuple[np.ndarray, int]:
    raise RuntimeError("the audio of this utterance is already in memory")
