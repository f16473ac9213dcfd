"""Faults of plugins: real distributions in front of the path, found by their entry points."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from planted import Around, Fault, Healthy, assert_found, assert_healthy
from surroundings import distribution

from voxcli.testing import Project

TONES = '''
    """Tones."""
    from voxcli.api import config, hookimpl
    {top}

    @config
    class Tones:
        """Tones of one pitch."""
        pitch: float = 440.0

        def utterances(self, split):
            return iter(())


    @hookimpl
    def vox_register(registry):
        registry.add("dataset", "{name}", "{module}:{component}")
    '''


def plugins(project: Project) -> list[str]:
    """This machine's plugins alone."""
    return ["--only", "P"]


def tones(module: str, *, top: str = "", name: str = "tones", component: str = "Tones") -> str:
    return TONES.format(module=module, top=top, name=name, component=component)


def installed(*plugged: tuple[str, str, str, str], metadata: str = "", target: str | None = None) -> Around:
    """Distributions of one plugin each: (distribution, version, module, source)."""

    def around(project: Project, patch: pytest.MonkeyPatch) -> None:
        for name, version, module, source in plugged:
            point = f"[voxcli]\n{module.removeprefix('vox_')} = {target or module}\n"
            site = distribution(project, patch, name, version, None, metadata=metadata, entry_points=point)
            if source:
                project.write({f"{site.name}/{module}.py": source})
            patch.delitem(__import__("sys").modules, module, raising=False)

    return around


def one(module: str, source: str, *, metadata: str = "", target: str | None = None) -> Around:
    """One distribution of one plugin."""
    return installed((module.replace("_", "-"), "1.2", module, source), metadata=metadata, target=target)


def file(module: str, source: str) -> Callable[[Project], list[str]]:
    """A one-off plugin file on the command line."""

    def plant(project: Project) -> list[str]:
        project.write({f"{module}.py": source})
        return ["--plugin", f"{module}.py", "--only", "P"]

    return plant


def helped(project: Project, patch: pytest.MonkeyPatch) -> None:
    """A plugin whose module imports its own helper, which imports numpy."""
    one("vox_deep", tones("vox_deep", top="import vox_deep_signal"))(project, patch)
    project.write({"site/vox_deep_signal.py": '"""Signals."""\nimport json\nimport numpy\n'})


HOOKS = """
    from voxcli.api import hookimpl

    @hookimpl
    def vox_register(registry):
        pass

    {more}
    """

FAULTS = [
    Fault("plugin-that-raises", plugins, "P001", around=one("vox_zero", "1 / 0")),
    Fault("plugin-with-a-syntax-error", plugins, "P001", around=one("vox_syntax", "def f(:")),
    Fault("plugin-without-its-dependency", plugins, "P001", around=one("vox_needs", "import no_such_module")),
    Fault("plugin-whose-files-are-gone", plugins, "P001", around=one("vox_gone", "")),
    Fault(
        "plugin-of-an-unknown-kind", plugins, "P001",
        around=one("vox_kind", tones("vox_kind").replace("dataset", "datset")),
    ),
    Fault("component-not-there", plugins, "P001", around=one("vox_empty", tones("vox_empty", component="Tone"))),
    Fault(
        "component-without-its-module", plugins, "P001", spawn=True,
        around=one("vox_away", tones("vox_away").replace('"vox_away:', '"vox_away.sounds:')),
    ),
    Fault("torch-at-start-up", plugins, "P002", around=one("vox_heavy", tones("vox_heavy", top="import torch"))),
    Fault("numpy-through-a-helper", plugins, "P002", around=helped, spawn=True),
    Fault(
        "numpy-in-vox-register", plugins, "P002",
        around=one("vox_late", tones("vox_late").replace("registry.add(", "import numpy\n        registry.add(")),
    ),
    Fault("seconds-at-start-up", plugins, "P002", around=one("vox_slow", "import time\ntime.sleep(1.2)")),
    Fault("pydantic-in-a-file", file("vox_file", tones("vox_plugin_vox_file", top="import pydantic")), "P002"),
    Fault(
        "two-data-sets-of-one-name", plugins, "P003",
        around=installed(
            ("vox-first", "1.0", "vox_first", tones("vox_first")),
            ("vox-second", "2.0", "vox_second", tones("vox_second")),
        ),
    ),
    Fault("name-of-a-built-in", plugins, "P003", around=one("vox_manifest", tones("vox_manifest", name="manifest"))),
    Fault(
        "two-distributions-with-one-module", plugins, "P003",
        around=installed(("vox-same", "1.0", "vox_same", tones("vox_same")), ("vox-same-fork", "1.1", "vox_same", "")),
    ),
    Fault(
        "built-for-an-older-voxcli", plugins, "P004",
        around=one("vox_old", tones("vox_old"), metadata="Requires-Dist: voxcli<0.0.5\n"),
    ),
    Fault(
        "built-for-a-newer-voxcli", plugins, "P004",
        around=one("vox_new", tones("vox_new"), metadata="Requires-Dist: numpy\nRequires-Dist: VoxCLI (>=7)\n"),
    ),
    Fault("built-for-another-api", plugins, "P004", around=one("vox_api", tones("vox_api", top="API_VERSION = 99"))),
    Fault(
        "marked-and-misspelled", plugins, "P005",
        around=one("vox_typo", HOOKS.format(more="@hookimpl\n    def vox_run_stat(run):\n        pass")),
    ),
    Fault(
        "spelled-and-not-marked", plugins, "P005",
        around=one("vox_unmarked", HOOKS.format(more="def vox_run_end(run, error):\n        pass")),
    ),
    Fault(
        "neither-marked-nor-spelled", plugins, "P005",
        around=one("vox_neither", tones("vox_neither").replace("@hookimpl\n    def vox_register", "def vox_registr")),
    ),
    Fault(
        "argument-that-the-hook-does-not-have", plugins, "P005",
        around=one(
            "vox_argument", HOOKS.format(more="@hookimpl\n    def vox_run_log(run, step, colour):\n        pass")
        ),
    ),
    Fault(
        "torch-patched", plugins, "P007",
        around=one("vox_bent", tones("vox_bent", top="import torch\n    torch.nn.Linear.forward = lambda self, x: x")),
    ),
]  # fmt: skip

LISTENER = HOOKS.format(
    more='''@hookimpl
    def vox_run_log(step, metrics):
        import numpy

    def vox_register_all(registry):
        """A helper of this plugin."""

    def vox_version():
        return "1.2"
    '''
)

HEALTHY = [
    Healthy(
        "a-plugin",
        plugins,
        around=one("vox_good", tones("vox_good", top="API_VERSION = 1"), metadata="Requires-Dist: voxcli>=0.1\n"),
        spawn=True,
    ),
    Healthy("a-listener-with-helpers", plugins, around=one("vox_listener", LISTENER)),
    Healthy(
        "two-plugins",
        plugins,
        around=installed(
            ("vox-high", "1.0", "vox_high", tones("vox_high", name="high")),
            ("vox-low", "2.0", "vox_low", tones("vox_low", name="low")),
        ),
    ),
    Healthy("a-file", file("vox_single", tones("vox_plugin_vox_single"))),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    assert_found(fault, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())
