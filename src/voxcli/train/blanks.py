"""How many frames of a CTC model are blank, counted while losses are computed: if nearly all are, it says nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from voxcli.tasks.wrapped import unwrapped


class Blanks:
    """Counts frames whose most probable class is the blank."""

    def __init__(self) -> None:
        self.blank = 0.0
        self.frames = 0.0

    @contextlib.contextmanager
    def counted(self, model: torch.nn.Module, frames: torch.Tensor | None) -> Iterator[None]:
        """Count what the model says of a batch within the block; `frames` (B,) are its clips', None counts nothing."""
        inner = unwrapped(model)
        if frames is None or not isinstance(getattr(inner.config, "pad_token_id", None), int):
            yield
            return

        def count(module: Any, inputs: Any, output: Any) -> None:
            logits = output.logits
            there = torch.arange(logits.shape[1], device=logits.device)[None] < frames.to(logits.device)[:, None]
            blank = (logits.argmax(-1) == inner.config.pad_token_id) & there
            self.blank, self.frames = self.blank + float(blank.sum()), self.frames + float(there.sum())

        handle = inner.register_forward_hook(count)
        try:
            yield
        finally:
            handle.remove()
