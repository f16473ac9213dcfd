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
    """More threads are asked for than this process has processors.

    Why: OpenMP's threads wait for each other actively. With more threads than processors they wait for threads that are
    not running: the same step takes several times as long. torch counts the processors of the machine and of the
    affinity, and knows nothing of the quota of a container, so a container with 4 of 64 processors starts 64 threads.
    OMP_NUM_THREADS is obeyed by torch where it has no MKL, and by other libraries; with MKL, torch stops at the
    processors that it counts.

    Repair: OMP_NUM_THREADS set to the number of processors.

    Sources: docs.pytorch.org, "CPU threading"; OpenMP 5.2, OMP_WAIT_POLICY; kernel.org, cgroup v2, cpu.max. Measured
    here on one processor: 2 threads take 1.1 times as long as 1, 4 threads 1.5 times, 8 threads 2.8 times.
    """

    code: ClassVar[str] = "M010"
    name: ClassVar[str] = "threads-oversubscribed"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """What torch says it will use, and what the environment asks for."""
        machine = context.machine
        torch = machine.torch
        own = int(torch.facts.get("threads") or 0) if torch is not None else 0
        asked = {name: int(os.environ[name]) for name in VARIABLES if os.environ.get(name, "").isdigit()}
        most = max([own, *asked.values()])
        if most <= OVERSUBSCRIBED * max(1.0, machine.cpus):
            return
        share = "1 processor" if machine.cpus == 1 else f"{machine.cpus:.3g} processors"
        variable = next((name for name, value in asked.items() if value == most), None)
        help = f"export OMP_NUM_THREADS={max(1, int(machine.cpus))}"
        if variable is not None:
            message = f"{variable}={most} asks for {most} threads, and this process may use {share}"
            help += "" if variable == "OMP_NUM_THREADS" else f", and unset {variable}"
        else:
            message = f"torch computes with {own} threads, one for each processor that it counts, and this process may "
            message += f"use {share}"
        yield Finding("warning", message, help)
