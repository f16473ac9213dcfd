"""R116: the feature extractor and the tokenizer of a checkpoint's folder against its config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import SPEECH_RATE
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_FRAMES_PER_SECOND = 50  # of Whisper's encoder: mel frames of 10 ms, two to a position
_RAW = (
    "wav2vec2",
    "hubert",
    "wavlm",
    "data2vec-audio",
    "unispeech",
    "unispeech-sat",
    "sew",
    "sew-d",
    "wav2vec2-conformer",
)


class ProcessorOfAnotherCheckpoint:
    """The feature extractor or the tokenizer in the checkpoint's folder belongs to another model.

    Why: large-v3 and turbo take 128 mel bins, all Whispers before them 80. With the wrong ones the run ends at the
    first batch. Another window, sampling rate or vocabulary may not end it: then timestamps and languages are shifted
    by a token, or the model hears everything at another speed.

    Repair: copy preprocessor_config.json (processor_config.json), tokenizer.json and generation_config.json from the
    checkpoint that config.json comes from.

    Sources: transformers issues 30740 and 27363; openai/whisper release of large-v3 (128 bins, one token more);
    arXiv 2006.11477 (16 kHz).
    """

    code: ClassVar[str] = "R116"
    name: ClassVar[str] = "processor-of-another-checkpoint"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the folder's JSON files. Of the feature extractor nothing where it is missing: building the model tells.

        Without a tokenizer transformers makes an empty one, and says nothing.
        """
        from voxcli.models.checkpoint import read_json

        checkpoint = getattr(context.recipe.model, "checkpoint", None)
        config = context.config
        if checkpoint is None or not config:
            return
        nested = (read_json(checkpoint, "processor_config.json") or {}).get("feature_extractor")
        extractor = nested or read_json(checkpoint, "preprocessor_config.json") or {}
        found = list(_extractor(extractor, config, context))
        found += _tokens(checkpoint, config, texts=context.recipe.task_name != "classification")
        if any("mel bins" in said for said, _ in found):
            context.without("skeleton", "bundle", "prediction")
        for said, level in found:
            yield Finding(
                level,
                f"{checkpoint}: {said}",
                "copy the processor's files from the checkpoint that config.json comes from",
                path=("model", "checkpoint"),
            )


def _extractor(extractor: dict[str, Any], config: dict[str, Any], context: Context) -> Iterator[tuple[str, Any]]:
    bins, expected = extractor.get("feature_size"), _bins(config, extractor)
    if bins is not None and expected is not None and bins != expected:
        yield f"its feature extractor computes {bins} mel bins, its config takes {expected}", "error"
    rate = extractor.get("sampling_rate")
    kind = config.get("model_type")
    if rate is not None and rate != SPEECH_RATE and (kind == "whisper" or kind in _RAW):
        level = "error" if kind == "whisper" else "warning"
        yield f"its feature extractor is for {rate} Hz, and {kind} models are trained at {SPEECH_RATE} Hz", level
    positions, seconds = config.get("max_source_positions"), extractor.get("chunk_length")
    if kind == "whisper" and positions and seconds and seconds * _FRAMES_PER_SECOND != positions:
        window = getattr(context.recipe.model, "encoder_context", "window") == "window"
        said = f"its feature extractor cuts windows of {seconds:g} s, its config takes {positions / 50:g} s"
        yield said, "error" if window else "warning"


def _bins(config: dict[str, Any], extractor: dict[str, Any]) -> int | None:
    """Mel bins that the model's first layer takes; None where it takes samples."""
    kind = config.get("model_type")
    if kind == "whisper":
        return int(config.get("num_mel_bins", 80))
    if kind == "wav2vec2-bert":
        return int(config.get("feature_projection_input_dim", 160)) // int(extractor.get("stride", 2))
    encoder = config.get("encoder_config")
    if isinstance(encoder, dict) and isinstance(encoder.get("num_mel_bins"), int):
        return int(encoder["num_mel_bins"])
    return None


def _tokens(checkpoint: str, config: dict[str, Any], *, texts: bool) -> Iterator[tuple[str, Any]]:
    """Tokens beyond the output layer, and the token before the timestamps at another place."""
    from voxcli.models.checkpoint import has_file, read_json

    rows = config.get("vocab_size")
    if config.get("model_type") == "whisper":
        if texts and not any(has_file(checkpoint, file) for file in ("tokenizer.json", "vocab.json")):
            yield (
                "it has no tokenizer (tokenizer.json, or vocab.json and merges.txt): texts would become nothing",
                "error",
            )
        added = (read_json(checkpoint, "tokenizer.json") or {}).get("added_tokens") or []
        ids = {one.get("content"): one.get("id") for one in added if isinstance(one, dict)}
        stored = (read_json(checkpoint, "generation_config.json") or {}).get("no_timestamps_token_id")
        own = ids.get("<|notimestamps|>")
        if stored is not None and own is not None and stored != own:
            yield f"<|notimestamps|> is token {own} of its tokenizer and {stored} of its generation config", "error"
        highest = max((number for number in ids.values() if isinstance(number, int)), default=-1)
    else:
        vocabulary = read_json(checkpoint, "vocab.json") or {}
        highest = max((number for number in vocabulary.values() if isinstance(number, int)), default=-1)
        if not any("CTC" in str(name) for name in config.get("architectures") or ()):
            return  # the output layer is new and fits whatever is chosen
    if isinstance(rows, int) and highest >= rows:
        yield f"its tokenizer has a token {highest}, its output layer {rows} rows", "error"
