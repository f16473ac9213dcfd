"""Keys of `[model]` -> the transformers config of a CTC architecture, from a checkpoint or from sizes alone.

Some architectures keep everything in one config (wav2vec 2.0), some in a nested `encoder_config` (Parakeet); keys are
put where they belong, and a key that neither has is an error, because transformers would take it silently.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from voxcli.errors import ModelError
from voxcli.models.checkpoint import explained, quietly, read_config, source

NO_VOCABULARY_YET = 32  # classes until the vocabulary is known; transformers' default
_ALIASES = {"hidden_dropout": "dropout"}  # what wav2vec 2.0 calls hidden_dropout, Parakeet calls dropout


def architectures() -> tuple[str, ...]:
    """Every `model_type` that AutoModelForCTC of the installed transformers knows."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CTC_MAPPING_NAMES

    return tuple(sorted(MODEL_FOR_CTC_MAPPING_NAMES))


def from_checkpoint(checkpoint: str, changes: Mapping[str, Any]) -> Any:
    """The checkpoint's config with `changes`. Raises `ModelError` where it is missing or no CTC architecture."""
    from transformers import AutoConfig

    model_type = read_config(checkpoint)["model_type"]
    if model_type not in architectures():
        family = 'type = "whisper"' if model_type == "whisper" else "a checkpoint of one of these"
        raise ModelError(
            f"{checkpoint} is a {model_type} model, which has no CTC head",
            help=f"CTC architectures: {', '.join(architectures())}; or choose {family}",
        )
    with quietly(), explained(checkpoint, "config"):
        config = AutoConfig.from_pretrained(checkpoint, **source(checkpoint))
    for key, value in _placed(config, changes, checkpoint).items():
        if key == "encoder_config":
            for inner, setting in value.items():
                setattr(config.encoder_config, inner, setting)
        else:
            setattr(config, key, value)
    if getattr(config, "vocab_size", None) is None:
        config.vocab_size = NO_VOCABULARY_YET
    return config


def from_sizes(architecture: str, sizes: Mapping[str, Any]) -> Any:
    """A config for random initialisation. Raises `ModelError` for an unknown architecture or key."""
    from transformers import AutoConfig

    name = architecture if architecture in architectures() else architecture.replace("_", "-")
    if name not in architectures():
        close = difflib.get_close_matches(architecture, architectures(), n=1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        raise ModelError(
            f"there is no CTC architecture '{architecture}'", help=f"{meant}known: {', '.join(architectures())}"
        )
    default = AutoConfig.for_model(name)
    placed = {"vocab_size": NO_VOCABULARY_YET, "pad_token_id": 0, **_placed(default, sizes, name)}
    from huggingface_hub.errors import StrictDataclassError

    try:
        return type(default)(**placed)  # anew, because some sizes follow from others
    except (StrictDataclassError, ValueError, TypeError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ModelError(f"the sizes do not make a {name}: {reason}", help="check [model.config]") from error


def has_own_masks(config: Any) -> bool:
    """Whether the architecture masks its inputs itself (SpecAugment inside the model)."""
    return hasattr(config, "mask_time_prob")


def _placed(config: Any, changes: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The changes with those that belong to the encoder under `encoder_config`."""
    placed: dict[str, Any] = {}
    for key, value in changes.items():
        if key == "encoder_config" and isinstance(value, Mapping):
            for inner, setting in value.items():
                _place(config, placed, inner, setting, name, nested_only=True)
        else:
            _place(config, placed, key, value, name)
    return placed


def _place(config: Any, placed: dict[str, Any], key: str, value: Any, name: str, *, nested_only: bool = False) -> None:
    encoder = getattr(config, "encoder_config", None)
    for candidate in (key, _ALIASES.get(key, key)):
        if encoder is not None and hasattr(encoder, candidate):
            placed.setdefault("encoder_config", {})[candidate] = value
            return
        if not nested_only and hasattr(config, candidate):
            placed[candidate] = value
            return
    known = [] if nested_only else [k for k in config.to_dict() if not k.startswith("_")]
    known += [] if encoder is None else list(encoder.to_dict())
    close = difflib.get_close_matches(key, known, n=1)
    raise ModelError(
        f"a {name} has no size called '{key}'",
        help=f"did you mean `{close[0]}`?" if close else "see the architecture's config in transformers' documentation",
    )
