"""Results that are remembered are those that torch gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from voxcli.memory.replay import Replay
from voxcli.memory.tracker import Tracker

WORK: dict[str, Callable[[torch.Tensor], Any]] = {
    "new": lambda x: functional.gelu(x @ x.transpose(0, 1)),
    "products": lambda x: x.view(2, 2, 6) @ x.t(),
    "views": lambda x: x.view(2, 2, 6).transpose(1, 2)[1:].expand(3, 6, 2),
    "in place": lambda x: (x * 2).add_(x).masked_fill_(x > 0, 1.0),
    "several": lambda x: functional.layer_norm(x, (6,), torch.ones(6), torch.zeros(6)),
    "lists": lambda x: [one + 1 for one in torch.cat([x, x]).split(2)],
    "numbers": lambda x: x * x.sum(),
    "types": lambda x: (x.to(torch.bfloat16) + 1).float() + 1.0,
    "dropout": lambda x: torch.native_dropout(x, 0.5, True),
}


def sizes(out: Any) -> Any:
    if isinstance(out, torch.Tensor):
        size = tuple(out.shape), out.stride(), out.dtype, out.storage_offset(), str(out.device)
        return size, out.untyped_storage().nbytes()
    return [sizes(one) for one in out]


@pytest.mark.parametrize("name", WORK)
def test_what_is_remembered_is_what_torch_says(name: str) -> None:
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    replay = Replay(mode)

    def run(**keys: Any) -> tuple[Any, int, list[tuple[int, int]]]:
        with mode, Tracker(events=True, **keys) as tracker:
            out = WORK[name](torch.empty(4, 6))
            assert tracker.events is not None
            return sizes(out), tracker.peak().total, tracker.events

    plain = run()
    assert run(run=replay) == plain
    asked: list[Any] = []
    real = FakeTensorMode.__torch_dispatch__

    def counted(self: Any, func: Any, *rest: Any, **more: Any) -> Any:
        asked.append(func)
        return real(self, func, *rest, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FakeTensorMode, "__torch_dispatch__", counted)
        assert run(run=replay) == plain
        n_remembered = len(asked)
        run()
    assert n_remembered < len(asked) - n_remembered


def test_other_sizes_are_asked_for_anew() -> None:
    mode = FakeTensorMode()
    replay = Replay(mode)
    with mode, Tracker(run=replay):
        for shape in ((4, 6), (5, 6), (4, 6)):
            x = torch.empty(*shape)
            assert (x + 1).shape == torch.Size(shape)
            assert (x[:, None] * torch.empty(1, 3, 1)).shape == torch.Size((shape[0], 3, 6))
        assert (torch.empty(4, 6, dtype=torch.int64) + 1).dtype == torch.int64
        assert (torch.empty(4, 6, dtype=torch.int64) + 1.0).dtype == torch.float32
        assert (torch.empty(4, 6, dtype=torch.int64) + True).dtype == torch.int64
        assert (torch.empty(6, 4).t() + 1).stride() == (1, 4)


def test_gradients_flow_through_what_is_remembered() -> None:
    mode = FakeTensorMode()
    replay = Replay(mode)
    with mode:
        model = nn.Sequential(nn.Linear(6, 6), nn.GELU(), nn.Linear(6, 6), nn.LayerNorm(6))
    for _ in range(2):
        with mode, Tracker(model, run=replay) as tracker:
            tracker.hold_model(model)
            model(torch.empty(4, 6)).sum().backward()
            assert all(one.grad is not None and one.grad.shape == one.shape for one in model.parameters())
            model.zero_grad()
