"""Log-mel of clips up to Whisper's window -> transcripts, by transformers' `generate`.

Segments come from the timestamp tokens (arXiv 2212.04356, section 2.3); word times from dynamic time warping over the
cross-attention of the checkpoint's alignment heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Decoding, Segment, Transcript, Word
from voxcli.errors import ModelError
from voxcli.models.checkpoint import quietly
from voxcli.models.generation import languages
from voxcli.models.languages import language_code
from voxcli.tasks.whisper_words import words_of
from voxcli.tasks.wrapped import decoding_mode, device_of, unwrapped

if TYPE_CHECKING:
    import torch

_PREFIX = 4  # <|startoftranscript|><|language|><|task|><|notimestamps|>


def decode(
    bundle: Bundle,
    features: torch.Tensor,
    durations: list[float],
    decoding: Decoding,
    *,
    own: Sequence[int] | None = None,
    **more: Any,
) -> list[Transcript]:
    """Log-mel (B, C, T) and the clips' lengths in s -> B transcripts. `own`: the tokens of the clips' languages, where
    the data say them, -1 where they do not. `more` goes to `generate`.

    Raises `ModelError` for a language or task that the model does not have, and for word times without alignment heads.
    """
    model = unwrapped(bundle.model)
    tokenizer = bundle.processor.tokenizer
    options = options_of(model, decoding) | more
    features = features.to(device_of(model), model.dtype)
    with quietly(), decoding_mode(model):
        chosen = spoken(model, features, decoding, own)
        if languages(model):
            options |= {"language": chosen, "task": decoding.task}
        if decoding.timestamps == "none" and "return_segments" not in more:
            ids = model.generate(features, **options)
            texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
            return [
                Transcript(text=text.strip(), language=language, duration=duration)
                for text, language, duration in zip(texts, chosen, durations, strict=True)
            ]
        pieces = _generate_segments(model, features, durations, decoding, options)
    transcripts = []
    for found, language, duration in zip(pieces, chosen, durations, strict=True):
        segments = tuple(_segment(piece, tokenizer, model, language, duration) for piece in found)
        segments = tuple(segment for segment in segments if segment.text)
        text = " ".join(segment.text for segment in segments)
        transcripts.append(Transcript(text=text, segments=segments, language=language, duration=duration))
    return transcripts


def options_of(model: Any, decoding: Decoding) -> dict[str, Any]:
    """What `generate` is called with: a length that always fits the decoder's positions, beams, repeats."""
    room = model.config.max_target_positions - _PREFIX
    options: dict[str, Any] = {
        "max_new_tokens": room if decoding.max_new_tokens is None else min(decoding.max_new_tokens, room),
        "num_beams": decoding.num_beams,
        "do_sample": False,
    }
    if decoding.no_repeat_ngram_size:
        options["no_repeat_ngram_size"] = decoding.no_repeat_ngram_size
    if decoding.stop_repeats and decoding.num_beams == 1:
        from voxcli.tasks.endless import stopping

        options["stopping_criteria"] = stopping()
    return options


def spoken(model: Any, features: torch.Tensor, decoding: Decoding, own: Sequence[int] | None = None) -> list[str]:
    """The language of each of B clips: the one asked for, the clip's own, the checkpoint's, or the one heard.

    Call it within `decoding_mode`.
    """
    table = languages(model)
    n_clips = features.shape[0]
    if not table:
        if decoding.language is not None and decoding.language.lower() not in ("en", "english"):
            raise ModelError(
                f"this model knows English only, and the language asked for is '{decoding.language}'",
                help="leave the language out, or take a multilingual checkpoint (without .en)",
            )
        if decoding.task == "translate":
            raise ModelError(
                "this model knows English only and cannot translate", help="take a multilingual checkpoint"
            )
        return ["en"] * n_clips
    if decoding.language is not None:
        return [language_code(decoding.language, table)] * n_clips
    codes = {number: code for code, number in table.items()}
    known = [codes.get(number, "") for number in own or [-1] * n_clips]
    if all(known):
        return known
    asked = getattr(model.generation_config, "language", None)
    if asked is not None:
        return [code or language_code(asked, table) for code in known]
    window = 2 * model.config.max_source_positions
    heard = model.detect_language(features[..., :window], generation_config=model.generation_config)
    return [code or codes[int(number)] for code, number in zip(known, heard, strict=True)]


def _generate_segments(
    model: Any, features: torch.Tensor, durations: list[float], decoding: Decoding, options: dict[str, Any]
) -> list[list[dict[str, Any]]]:
    """For each clip, what `generate` calls its segments: start and end in s, tokens, and token times where asked."""
    import torch

    options = options | {"return_timestamps": True, "return_segments": True}
    if decoding.timestamps != "word":
        found: list[list[dict[str, Any]]] = model.generate(features, **options)["segments"]
        return found
    if not getattr(model.generation_config, "alignment_heads", None):
        raise ModelError(
            "this checkpoint has no alignment heads, so it cannot give word times",
            help="copy `alignment_heads` from generation_config.json of the checkpoint it was trained from, "
            "or ask for segments",
        )
    frames = torch.tensor([min(round(duration * 100), features.shape[-1]) for duration in durations])
    mask = (torch.arange(features.shape[-1])[None] < frames[:, None]).long().to(features.device)
    attention = model.config._attn_implementation
    try:
        out = model.generate(features, **options, return_token_timestamps=True, attention_mask=mask)
    finally:
        model.config._attn_implementation = attention  # generate switches to eager and leaves it so
    return [list(segments) for segments in out["segments"]]


def _segment(piece: dict[str, Any], tokenizer: Any, model: Any, language: str, duration: float) -> Segment:
    first_time = model.generation_config.no_timestamps_token_id + 1
    tokens = [int(token) for token in piece["tokens"]]
    start, end = min(float(piece["start"]), duration), min(float(piece["end"]), duration)
    plain = [token for token in tokens if token < first_time]
    text = tokenizer.decode(plain, skip_special_tokens=True).strip()
    words: tuple[Word, ...] = ()
    if "token_timestamps" in piece:
        times = [min(max(float(time), start), max(end, start)) for time in piece["token_timestamps"]]
        words = words_of(tokens, times, tokenizer, language=language, start=start, stop_at=first_time)
    return Segment(text=text, start=start, end=max(end, start), words=words)
