"""nvidia-smi, /proc, /sys and /dev -> the NVIDIA GPUs of this machine, whether or not torch sees them."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from voxcli.doctor.machine import probing

NVIDIA = "0x10de"  # PCI vendor, https://pcisig.com/membership/member-companies
DISPLAY = "0x03"  # PCI class of display controllers; 0x0300 VGA, 0x0302 3D
_QUERY = ("name", "driver_version", "memory.total", "memory.used", "compute_cap")
_MIB = 2**20


@dataclass(frozen=True)
class Gpu:
    """One GPU as nvidia-smi tells of it; None for what it does not say."""

    name: str
    total: int | None = None
    """Bytes."""
    used: int | None = None
    """Bytes, by all processes."""
    capability: tuple[int, int] | None = None


@dataclass(frozen=True)
class Gpus:
    """What is known of the NVIDIA GPUs."""

    found: tuple[Gpu, ...] = ()
    driver: str | None = None
    """Version of the loaded kernel driver."""
    seen: str = ""
    """What shows that there is a GPU; empty where nothing does."""
    complaint: str = ""
    """What nvidia-smi says where it fails."""
    given: bool = True
    """Whether this process's container, if it is in one, was given a GPU."""

    @property
    def names(self) -> str:
        """For a person: "an NVIDIA L4", "2 GPUs (NVIDIA L4)", "an NVIDIA GPU"."""
        known = sorted({gpu.name for gpu in self.found})
        if not known:
            return "an NVIDIA GPU"
        if len(self.found) == 1:
            return f"an {known[0]}" if known[0].startswith("NVIDIA") else f"a {known[0]}"
        return f"{len(self.found)} GPUs ({', '.join(known)})"

    @property
    def driver_major(self) -> int | None:
        """550 of "550.54.14"."""
        return int(self.driver.partition(".")[0]) if self.driver else None


def look(root: Path, *, seconds: float) -> Gpus:
    """Ask nvidia-smi, and look at what lies below `root` where it does not answer."""
    driver, given = _driver(root), _given(root)
    complaint = ""
    program = shutil.which("nvidia-smi")
    if program is not None:
        query = [program, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
        done = probing.run({"query": query, "list": [program, "-L"]}, seconds=seconds)
        found, told = _queried(done["query"])
        found = found or _listed(done["list"]) or _shown(done["query"])
        if found:
            return Gpus(found, told or driver, "nvidia-smi")
        if not _none(done["query"]) and done["query"].code != 0:
            said = done["query"].complaint or done["query"].out.strip().partition("\n")[0]
            complaint = f"nvidia-smi gives no answer in {seconds:g} s" if done["query"].code is None else said
            complaint = complaint or f"nvidia-smi ends with {done['query'].ending}"
            given = True  # a container has the program from its runtime, together with the GPU
    of_driver = tuple(Gpu(_model(path)) for path in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")))
    if of_driver:
        return Gpus(of_driver, driver, "/proc/driver/nvidia", complaint, given)
    if _on_bus(root):
        return Gpus((), driver, "the PCI bus", complaint, given)
    return Gpus((), driver, "nvidia-smi" if complaint else "", complaint, given)


def _queried(done: probing.Done) -> tuple[tuple[Gpu, ...], str | None]:
    """The rows of the query, and the driver's version."""
    found: list[Gpu] = []
    header = re.search(r"Driver Version: (\d+\.\d+(?:\.\d+)?)", done.out)
    driver = header[1] if header else None
    for line in done.out.splitlines() if done.code == 0 else ():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) < len(_QUERY) or not re.fullmatch(r"\d+(\.\d+)+", cells[-4]):
            continue
        driver = cells[-4]
        name = ",".join(cells[: len(cells) - len(_QUERY) + 1])
        capability = re.fullmatch(r"(\d+)\.(\d+)", cells[-1])
        numbers = (int(capability[1]), int(capability[2])) if capability else None
        found.append(Gpu(name, _bytes(cells[-3]), _bytes(cells[-2]), numbers))
    return tuple(found), driver


def _listed(done: probing.Done) -> tuple[Gpu, ...]:
    """`nvidia-smi -L`, which drivers answer that know less of queries."""
    named = re.findall(r"^GPU \d+: (.+?)(?: \(UUID.*)?$", done.out, re.MULTILINE) if done.code == 0 else []
    return tuple(Gpu(name) for name in named)


def _shown(done: probing.Done) -> tuple[Gpu, ...]:
    """An answer in no known form is an answer."""
    return (Gpu("NVIDIA GPU"),) if done.code == 0 and done.out.strip() and not _none(done) else ()


def _none(done: probing.Done) -> bool:
    return "no devices were found" in f"{done.out}{done.err}".lower()


def _bytes(cell: str) -> int | None:
    return int(cell) * _MIB if cell.isdigit() else None


def _driver(root: Path) -> str | None:
    text = _text(root / "proc/driver/nvidia/version")
    found = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", text)
    return found[1] if found else None


def _model(path: Path) -> str:
    found = re.search(r"^Model:\s*(.+)$", _text(path), re.MULTILINE)
    return found[1].strip() if found else "NVIDIA GPU"


def _on_bus(root: Path) -> bool:
    for device in (root / "sys/bus/pci/devices").glob("*"):
        if _text(device / "vendor").strip() == NVIDIA and _text(device / "class").startswith(DISPLAY):
            return True
    return False


def _given(root: Path) -> bool:
    """A container shows the bus and the driver of its host, and /dev/nvidia0 only where a GPU was handed to it."""
    inside = (root / ".dockerenv").exists() or (root / "run/.containerenv").exists() or "container" in os.environ
    return not inside or any((root / "dev").glob("nvidia[0-9]*"))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
