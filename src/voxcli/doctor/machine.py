"""This machine: its devices, disks, limits and installed packages, each probed when it is first asked for."""

from __future__ import annotations


class Machine:
    """What checks of the machine compare with; a test replaces what it plants."""
