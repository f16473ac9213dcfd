"""What is planted around a project: packages on the path, a program, a file system's root, what torch says of a GPU."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from voxcli.doctor.machine.facts import Machine
from voxcli.testing import Project

LINKED_TO_CUDA = '''
    """Built for CUDA, as PyPI has it: its extension module finds no library of a torch that has no CUDA."""
    import ctypes

    ctypes.CDLL("libc10_cuda.so")
    '''


def distribution(
    project: Project,
    patch: pytest.MonkeyPatch,
    name: str,
    version: str,
    source: str | None,
    *,
    metadata: str = "",
    entry_points: str = "",
) -> Path:
    """A distribution as pip leaves it, in front of all others, for this process and for those it starts."""
    site = project.path / "site"
    if str(site) not in sys.path:
        site.mkdir(exist_ok=True)
        patch.syspath_prepend(str(site))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]))
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}")
    if entry_points:
        (info / "entry_points.txt").write_text(textwrap.dedent(entry_points))
    if source is not None:
        package = site / name.replace("-", "_")
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(textwrap.dedent(source))
    return site


def machine(patch: pytest.MonkeyPatch, **attributes: Any) -> None:
    """What probes of the machine would see."""
    for name, value in attributes.items():
        patch.setattr(Machine, name, value)


def root(project: Project, patch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    """The root of a file system with /proc, /sys and /dev."""
    project.write({f"root/{name}": content for name, content in files.items()})
    patch.delenv("container", raising=False)
    machine(patch, root=project.path / "root")


def program(project: Project, patch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """A shell script on PATH."""
    path = project.path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(script).strip()}\n")
    path.chmod(0o755)
    patch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")


def gpu(
    project: Project,
    patch: pytest.MonkeyPatch,
    *,
    name: str = "NVIDIA L4",
    driver: str = "580.95.05",
    total: int = 23034,
    used: int = 1,
    capability: str = "8.9",
    count: int = 1,
) -> None:
    """GPUs as nvidia-smi tells of them; memory in MiB."""
    row = f"echo '{name}, {driver}, {total}, {used}, {capability}'\n" * count
    listed = "\n".join(f"echo 'GPU {index}: {name} (UUID: GPU-0)'" for index in range(count))
    program(project, patch, "nvidia-smi", f'if [ "$1" = -L ]; then\n{listed}\nelse\n{row}fi')
    patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


TORCH = '''
    """What voxcli asks of torch, for a build and a driver that this machine does not have."""
    import types, warnings

    __version__ = "{version}"
    version = types.SimpleNamespace(cuda={cuda!r}, hip=None)


    class _Sum:
        def __add__(self, other): return self
        def sum(self): return self
        def item(self): return 4.0


    def ones(size, device):
        if {failure!r}:
            raise RuntimeError({failure!r})
        return _Sum()


    def get_num_threads():
        return {threads}


    def _available():
        if {said!r}:
            warnings.warn({said!r})
        return {available}


    def _init():
        raise RuntimeError({said!r} or "no NVIDIA driver on your system")


    cuda = types.SimpleNamespace(
        is_available=_available, init=_init, get_arch_list=lambda: {archs!r}, device_count=lambda: 1,
        get_device_name=lambda index: "{name}", get_device_capability=lambda index: {capability!r},
    )
    '''


def torch(project: Project, patch: pytest.MonkeyPatch, **settings: Any) -> None:
    """A torch that was built for CUDA and finds a GPU or not."""
    usual = {
        "version": "2.9.1+cu128",
        "cuda": "12.8",
        "available": False,
        "said": "",
        "threads": 1,
        "failure": "",
        "archs": ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"],
        "name": "NVIDIA L4",
        "capability": (8, 9),
    }
    values = {**usual, **settings}
    distribution(project, patch, "torch", values["version"], textwrap.dedent(TORCH).format(**values))


def bitsandbytes(project: Project, patch: pytest.MonkeyPatch, *, gpu: bool) -> None:
    """bitsandbytes with a native library for GPUs, or for processors alone."""
    site = distribution(project, patch, "bitsandbytes", "0.50.2", '"""Kernels."""')
    lib = f"class Library:\n    compiled_with_cuda = {gpu}\n\n\nlib = Library()\n"
    (site / "bitsandbytes" / "cextension.py").write_text(lib)
