"""Keys of `[model] type = "pretraining"` -> the transformers config of a model that can be pre-trained."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from voxcli.errors import ModelError
from voxcli.models.checkpoint import explained, quietly, read_config, source

ARCHITECTURES = ("wav2vec2", "wav2vec2-conformer")
"""Those whose pre-training model of transformers hides frames and quantises. UniSpeech's computes no loss; HuBERT,
WavLM and data2vec have none, as they learn from clusters or from a teacher."""
_BY_FAMILY = ("mask_time_prob", "mask_time_length", "num_negatives")  # keys of [model] itself


def from_checkpoint(checkpoint: str, changes: Mapping[str, Any]) -> Any:
    """The checkpoint's config with `changes`. Raises `ModelError` where it is missing or of another architecture."""
    from transformers import AutoConfig

    model_type = read_config(checkpoint)["model_type"]
    if model_type not in ARCHITECTURES:
        raise ModelError(
            f"{checkpoint} is a {model_type} model, which cannot be pre-trained on audio alone",
            help=f"architectures: {', '.join(ARCHITECTURES)}",
        )
    with quietly(), explained(checkpoint, "config"):
        made = AutoConfig.from_pretrained(checkpoint, **source(checkpoint))
    _known(made, changes, checkpoint)
    for key, value in changes.items():
        setattr(made, key, value)
    return _fit(made, checkpoint)


def from_sizes(architecture: str, sizes: Mapping[str, Any]) -> Any:
    """A config for random initialisation. Raises `ModelError` for an unknown architecture or key."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    name = architecture.replace("_", "-")
    if name not in ARCHITECTURES:
        close = difflib.get_close_matches(name, ARCHITECTURES, n=1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        raise ModelError(
            f"there is no pre-training of '{architecture}'", help=f"{meant}known: {', '.join(ARCHITECTURES)}"
        )
    default = AutoConfig.for_model(name)
    _known(default, sizes, name)
    try:
        return _fit(type(default)(**sizes), name)
    except (StrictDataclassError, ValueError, TypeError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ModelError(f"the sizes do not make a {name}: {reason}", help="check [model.config]") from error


def frames(config: Any, n_samples: int) -> int:
    """Frames of the encoder for N samples; 0 where the convolutions need more."""
    count = n_samples
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        count = (count - kernel) // stride + 1
        if count <= 0:
            return 0
    return int(count)


def samples(config: Any, n_frames: int) -> int:
    """The fewest samples that make T frames."""
    count = n_frames
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        count = (count - 1) * stride + kernel
    return int(count)


def _known(config: Any, keys: Mapping[str, Any], name: str) -> None:
    for key in keys:
        if key in _BY_FAMILY:
            raise ModelError(
                f"[model.config] {key}: it is a key of [model] itself",
                help="a mask of pre-training is no mask of fine-tuning: what config.json says of it is for the latter",
            )
        if not hasattr(config, key):
            close = difflib.get_close_matches(key, [one for one in config.to_dict() if not one.startswith("_")], n=1)
            raise ModelError(
                f"a {name} has no size called '{key}'",
                help=f"did you mean `{close[0]}`?" if close else "see the architecture's config in transformers",
            )


def _fit(config: Any, name: str) -> Any:
    if getattr(config, "add_adapter", False):
        raise ModelError(
            f"{name} shortens its output (add_adapter), so that hidden frames have no counterpart in it",
            help="add_adapter = false in [model.config]",
        )
    if config.codevector_dim % config.num_codevector_groups:
        raise ModelError(
            f"codevector_dim = {config.codevector_dim} is no multiple of num_codevector_groups = "
            f"{config.num_codevector_groups}",
            help="each group makes an equal part of a codevector: change one of them in [model.config]",
        )
    # transformers makes the vector that stands for hidden frames only where the config masks something
    if not config.mask_time_prob > 0 and not config.mask_feature_prob > 0:
        config.mask_time_prob = type(config)().mask_time_prob
    return config
