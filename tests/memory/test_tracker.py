"""Live bytes of storages: peaks, parts, places."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from voxcli.memory.tracker import Tracker

KB = 1024


def floats(n_bytes: int) -> torch.Tensor:
    return torch.zeros(n_bytes // 4)


@pytest.mark.parametrize("fake", [False, True])
def test_the_peak_is_what_lives_at_one_time(fake: bool) -> None:
    mode = FakeTensorMode() if fake else torch.enable_grad()
    with mode, Tracker() as tracker:
        kept = floats(4 * KB)
        gone = kept * 2
        del gone
        more = kept + 1
        view = more[10:]
        del more
    assert tracker.peak().total == 8 * KB
    assert tracker.bytes == 8 * KB  # the view keeps its storage
    del view
    assert tracker.bytes == 4 * KB


def test_blocks_are_rounded_as_the_device_rounds() -> None:
    with Tracker(rounding=512) as tracker:
        one, other = torch.zeros(1), torch.zeros(129)
    assert tracker.bytes == 512 + 1024
    del one, other


def test_parts_add_up_to_the_peak() -> None:
    model = nn.Linear(64, 64)
    model.bias.requires_grad_(False)
    optimizer = torch.optim.AdamW([model.weight], fused=True)
    with Tracker(model) as tracker:
        tracker.hold_model(model)
        with tracker.part("batch"):
            x = torch.randn(8, 64)
        tracker.phase = "forward"
        loss = model(x).sum()
        tracker.phase = "backward"
        loss.backward()
        before = tracker.peak()
        with tracker.optimizer_step():
            optimizer.step()
        after = tracker.peak()
    assert before.parts["weights"] == 64 * 4
    assert before.parts["trained weights"] == 64 * 64 * 4
    assert before.parts["batch"] == 8 * 64 * 4
    assert before.phase == "backward"
    assert after.phase == "optimizer"
    assert after.parts["gradients"] == 64 * 64 * 4
    assert after.parts["optimizer"] >= 2 * 64 * 64 * 4
    for peak in (before, after):
        assert sum(peak.parts.values()) == peak.total


def test_workspace_is_there_while_an_operation_runs() -> None:
    with Tracker(events=True) as tracker:
        kept = floats(KB)
        tracker.workspace(5 * KB)
    assert tracker.peak().total == 6 * KB
    assert tracker.peak().parts["workspace"] == 5 * KB
    assert tracker.bytes == KB
    del kept


def test_events_are_balanced() -> None:
    with Tracker(events=True) as tracker:
        kept = floats(KB)
        for _ in range(3):
            kept = kept + 1
    assert tracker.events is not None
    alive: dict[int, int] = {}
    highest = 0
    for number, n_bytes in tracker.events:
        if n_bytes > 0:
            assert number not in alive
            alive[number] = n_bytes
        else:
            assert alive.pop(number) == -n_bytes
        highest = max(highest, sum(alive.values()))
    assert sum(alive.values()) == tracker.bytes == KB
    assert highest == tracker.peak().total == 2 * KB


def test_places_are_named_in_both_directions() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.second(self.first(x).exp())
            return out

    model = Model()
    with Tracker(model, curve=True) as tracker:
        tracker.phase = "forward"
        loss = model(torch.ones(2, 4)).sum()
        tracker.phase = "backward"
        loss.backward()
    places = [place for place in tracker.places if place[1]]
    assert {("forward", "first"), ("forward", "second")} <= set(places)
    backward = [name for phase, name in places if phase == "backward"]
    assert backward.index("second") < backward.index("first")
    assert tracker.curve is not None
    assert len(tracker.curve) == len(tracker.places) == tracker.n_ops
    assert max(tracker.curve) == tracker.peak().total


def test_nothing_is_followed_afterwards() -> None:
    model = nn.Linear(2, 2)
    with Tracker(model) as tracker:
        tracker.hold_model(model)
    n_ops = tracker.n_ops
    model(torch.ones(1, 2)).sum().backward()
    assert tracker.n_ops == n_ops
    assert not torch.nn.modules.module._global_forward_pre_hooks
    assert not model.weight._post_accumulate_grad_hooks
