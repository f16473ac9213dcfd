"""Scaling, clipping and the power of two."""

from __future__ import annotations

import pytest
import torch

from voxcli.train import mean


def test_the_scale_is_a_power_of_two_near_one_over_the_count() -> None:
    for count in (1.0, 3.0, 100.0, 4321.0, 1e6):
        scale = mean.power_of_two(count)
        assert 0.5 <= scale * count <= 2.0
        mantissa, _ = torch.frexp(torch.tensor(scale))
        assert float(mantissa) == 0.5


@pytest.mark.parametrize("max_norm", [0.0, 0.5, 1e9])
def test_it_clips_like_torch(max_norm: float) -> None:
    torch.manual_seed(0)
    ours = [
        torch.nn.Parameter(torch.zeros(3, 4)),
        torch.nn.Parameter(torch.zeros(5)),
        torch.nn.Parameter(torch.zeros(2)),
    ]
    theirs = [torch.nn.Parameter(torch.zeros_like(one)) for one in ours]
    for one, other in zip(ours[:2], theirs, strict=False):  # the last has no gradient
        one.grad = torch.randn_like(one) * 8
        other.grad = one.grad / 8
    norm = mean.finish(ours, factor=torch.tensor(1 / 8), max_norm=max_norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm or float("inf"))
    torch.testing.assert_close(norm, expected)
    for one, other in zip(ours[:2], theirs, strict=False):
        torch.testing.assert_close(one.grad, other.grad)
    assert ours[2].grad is None
