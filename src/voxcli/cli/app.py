"""The `vox` command."""
from __future__ import annotations


def main() -> None:
    """Run `vox`."""
