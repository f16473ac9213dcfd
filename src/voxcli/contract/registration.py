"""Whether a plugin is found, registers what it means to under names of its own, and says which voxcli it is for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import metadata

import voxcli
from voxcli.api import API_VERSION
from voxcli.contract.bench import Bench, Component, said
from voxcli.contract.rules import rule
from voxcli.contract.target import Recorder, registry_of
from voxcli.errors import PluginError
from voxcli.plugins.misfits import implemented, oddities
from voxcli.plugins.registry import load_target

IMPORT = rule(
    "plugin", "import-fails", "the module that the entry point names is imported", "mend the line that is named"
)
ENTRY = rule(
    "plugin",
    "no-entry-point",
    'an entry point of the group "voxcli", by which voxcli finds it',
    '[project.entry-points.voxcli] NAME = "MODULE" in pyproject.toml, and install it anew',
)
REGISTER = rule(
    "plugin", "register-fails", "vox_register names components and does nothing else", "mend the line that is named"
)
REFUSED = rule(
    "plugin",
    "registration-refused",
    'registry.add(KIND, NAME, "module:Class", summary=...)',
    "correct the call in vox_register",
)
NOTHING = rule(
    "plugin",
    "registers-nothing",
    "a component, a command or a hook of runs",
    "mark vox_register with @hookimpl in the module that the entry point names, and call registry.add in it",
)
HOOK = rule("plugin", "hook-misspelled", "hooks by their names, marked with @hookimpl", "")
API = rule(
    "plugin",
    "other-api-version",
    f"API_VERSION = {API_VERSION}, or no API_VERSION at all",
    "adapt it to this version of voxcli.api, or install the voxcli it was written for",
)
RANGE = rule(
    "plugin",
    "other-voxcli",
    f"a requirement that voxcli {voxcli.__version__} meets",
    "widen the range in `dependencies` where the tests pass, or install the voxcli that it asks for",
)
NO_RANGE = rule(
    "plugin",
    "no-range",
    "voxcli among its dependencies, with the versions it was made for",
    'dependencies = ["voxcli>=X.Y,<X.Z"] in pyproject.toml; docs/plugins/compatibility.md says which',
    level="note",
)
NAME = rule(
    "component", "name", "lower-case words and numbers joined by hyphens: time-stretch", "rename it in vox_register"
)
TAKEN = rule(
    "component",
    "name-taken",
    "a name of its own: the bare name means what voxcli itself has, and this one only DISTRIBUTION/NAME",
    "rename it in vox_register",
)
TARGET = rule(
    "component",
    "target",
    'a target "module:Class" that can be imported',
    "correct it in vox_register, or mend the module",
)
SUMMARY = rule(
    "component",
    "no-summary",
    "a few words for `vox plugins list`",
    'registry.add(..., summary="what it is in five words")',
    level="note",
)

KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
CODE = re.compile(r"[A-Z]+[0-9]+")


def try_registration(bench: Bench, recorder: Recorder, failed: list[BaseException]) -> None:
    """Imports, entry points, hooks and versions of the plugin."""
    target = bench.target
    with bench.trial(None, "registration"):
        for part in target.parts:
            if part.error is not None:
                bench.remark(None, IMPORT, f"{part.target} cannot be imported: {said(part.error)}")
        if not target.installed:
            bench.remark(None, ENTRY, f"no entry point of an installed distribution names {target.name}")
        for error in failed:
            bench.remark(None, REGISTER, f"vox_register raises {said(error)}")
        for refused in recorder.refused:
            bench.remark(None, REFUSED, refused.message, repair=refused.help or "")
        whole = not failed and all(part.error is None for part in target.parts)
        if (
            whole
            and not recorder.added
            and not recorder.refused
            and not any(set(implemented(part.module)) - {"vox_register"} for part in target.parts)
        ):
            bench.remark(None, NOTHING, "it registers no component and implements no other hook")
        _hooks_misspelled(bench)
    with bench.trial(None, "versions"):
        _versions(bench)


def components(bench: Bench, recorder: Recorder, *, only: str = "") -> Iterator[Component]:
    """The components that can be imported, their names looked at; `only`: those whose "KIND/NAME" begins so."""
    builtin = {(one.kind, one.name) for one in registry_of(())}
    for one in recorder.added:
        component = Component(one, type(None))
        if not component.label.startswith(only):
            continue
        with bench.trial(component, "registration"):
            fits = KEBAB if one.kind != "check" else CODE
            if not fits.fullmatch(one.name):
                code = "the code of the check: letters and a number, ACME001"
                bench.remark(
                    component, NAME, f"it is called '{one.name}'", expected=code if one.kind == "check" else ""
                )
            if not bench.target.builtin and (one.kind, one.name) in builtin:
                bench.remark(component, TAKEN, f"voxcli itself has {one.kind} '{one.name}'")
            if not one.summary and one.kind != "check":
                bench.remark(component, SUMMARY, "it is registered without a summary")
        try:
            component.cls = load_target(one)
        except PluginError as error:
            bench.remark(component, TARGET, f"{one.target} cannot be imported: {said(error.__cause__ or error)}")
            continue
        if not inspect.isclass(component.cls):
            bench.remark(component, TARGET, f"{one.target} is {component.cls!r:.80}, no class")
            continue
        yield component


def _hooks_misspelled(bench: Bench) -> None:
    for part in bench.target.parts:
        if part.module is not None:
            for one in oddities(part.name, part.module):
                bench.remark(None, HOOK, one.message, repair=one.help)


def _versions(bench: Bench) -> None:
    target = bench.target
    for part in target.parts:
        declared = getattr(part.module, "API_VERSION", None)
        if declared is not None and declared != API_VERSION:
            bench.remark(None, API, f"{part.target} says API_VERSION = {declared!r}, and this is {API_VERSION}")
    if target.builtin or target.file is not None or not target.installed:
        return
    asked = _required(target.distribution)
    if asked is None:
        bench.remark(
            None, NO_RANGE, f"{target.distribution} does not require voxcli, so any version is installed with it"
        )
        return
    from packaging.specifiers import SpecifierSet

    specifier = SpecifierSet(asked)
    if not specifier.contains(voxcli.__version__, prereleases=True):
        bench.remark(None, RANGE, f"{target.distribution} requires voxcli{asked}, and this is {voxcli.__version__}")
    elif not any(one.operator in ("<", "<=", "==", "~=") for one in specifier):
        bench.remark(None, NO_RANGE, f"{target.distribution} requires voxcli{asked}: no version is ruled out above")


def _required(distribution: str) -> str | None:
    """The range of voxcli's versions that a distribution asks for; None where it asks for none."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for line in metadata.requires(distribution) or []:
        try:
            one = Requirement(line)
        except InvalidRequirement:
            continue
        if canonicalize_name(one.name) == "voxcli" and (one.marker is None or one.marker.evaluate({"extra": ""})):
            return str(one.specifier)
    return None
