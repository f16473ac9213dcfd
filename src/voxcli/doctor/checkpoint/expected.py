"""A model's config -> the names and shapes of the weights that it needs, without any storage."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from voxcli.models.checkpoint import quietly

_OLD_NAMES = (
    (r"\.weight_g$", ".parametrizations.weight.original0"),
    (r"\.weight_v$", ".parametrizations.weight.original1"),
)
"""torch's weight_norm before and after it became a parametrization; files have either."""


_TRAINING_ONLY = (r"masked_spec_embed$",)
"""What training alone reads, and a model that was built without masks does not have."""


@dataclass(frozen=True)
class Expected:
    """What `from_pretrained` looks for."""

    shapes: Mapping[str, tuple[int, ...]]
    optional: frozenset[str]
    """What the model makes by itself."""
    ties: Mapping[str, str]
    """Weights that are one: each of a pair may stand for the other."""

    def missing(self, found: Collection[str]) -> list[str]:
        """Names of weights that are nowhere; none where the file names its weights in another way, which may be a
        renaming that transformers knows.
        """
        known = {_new(name) for name in found}
        for one, other in self.ties.items():
            if {_new(one), _new(other)} & known:
                known |= {_new(one), _new(other)}
        wanted = {_new(name): name for name in self.shapes if name not in self.optional}
        lost = [name for new, name in wanted.items() if new not in known]
        strange = {_new(name) for name in found} - wanted.keys() - {_new(name) for name in self.optional}
        return [] if len(strange) >= len(lost) else lost


def expected(config: Mapping[str, Any]) -> Expected | None:
    """None for a config that makes none of transformers' models."""
    import torch
    import transformers

    names = config.get("architectures") or ()
    model_class = getattr(transformers, str(names[0]), None) if names else None
    if model_class is None or config.get("quantization_config") is not None:
        return None
    table = {key: value for key, value in config.items() if key != "model_type"}
    try:
        with quietly(), torch.device("meta"):
            made = model_class(transformers.AutoConfig.for_model(str(config.get("model_type")), **table))
    except Exception:  # a config that does not make its model is said where the model is built
        return None
    shapes = {name: tuple(value.shape) for name, value in made.named_parameters()}
    patterns = [*(getattr(made, "_keys_to_ignore_on_load_missing", None) or ()), *_TRAINING_ONLY]
    optional = {name for name in shapes if any(re.search(pattern, name) for pattern in patterns)}
    buffers = {name for name, _ in made.named_buffers()}
    return Expected(shapes, frozenset(optional | buffers), _ties(made))


def _ties(model: Any) -> dict[str, str]:
    """Weights of a model that are tied to another one, by name."""
    if not getattr(model.config, "tie_word_embeddings", False):
        return {}
    ties = getattr(model, "_tied_weights_keys", None)
    return {str(one): str(other) for one, other in ties.items()} if isinstance(ties, dict) else {}


def _new(name: str) -> str:
    for old, new in _OLD_NAMES:
        name = re.sub(old, new, name)
    return name
