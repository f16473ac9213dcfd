"""Distributions as pip would install them, and reports that several tests look at."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """`install("vox-tones", {"vox_tones": source}, requires=("voxcli<1",))`: each module `vox_…` is a plugin."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def make(distribution: str, modules: dict[str, str], *, requires: tuple[str, ...] = ("voxcli<99",)) -> Path:
        info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        lines = [f"Requires-Dist: {one}" for one in requires]
        (info / "METADATA").write_text(
            "\n".join(["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 1.0", *lines])
        )
        points = "\n".join(
            f"{module.removeprefix('vox_')} = {module}" for module in modules if module.startswith("vox_")
        )
        (info / "entry_points.txt").write_text(f"[voxcli]\n{points}\n")
        for module, source in modules.items():
            (site / f"{module}.py").write_text(textwrap.dedent(source))
        return site

    yield make
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(site) in str(sys.modules[name].__file__):
            del sys.modules[name]
