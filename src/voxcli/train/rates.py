"""`[train] layer_decay` and `learning_rates` -> the learning rate of every parameter.

Layers near the input hold what every language shares, layers near the output what this task needs; rates that fall from
the top (arXiv 1801.06146, 2003.10555) change the first less. The head and what stands behind the last layer have the
whole rate, layer i of n has `layer_decay` to the power n - i, what comes before the layers one power more; encoder and
decoder are counted apart. `learning_rates` comes after it and says rates themselves.
"""

from __future__ import annotations

from typing import Any

from voxcli.models import freezing
from voxcli.recipe.schema import Train

_BEFORE = ("feature_encoder", "feature_projection", "embeddings")


def rates(model: Any, train: Train) -> dict[int, float]:
    """id of a parameter -> its rate, of those whose rate is not `learning_rate`; empty where all have that.

    Raises `ModelError` for a group that the model does not have.
    """
    found: dict[int, float] = {}
    if train.layer_decay is not None:
        known = freezing.groups_of(model)
        for side in ("encoder", "decoder"):
            layers = freezing.layers_of(model, side)
            for index, layer in enumerate(layers):
                factor = train.layer_decay ** (len(layers) - index)
                found |= {id(one): train.learning_rate * factor for one in layer.parameters()}
            if side == "encoder":
                first = train.learning_rate * train.layer_decay ** (len(layers) + 1)
                for group in (group for group in _BEFORE if group in known):
                    found |= {id(one): first for one in freezing.members(model, group) if id(one) not in found}
    for group, rate in train.learning_rates.items():
        found |= {id(one): rate for one in freezing.members(model, group)}
    return found
