"""Faults of machines: packages that do not load, GPUs that are not used, disks, limits and settings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from planted import Around, Fault, Healthy, assert_found, assert_healthy
from surroundings import LINKED_TO_CUDA, bitsandbytes, distribution, gpu, machine, program, root, torch

from voxcli.testing import Project

GB = 10**9
PCI = {"sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n", "sys/bus/pci/devices/0000:01:00.0/class": "0x030200\n"}
"""An NVIDIA GPU as the bus shows it."""


def only(*codes: str) -> Callable[[Project], list[str]]:
    """This machine; the checks of the fault alone where the others would import all libraries again."""
    return lambda project: [word for code in codes for word in ("--only", code)]


def library(name: str, source: str, *, seconds: float = 60.0) -> Around:
    """One library of the stack is another one."""

    def around(project: Project, patch: pytest.MonkeyPatch) -> None:
        distribution(project, patch, name, "9.9", source)
        machine(patch, stack=("numpy", name), import_seconds=seconds)

    return around


def companion(name: str, *, whole: bool = False) -> Around:
    """A companion of torch from PyPI; `whole`: with everything that voxcli imports behind it."""

    def around(project: Project, patch: pytest.MonkeyPatch) -> None:
        distribution(project, patch, name, "2.9.1", LINKED_TO_CUDA)
        if not whole:
            cpu_build(project, patch)
            machine(patch, stack=("torch",))

    return around


def cpu_build(project: Project, patch: pytest.MonkeyPatch) -> None:
    torch(project, patch, version="2.9.1+cpu", cuda=None)


def quantization(source: str | None) -> Around:
    """bitsandbytes with another `__init__`, or as it is but without its native libraries."""

    def around(project: Project, patch: pytest.MonkeyPatch) -> None:
        found = find_spec("bitsandbytes")
        assert found is not None
        assert found.submodule_search_locations is not None
        real = Path(found.submodule_search_locations[0])
        site = distribution(project, patch, "bitsandbytes", "0.50.2", source)
        if source is None:
            shutil.copytree(real, site / "bitsandbytes", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        machine(patch, stack=("torch", "bitsandbytes"))

    return around


def no_backend(project: Project, patch: pytest.MonkeyPatch) -> None:
    torch(project, patch, available=True)
    bitsandbytes(project, patch, gpu=False)
    machine(patch, stack=("torch", "bitsandbytes"))


def one_gpu(project: Project, patch: pytest.MonkeyPatch) -> None:
    gpu(project, patch)


def on_the_bus(project: Project, patch: pytest.MonkeyPatch) -> None:
    cpu_build(project, patch)
    root(project, patch, PCI)
    patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def no_driver(project: Project, patch: pytest.MonkeyPatch) -> None:
    root(project, patch, PCI)
    patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    torch(project, patch)


def old_driver(project: Project, patch: pytest.MonkeyPatch) -> None:
    gpu(project, patch, driver="470.57.02")
    said = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."
    torch(project, patch, said=said)


def older_than_13(project: Project, patch: pytest.MonkeyPatch) -> None:
    gpu(project, patch, driver="550.54.14")
    torch(project, patch, version="2.9.1+cu130", cuda="13.0")


def other_driver(project: Project, patch: pytest.MonkeyPatch) -> None:
    said = "echo 'Failed to initialize NVML: Driver/library version mismatch' >&2; exit 18"
    program(project, patch, "nvidia-smi", said)
    torch(project, patch)


def hanging_driver(project: Project, patch: pytest.MonkeyPatch) -> None:
    program(project, patch, "nvidia-smi", "sleep 60")
    torch(project, patch)
    machine(patch, driver_seconds=1.0)


def old_gpu(project: Project, patch: pytest.MonkeyPatch) -> None:
    failure = "CUDA error: no kernel image is available for execution on the device"
    torch(project, patch, available=True, failure=failure, name="Tesla P100-PCIE-16GB", capability=(6, 0))


def locked_gpu(project: Project, patch: pytest.MonkeyPatch) -> None:
    torch(project, patch, available=True, failure="CUDA error: all CUDA-capable devices are busy or unavailable")


def disk(**free: int) -> Around:
    """Free bytes by the name of the folder that is asked for; plenty elsewhere."""

    def around(project: Project, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("HF_HOME", str(project.path / "hub"))
        for name in ("runs", "hub", "cache"):
            (project.path / name).mkdir(exist_ok=True)

        def asked(self: object, folder: Path) -> tuple[Path, int, int]:
            place = project.path / ("runs" if folder == Path("runs") else "hub" if "hub" in folder.parts else "cache")
            return place, free.get(place.name, 500 * GB), 1000 * GB

        machine(patch, disk=asked)

    return around


def empty_cache(project: Project, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.setenv("HF_HOME", str(project.path / "models"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT"):
        patch.delenv(name, raising=False)


def silent_mirror(project: Project, patch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        patch.delenv(name, raising=False)
    patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def small_for_two(project: Project, patch: pytest.MonkeyPatch) -> None:
    gpu(project, patch, count=2)
    machine(patch, shared_memory=(64 * 2**20, 64 * 2**20))


def full(project: Project, patch: pytest.MonkeyPatch) -> None:
    machine(patch, shared_memory=(64 * 2**20, 0))


def threads(project: Project, patch: pytest.MonkeyPatch) -> None:
    cpu_build(project, patch)
    patch.setenv("OMP_NUM_THREADS", "999")


def quota(project: Project, patch: pytest.MonkeyPatch) -> None:
    """A container with 4 of 64 processors: torch counts 64."""
    files = {"proc/self/cgroup": "0::/pod/one\n", "sys/fs/cgroup/pod/cpu.max": "400000 100000\n"}
    root(project, patch, {**files, "sys/fs/cgroup/pod/one/cpu.max": "max 100000\n"})
    torch(project, patch, threads=64)
    patch.delenv("OMP_NUM_THREADS", raising=False)
    patch.setattr("os.sched_getaffinity", lambda process: set(range(64)))


def old_transformers(project: Project, patch: pytest.MonkeyPatch) -> None:
    distribution(project, patch, "transformers", "4.57.1", None)


def small_container(project: Project, patch: pytest.MonkeyPatch) -> None:
    root(project, patch, {"proc/meminfo": "MemTotal: 131072000 kB\n", "sys/fs/cgroup/memory.max": "1073741824\n"})


FAULTS = [
    Fault(
        "system-library-missing", only("M001"), "M001",
        around=library("soundfile", 'import ctypes\nctypes.CDLL("libsndfile-absent.so.1")'),
    ),
    Fault("library-that-crashes", only("M001"), "M001", around=library("soxr", "import os\nos.abort()")),
    Fault(
        "library-that-hangs", only("M001"), "M001",
        around=library("datasets", "import time\ntime.sleep(60)", seconds=2.0),
    ),
    Fault(
        "torchaudio-for-cuda", only("M001", "M002"), "M002", around=companion("torchaudio", whole=True), spawn=True,
    ),
    Fault("torchcodec-for-cuda", only("M002"), "M002", around=companion("torchcodec")),
    Fault("torchvision-for-cuda", only("M002"), "M002", around=companion("torchvision")),
    Fault("bitsandbytes-does-not-import", only("M003"), "M003", around=quantization(LINKED_TO_CUDA)),
    Fault("bitsandbytes-without-its-library", only("M003"), "M003", around=quantization(None)),
    Fault("bitsandbytes-without-cuda", only("M003"), "M003", around=no_backend),
    Fault("cpu-build-beside-a-gpu", only("M004"), "M004", around=one_gpu, spawn=True),
    Fault("cpu-build-and-a-gpu-without-driver", only("M004"), "M004", around=on_the_bus),
    Fault("cuda-build-without-driver", only("M004"), "M004", around=no_driver),
    Fault("driver-older-than-cuda-12", only("M004"), "M004", around=old_driver),
    Fault("driver-older-than-cuda-13", only("M004"), "M004", around=older_than_13),
    Fault("driver-of-another-version", only("M004"), "M004", around=other_driver),
    Fault("driver-that-hangs", only("M004"), "M004", around=hanging_driver),
    Fault("gpu-without-kernels", only("M005"), "M005", around=old_gpu),
    Fault("gpu-that-refuses", only("M005"), "M005", around=locked_gpu),
    Fault("gpu-memory-taken", only("M006"), "M006", around=lambda project, patch: gpu(project, patch, used=20500)),
    Fault("no-room-for-a-checkpoint", only("M007"), "M007", around=disk(runs=GB // 5)),
    Fault("little-room-for-checkpoints", only("M007"), "M007", around=disk(runs=2 * GB)),
    Fault("no-room-for-a-model", only("M007"), "M007", around=disk(hub=GB // 10)),
    Fault("offline-with-an-empty-cache", only("M008"), "M008", around=empty_cache),
    Fault("mirror-that-is-silent", only("M008"), "M008", around=silent_mirror),
    Fault("two-gpus-and-64-mib", only("M009"), "M009", around=small_for_two),
    Fault("shared-memory-full", only("M009"), "M009", around=full),
    Fault("threads-by-variable", only("M010"), "M010", around=threads),
    Fault("threads-over-a-quota", only("M010"), "M010", around=quota),
    Fault("transformers-of-last-year", only("M011"), "M011", around=old_transformers),
    Fault("container-of-a-gigabyte", only("M012"), "M012", around=small_container),
]  # fmt: skip


def gpu_machine(project: Project, patch: pytest.MonkeyPatch) -> None:
    gpu(project, patch, used=900, total=8192)
    torch(project, patch, available=True)
    bitsandbytes(project, patch, gpu=True)
    distribution(project, patch, "torchaudio", "2.9.1", '"""The same build."""')
    patch.setenv("OMP_NUM_THREADS", "1")
    machine(patch, stack=("numpy", "torch", "bitsandbytes"), shared_memory=(64 * 2**20, 64 * 2**20))


def no_gpu(project: Project, patch: pytest.MonkeyPatch) -> None:
    """What `pip install torch` gives on a laptop without a GPU, in a container with sane limits, offline."""
    torch(project, patch, version="2.9.1", said="no NVIDIA driver on your system")
    files = {"proc/meminfo": "MemTotal: 32768000 kB\n", "proc/self/cgroup": "4:cpu,cpuacct:/\n3:memory:/\n"}
    cpu = "sys/fs/cgroup/cpu,cpuacct/cpu.cfs"
    files |= {f"{cpu}_quota_us": "400000", f"{cpu}_period_us": "100000", "dev/shm/empty": ""}
    root(project, patch, {**files, "sys/fs/cgroup/memory/memory.limit_in_bytes": "8589934592"})
    patch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT"):
        patch.delenv(name, raising=False)
    machine(patch, stack=("numpy", "torch"))


def shared_host(project: Project, patch: pytest.MonkeyPatch) -> None:
    """A container on a machine whose GPUs are for others."""
    cpu_build(project, patch)
    root(project, patch, {**PCI, ".dockerenv": "", "proc/driver/nvidia/gpus/0/information": "Model: NVIDIA L4\n"})


HEALTHY = [
    Healthy("this-machine", only(), spawn=True),
    Healthy("a-gpu-that-is-used", only(), around=gpu_machine),
    Healthy("a-cuda-build-without-a-gpu", only(), around=no_gpu),
    Healthy("a-container-without-the-gpu-of-its-host", only("M004"), around=shared_host),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    assert_found(fault, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())
