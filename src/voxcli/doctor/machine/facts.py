"""This machine: its devices, disks, limits and installed packages, each probed when it is first asked for.

What may crash, hang or import torch is probed in a process of its own (`probing`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Literal

from voxcli.doctor.machine import control_groups, gpus, probing

WITHOUT_TORCH = ("numpy", "pyarrow", "soundfile", "soxr", "pydantic", "jiwer", "datasets", "av")
WITH_TORCH = ("torch", "safetensors", "tokenizers", "transformers", "accelerate", "bitsandbytes", "peft")
STACK = (*WITHOUT_TORCH, *WITH_TORCH)
"""What voxcli imports, in an order in which a failure is seen first where it belongs."""
OPTIONAL = ("av",)
"""What it imports only where it is installed."""
COMPANIONS = ("torchaudio", "torchvision", "torchcodec")
"""Built for one version of torch and one CUDA, never needed by voxcli; transformers imports them where they exist."""


@dataclass(frozen=True)
class Failure:
    """Why a library cannot be imported."""

    how: Literal["raises", "crashes", "hangs"]
    message: str
    """One line."""
    packages: tuple[str, ...] = ()
    """Whose code was running, the outermost first."""
    missing: str | None = None
    """The module that was not found, where that is the reason."""
    place: str = ""
    """File and line of the innermost code."""


@dataclass(frozen=True)
class Imported:
    """What came of importing a library."""

    name: str
    version: str | None
    """Of the distribution of that name."""
    failure: Failure | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """What `importing` found out about it."""


class Machine:
    """What checks of the machine compare with; a test replaces what it plants."""

    root: ClassVar[Path] = Path("/")
    """Where /proc, /sys and /dev are read."""
    import_seconds: ClassVar[float] = 90.0
    """How long all imports may take: torch and transformers from a cold network disk need a third of it."""
    driver_seconds: ClassVar[float] = 15.0
    """How long nvidia-smi may take: a second, and several where it has to wake eight GPUs first."""
    hub_seconds: ClassVar[float] = 3.0
    """How long the hub may take."""
    stack: ClassVar[tuple[str, ...]] = STACK

    # -------------------------------------------------------------------------------------------------------- libraries

    @cached_property
    def imports(self) -> dict[str, Imported]:
        """Every library that voxcli or transformers would import here; those of `COMPANIONS` and `OPTIONAL` only where
        they are installed. A library behind one that crashed or hung is left out.
        """
        stack = [name for name in self.stack if name not in OPTIONAL or exists(name)]
        groups = [[name for name in stack if (name in WITH_TORCH) is with_torch] for with_torch in (True, False)]
        groups += [[name] for name in COMPANIONS if exists(name)]
        return imported(groups, seconds=self.import_seconds)

    @cached_property
    def torch(self) -> Imported | None:
        """torch alone, where nothing has asked for all libraries."""
        if "imports" in self.__dict__:
            return self.imports.get("torch")
        return imported([["torch"]], seconds=self.import_seconds).get("torch")

    # -------------------------------------------------------------------------------------------------------------- GPU

    @cached_property
    def gpus(self) -> gpus.Gpus:
        """The NVIDIA GPUs, whether or not torch sees them."""
        return gpus.look(self.root, seconds=self.driver_seconds)

    # ------------------------------------------------------------------------------------------- processors and memory

    @cached_property
    def cpus(self) -> float:
        """Processors that this process may keep busy: its affinity, within the quota of its container."""
        try:
            mine = len(os.sched_getaffinity(0))
        except (AttributeError, OSError):  # macOS, Windows
            mine = os.cpu_count() or 1
        return min(float(mine), control_groups.cpus(self.root) or float(mine))

    @cached_property
    def memory(self) -> tuple[int | None, int | None]:
        """(memory of the machine, limit of the container), bytes; None where it is not known or there is none."""
        lines = _lines(self.root / "proc/meminfo")
        total = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")), None)
        limit = control_groups.memory(self.root)
        return total, limit if limit is not None and (total is None or limit < total) else None

    # ------------------------------------------------------------------------------------------------------------ disks

    def disk(self, folder: Path) -> tuple[Path, int, int] | None:
        """(the part of a path that exists, free bytes, total bytes) of the disk where a folder is or would be made."""
        place = folder.expanduser().absolute()
        while not place.exists() and place != place.parent:
            place = place.parent
        try:
            usage = shutil.disk_usage(place)
        except OSError:
            return None
        return place, usage.free, usage.total

    @cached_property
    def shared_memory(self) -> tuple[int, int] | None:
        """(total, free) bytes of /dev/shm; None where the system has none."""
        folder = self.root / "dev/shm"
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            return None
        return usage.total, usage.free

    # -------------------------------------------------------------------------------------------------------------- hub

    def hub(self, endpoint: str) -> str | None:
        """Why a hub does not answer, or None where it does; any answer is one, and an error's too."""
        said: list[str | None] = []

        def ask() -> None:
            try:
                request = urllib.request.Request(endpoint, method="HEAD")
                urllib.request.urlopen(request, timeout=self.hub_seconds).close()
                said.append(None)
            except urllib.error.HTTPError:
                said.append(None)
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", error)
                said.append(getattr(reason, "strerror", None) or str(reason))

        # a thread, because looking a name up has no time limit of its own
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(self.hub_seconds)
        return said[0] if said else f"no answer in {self.hub_seconds:g} s"


def imported(groups: Iterable[list[str]], *, seconds: float) -> dict[str, Imported]:
    """Import groups of libraries, each group in a process of its own."""
    commands = {" ".join(names): probing.python("voxcli.doctor.machine.importing", *names) for names in groups if names}
    found: dict[str, Imported] = {}
    for done in probing.run(commands, seconds=seconds).values():
        begun: str | None = None
        for line in done.out.splitlines():
            told = _table(line)
            begun = told.get("name", begun)
            if "seconds" in told and begun is not None:
                found[begun] = Imported(begun, version(begun), _failure(told["failure"]), told["facts"])
                begun = None
        if begun is not None:
            how: Literal["hangs", "crashes"] = "hangs" if done.code is None else "crashes"
            message = f"no answer in {seconds:g} s" if how == "hangs" else f"{done.ending} {done.complaint}".strip()
            found[begun] = Imported(begun, version(begun), Failure(how, message))
    return found


def exists(name: str) -> bool:
    """Whether a module can be found, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # in sys.modules without a spec
        return True


def version(distribution: str) -> str | None:
    """The installed version, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _failure(told: dict[str, Any] | None) -> Failure | None:
    if told is None:
        return None
    message = " ".join(str(told["message"]).split())
    return Failure("raises", message, tuple(told["packages"]), told["missing"], told["place"])


def _table(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:  # cut off by a crash
        return {}
    return told if isinstance(told, dict) else {}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
