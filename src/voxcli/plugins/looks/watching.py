"""A finder that finds nothing itself: notes which heavy libraries a plugin imports, by which lines, in how long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from voxcli.plugins.looks.look import HeavyImport

HEAVY = (
    "torch", "torchaudio", "torchvision", "torchcodec", "transformers", "accelerate", "peft", "bitsandbytes",
    "datasets", "numpy", "scipy", "pandas", "pyarrow", "sklearn", "numba", "librosa", "soundfile", "soxr", "pydantic",
    "matplotlib", "tensorflow", "jax", "lightning", "onnxruntime", "ctranslate2", "faster_whisper", "ray",
    "tensorboard", "mlflow", "wandb",
)  # fmt: skip
"""Modules that no plugin has to import before one of its components is used. Measured here, imported first: numpy
and pydantic 0.1 s, datasets 1, torch 2, transformers' models 5; `vox --help` takes 0.15 s without them."""

_IMPORTERS = (
    "voxcli.plugins.looks.examine",
    "voxcli.plugins.importing",
    "voxcli.doctor.machine.starting",
    "voxcli.contract.weighing",
)
"""Who imports a plugin."""


class Watch:
    """Stands first in `sys.meta_path`."""

    def __init__(self, imported: Callable[[str], None] | None = None) -> None:
        """`imported` is told each heavy module, and each one of Python's own, as soon as it is there."""
        self._found: list[dict[str, Any]] = []
        self._imported = imported
        self._inside = False
        self.own_seconds = 0.0
        """Spent in `imported`, which is not the plugin's."""

    @property
    def found(self) -> tuple[HeavyImport, ...]:
        """The heavy libraries, in the order of their imports."""
        return tuple(HeavyImport(one["module"], one["seconds"], tuple(one["chain"])) for one in self._found)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Only the first heavy module of a chain counts: what torch imports is torch's."""
        heavy = name in HEAVY
        if self._inside or not (heavy or (self._imported is not None and name in sys.stdlib_module_names)):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        told: dict[str, Any] = {"module": name, "seconds": 0.0, "chain": _chain() if heavy else []}
        if heavy:
            self._found.append(told)
        run: Callable[[Any], None] = spec.loader.exec_module

        def timed(module: Any) -> None:
            self._inside = heavy
            begin = time.perf_counter()
            try:
                run(module)
            finally:
                told["seconds"] = time.perf_counter() - begin
                if heavy:
                    self._inside = False
            if self._imported is not None:
                begin = time.perf_counter()
                self._imported(name)
                self.own_seconds += time.perf_counter() - begin

        spec.loader.exec_module = timed  # type: ignore[method-assign]
        return spec


def _chain() -> list[str]:
    """ "module:line" of every import on the way, the plugin's own first."""
    chain: list[str] = []
    frame = sys._getframe(2)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith(_IMPORTERS):
            break
        between = name.partition(".")[0] == "importlib" or name == __name__
        if not between and not frame.f_code.co_filename.startswith("<frozen"):
            chain.append(f"{name}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment]
    return chain[::-1]
