"""A setup -> its model without weights, dressed for training as a real one is, with tensors on which a step can run.

Models are kept, since a search traces one of them many times.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import torch

from voxcli.api import Bundle
from voxcli.memory.replay import Replay
from voxcli.memory.setup import Setup
from voxcli.memory.shapes import Depth, fakify, without_weights
from voxcli.models.checkpoint import config_only
from voxcli.train import loading

_MOST = 6  # models kept
_kept: dict[str, Built] = {}


@dataclasses.dataclass
class Built:
    """A model whose tensors are fake ones of `mode`."""

    bundle: Bundle
    mode: Any
    replay: Replay = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.replay = Replay(self.mode)


def bundle_of(setup: Setup, depth: Depth | None = None) -> Bundle:
    """The bundle of a setup: its processor, and its model on fake tensors, as training would have it.

    Only config.json is fetched; what else is missing is stood in for. `depth` limits the layers of every stack. Raises
    `ModelError`.
    """
    return built(setup, depth).bundle


def built(setup: Setup, depth: Depth | None = None) -> Built:
    """The same with the mode in which the tensors live. It is shared: leave no gradients behind."""
    key = _key(setup, depth)
    if key in _kept:
        _kept[key] = _kept.pop(key)  # the newest last
        return _kept[key]
    from torch._subclasses.fake_tensor import FakeTensorMode

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    options = loading.options(
        family=setup.family,
        train=setup.train,
        task=setup.task,
        adapter=setup.adapter,
        quantization=setup.quantization,
        device=torch.device(setup.device),
    )
    with config_only(), without_weights(depth=depth, device=setup.device):
        bundle = setup.family.build(setup.corpus, **options)
        with torch.device("meta"):
            bundle = loading.dress(
                bundle,
                setup.family,
                train=setup.train,
                adapter=setup.adapter,
                quantization=setup.quantization,
                task=setup.task,
            )
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    fakify(bundle.model, mode)
    while len(_kept) >= _MOST:
        _kept.pop(next(iter(_kept)))
    _kept[key] = Built(bundle, mode)
    return _kept[key]


@contextlib.contextmanager
def no_gradients_left(model: torch.nn.Module) -> Iterator[None]:
    """Free the gradients of a shared model at the end of the block, and leave its modules' modes as they were."""
    training = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for parameter in model.parameters():
            parameter.grad = None
        for module, mode in training.items():
            module.training = mode


def _key(setup: Setup, depth: Depth | None) -> str:
    """Everything that decides the model."""
    train = setup.train
    decides = (train.gradient_checkpointing, train.frozen_dtype, train.attn_implementation, train.freeze)
    corpus = (setup.corpus.characters, setup.corpus.labels)
    return repr((setup.family, corpus, decides, setup.adapter, setup.quantization, setup.device, depth))
