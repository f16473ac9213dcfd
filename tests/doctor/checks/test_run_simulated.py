"""Many random logs: no warning for a healthy one, every fault that was planted into one is found."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import FAULTS, alarms, findings, healthy


@pytest.mark.parametrize("first", [0, 50, 100, 150])
def test_no_healthy_log_is_warned_of(first: int) -> None:
    told = {seed: alarms(healthy(np.random.default_rng(seed))) for seed in range(first, first + 50)}
    assert not {seed: found for seed, found in told.items() if found}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str) -> None:
    plant, code = FAULTS[name]
    missed = []
    for seed in range(20):
        rng = np.random.default_rng(1000 + seed)
        record = healthy(rng, least=1000, most=6000)
        plant(record, rng)
        if code not in {one for one, level, _ in findings(record) if level != "note"}:
            missed.append((seed, findings(record)))
    assert not missed
