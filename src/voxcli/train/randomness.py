"""The random generators that a training step draws from: seed them, keep their state, put it back.

What else a forward pass leaves behind, the running means of batch normalisation, is kept and put back in the same way.

Augmentation is not among them: it is seeded by (seed, epoch, utterance id), see `voxcli.data.loading`. What is left is
dropout, LayerDrop and SpecAugment inside the models, which draw from torch, numpy and Python.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn.modules.batchnorm import _NormBase


def seed_all(seed: int) -> None:
    """Seed Python, numpy and torch (every device)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def capture() -> dict[str, Any]:
    """The state of every generator, as a tree that `voxcli.train.packing` writes."""
    name, keys, position, has_gauss, gauss = np.random.get_state()
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (name, keys, position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore(state: dict[str, Any]) -> None:
    """Put back what `capture` returned; a device that is not there is left out."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def statistics(model: torch.nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The buffers that a training pass changes, each with a copy of what it holds now; for `restore_statistics`."""
    norms = [module for module in model.modules() if isinstance(module, _NormBase) and module.training]
    return [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers(recurse=False)]


def restore_statistics(kept: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Put back what `statistics` returned."""
    with torch.no_grad():
        for buffer, copy in kept:
            buffer.copy_(copy)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """What is drawn inside leaves the generators as they were: evaluating a run changes none of its losses."""
    state = capture()
    try:
        yield
    finally:
        restore(state)
