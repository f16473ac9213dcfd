"""Distributions as pip would install them: a module and a dist-info folder, on the path."""

from __future__ import annotations

import sys
import textwrap

import pytest


@pytest.fixture
def install(tmp_path, monkeypatch):
    """`install("vox-tones", "1.2", {"vox_tones": source})`: each module is a plugin of that name."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def make(distribution, version, modules):
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        points = "\n".join(f"{module.removeprefix('vox_')} = {module}" for module in modules)
        (info / "entry_points.txt").write_text(f"[voxcli]\n{points}\n")
        for module, source in modules.items():
            (site / f"{module}.py").write_text(textwrap.dedent(source))
            monkeypatch.delitem(sys.modules, module, raising=False)
        return site

    before = set(sys.modules)
    yield make
    for name in set(sys.modules) - before:
        if name.startswith("vox_"):
            del sys.modules[name]


TONES = '''
    from voxcli.api import config, hookimpl

    @config
    class Tones:
        """Tones."""
        pitch: float = 440.0

        def utterances(self, split):
            return iter(())

    @hookimpl
    def vox_register(registry):
        registry.add("dataset", "tones", "{module}:Tones", summary="tones of one pitch")
    '''


@pytest.fixture
def tones():
    """The source of a plugin that brings the data set `tones`, for the module of the given name."""
    return lambda module: TONES.replace("{module}", module)
