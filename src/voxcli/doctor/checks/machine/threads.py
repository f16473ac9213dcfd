"""M010: threads against the processors that this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import OVERSUBSCRIBED
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


class ThreadsOversubscribed:
    """torch computes with more threads than this process has processors.

    Why: OpenMP's threads wait for each other actively. With more threads than processors they wait for threads that are
    not running: the same step takes several times as long. torch counts the processors of the machine and of the
    affinity, and knows nothing of the quota of a container, so a container with 4 of 64 processors starts 64 threads.

    Repair: OMP_NUM_THREADS set to the number of processors.

    Sources: docs.pytorch.org, "CPU threading"; OpenMP 5.2, OMP_WAIT_POLICY; kernel.org, cgroup v2, cpu.max. Measured
    here on one processor: 2 threads take 1.1 times as long as 1, 4 threads 1.5 times, 8 threads 2.8 times.
    """

    code: ClassVar[str] = "M010"
    name: ClassVar[str] = "threads-oversubscribed"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """What torch says it will use, else what the environment asks for."""
        machine = context.machine
        torch = machine.torch
        asked = {name: int(os.environ[name]) for name in VARIABLES if os.environ.get(name, "").isdigit()}
        threads = (torch.facts.get("threads") if torch is not None else None) or max(asked.values(), default=0)
        processors = max(1.0, machine.cpus)
        if threads <= OVERSUBSCRIBED * processors:
            return
        share = f"{machine.cpus:.2g} processors" if machine.cpus != 1 else "1 processor"
        reason = next((f"{name}={value}" for name, value in asked.items() if value == threads), None)
        because = f" ({reason})" if reason else " (it counts the processors of the whole machine)"
        yield Finding(
            "warning",
            f"torch computes with {threads} threads{because}, and this process may use {share}",
            f"export OMP_NUM_THREADS={max(1, int(machine.cpus))}",
        )
