"""A checkpoint's config -> the number of its parameters, without its weights: the model is built on the meta device."""

from __future__ import annotations

import functools
from typing import Any

from voxcli.models.checkpoint import explained, quietly, source


@functools.lru_cache(maxsize=16)
def count_parameters(checkpoint: str, auto_class: str) -> int:
    """Parameters of a checkpoint, tied ones once. `auto_class` is a class of transformers, "AutoModelForCTC".

    Raises `ModelError` where its config does not make such a model.
    """
    import transformers

    with quietly(), explained(checkpoint, "config"):
        config = transformers.AutoConfig.from_pretrained(checkpoint, **source(checkpoint))
        return sum(parameter.numel() for parameter in meta_model(config, auto_class).parameters())


def meta_model(config: Any, auto_class: str) -> Any:
    """A model with shapes and no storage. Exact for what depends on the config alone."""
    import torch
    import transformers

    with torch.device("meta"):
        return getattr(transformers, auto_class).from_config(config)
