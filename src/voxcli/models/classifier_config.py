"""Keys of `[model]` -> the transformers config of an audio classifier, from a checkpoint or from sizes alone."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from voxcli.errors import ModelError
from voxcli.models import ctc_frames
from voxcli.models.checkpoint import explained, quietly, read_config, source

WHISPER, AST, BERT = "whisper", "audio-spectrogram-transformer", "wav2vec2-bert"
MEL_RATE = 100  # frames a second of Whisper's and of AST's log-mel
WINDOW_SAMPLES = 400  # of the first frame of AST's log-mel (Kaldi's 25 ms)


def architectures() -> tuple[str, ...]:
    """Every `model_type` that AutoModelForAudioClassification of the installed transformers knows."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES

    return tuple(sorted(MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES))


def classifies(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a trained audio classifier."""
    named = [str(name) for name in config.get("architectures") or ()]
    return config.get("model_type") in architectures() and any(
        name.endswith(("ForSequenceClassification", "ForAudioClassification")) for name in named
    )


def as_trained(family: Any, config: Mapping[str, Any]) -> Any:
    """A family for a trained classifier that voxcli did not write: its classes are its own, one or several hold."""
    several = config.get("problem_type") == "multi_label_classification"
    return dataclasses.replace(family, labels="checkpoint", multi_label=several)


def from_checkpoint(checkpoint: str, changes: Mapping[str, Any]) -> Any:
    """The checkpoint's config with `changes`. Raises `ModelError` where it is missing or no encoder that classifies."""
    from transformers import AutoConfig

    model_type = read_config(checkpoint)["model_type"]
    if model_type not in architectures():
        raise ModelError(
            f"{checkpoint} is a {model_type} model, which transformers gives no head for audio classification",
            help=f"architectures that have one: {', '.join(architectures())}",
        )
    with quietly(), explained(checkpoint, "config"):
        config = AutoConfig.from_pretrained(checkpoint, **source(checkpoint))
    for key, value in changes.items():
        _known(config, key, model_type)
        setattr(config, key, value)
    return config


def from_sizes(architecture: str, sizes: Mapping[str, Any]) -> Any:
    """A config for random initialisation. Raises `ModelError` for an unknown architecture or key."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    known = architectures()
    name = next((one for one in (architecture, architecture.replace("_", "-")) if one in known), None)
    if name is None:
        close = difflib.get_close_matches(architecture, known, n=1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        raise ModelError(
            f"there is no architecture '{architecture}' for audio classification", help=f"{meant}{', '.join(known)}"
        )
    default = AutoConfig.for_model(name)
    for key in sizes:
        _known(default, key, name)
    try:
        return type(default)(**sizes)  # anew, because some sizes follow from others
    except (StrictDataclassError, ValueError, TypeError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ModelError(f"the sizes do not make a {name}: {reason}", help="check [model.config]") from error


def attends_to_mask(config: Any) -> bool:
    """Whether the architecture was made for an attention mask.

    Models whose convolutions are normalised over the group of all frames (`feat_extract_norm = "group"`:
    wav2vec2-base, hubert-base) were trained without, on audio padded with zeros (transformers,
    Wav2Vec2FeatureExtractor.return_attention_mask). Whisper and AST have windows of one length and no mask.
    """
    return config.model_type not in (WHISPER, AST) and getattr(config, "feat_extract_norm", "layer") == "layer"


def hears_padding(config: Any) -> bool:
    """Whether a clip's logits depend on the padding behind it.

    Without an attention mask they do. The convolutions that stand for positions in data2vec are normalised after each
    layer, which turns masked frames into something again; those inside the layers of the wav2vec 2.0 conformer reach
    from frames to the padding beside them.
    """
    if config.model_type in (WHISPER, AST):
        return False
    return not attends_to_mask(config) or config.model_type in ("data2vec-audio", "wav2vec2-conformer")


def masks_itself(config: Any) -> bool:
    """Whether the architecture masks its input in training (SpecAugment inside the model)."""
    return config.model_type not in (WHISPER, AST) and hasattr(config, "mask_time_prob")


def window(config: Any) -> float:
    """Longest clip in one piece, s; infinity where nothing but memory limits it."""
    if config.model_type == WHISPER:
        return config.max_source_positions * 2 / MEL_RATE
    return config.max_length / MEL_RATE if config.model_type == AST else float("inf")


def frames(config: Any, extractor: Any, n_samples: int) -> int:
    """Frames of the encoder for N samples; of windows of one length, those that the clip fills."""
    if config.model_type == WHISPER:
        return n_samples // (2 * extractor.hop_length)
    if config.model_type == AST:
        return max(0, (n_samples - WINDOW_SAMPLES) // (extractor.sampling_rate // MEL_RATE) + 1)
    return ctc_frames.output_frames(config, ctc_frames.feature_frames(extractor, n_samples))


def _known(config: Any, key: str, name: str) -> None:
    if hasattr(config, key) and not key.startswith("_"):
        return
    close = difflib.get_close_matches(key, list(config.to_dict()), n=1)
    raise ModelError(
        f"a {name} has no size called '{key}'",
        help=f"did you mean `{close[0]}`?" if close else "see the architecture's config in transformers' documentation",
    )
