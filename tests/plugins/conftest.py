"""Distributions as pip would install them: a module and a dist-info folder, on the path."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from distributions import distribute


@pytest.fixture
def install(tmp_path, monkeypatch):
    """`install("vox-tones", "1.2", {"vox_tones": source})`: each module is a plugin of that name."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def make(distribution, version, modules, **metadata):
        distribute(site, distribution, version, modules, **metadata)
        for module in modules:
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


@pytest.fixture(scope="module")
def vox(tmp_path_factory):
    """`vox(site, *arguments, **variables)`: a command in a process of its own, with the plugins of a folder."""
    home = tmp_path_factory.mktemp("home")

    def environment(site, **variables):
        made = {**os.environ, "PYTHONPATH": str(site), "NO_COLOR": "1", "VOX_CONFIG": str(home / "config")}
        made |= {"VOX_CACHE": str(home / "cache"), "PYTHONDONTWRITEBYTECODE": "1"} | variables
        made.pop("VOX_DISABLE_PLUGINS", None)
        return made

    def run(site, *arguments, code=0, **variables):
        command = [sys.executable, "-P", "-m", "voxcli", *arguments]
        environ = environment(site, **variables)
        done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=home, timeout=120)
        assert done.returncode == code, done.stderr
        return done

    run.environment = environment
    run.home = home
    return run


@pytest.fixture
def tones():
    """The source of a plugin that brings the data set `tones`, for the module of the given name."""
    return lambda module: TONES.replace("{module}", module)
