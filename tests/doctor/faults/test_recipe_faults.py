"""Faults of recipes, found in the recipe and the config of its model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from planted import Fault, Healthy, assert_found, assert_healthy, recipe

from voxcli.testing import Project

FAULTS = [
    Fault(
        "warm-up-longer-than-the-run",
        lambda project: recipe(project, train={"warmup_steps": 200.0}),
        "R103",
    ),
]
HEALTHY = [
    Healthy("warm-up-of-a-tenth", lambda project: recipe(project, train={"warmup_steps": 10.0})),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    assert_found(fault, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())
