"""What the model of a recipe hears, said beside features that were made for other uses."""

from __future__ import annotations

from typing import Any

from voxcli.errors import VoxError
from voxcli.recipe.resolve import Recipe


def heard_by(recipe: Recipe) -> str | None:
    """One sentence; None where the recipe has no model or its checkpoint is not at hand."""
    from transformers import AutoFeatureExtractor

    from voxcli.models.open import locate

    checkpoint = getattr(recipe.model, "checkpoint", None)
    if checkpoint is None:
        return None
    try:
        extractor = AutoFeatureExtractor.from_pretrained(locate(checkpoint))
    except (OSError, ValueError, VoxError):
        return None
    return sentence(str(checkpoint), extractor)


def sentence(name: str, extractor: Any) -> str:
    """What the feature extractor of a model makes of audio."""
    if type(extractor).__name__ == "Wav2Vec2FeatureExtractor":
        return f"{name} takes the waveform itself: in training it ignores these features and their parameters"
    said = [
        f"{key} {value}"
        for key in ("feature_size", "n_fft", "win_length", "hop_length")
        if (value := getattr(extractor, key, None)) is not None
    ]
    return f"{name} computes its own input ({', '.join(said)}): in training it ignores these parameters"
