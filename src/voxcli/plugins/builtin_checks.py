"""The checks of `vox doctor` that voxcli brings: code -> where it lives. One line each, by code.

M machine   P plugins   R recipe   D data   A audio   S memory and speed   T runs   C checkpoints
"""

from __future__ import annotations

from voxcli.api import ComponentRegistry

_CHECKS = "voxcli.doctor.checks"

CHECKS = {
    # machine
    # plugins
    "P006": "plugins.crashed:CheckCrashed",
    # recipe
    "R103": "recipe.warmup:WarmupLongerThanRun",
    # data
    # audio
    # memory
    "S100": "memory.unpredicted:MemoryNotPredicted",
    "S101": "memory.too_large:BatchTooLarge",
    "S102": "memory.narrow:FitsNarrowly",
    "S103": "memory.evaluation:EvaluationTooLarge",
    "S104": "memory.workers:Workers",
    "S105": "memory.disk:DiskTooSmall",
    "S106": "memory.precision:PrecisionImitated",
    # run
    # checkpoint
}


def register(registry: ComponentRegistry) -> None:
    """Register the built-in checks under their codes."""
    for code, target in CHECKS.items():
        registry.add("check", code, f"{_CHECKS}.{target}")
