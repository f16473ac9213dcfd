"""M001: every library that voxcli imports, imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.machine.facts import Imported


class LibraryDoesNotImport:
    """A library that voxcli needs is installed and cannot be imported.

    Why: pip looks at version numbers, not at whether a native library finds what it is linked to. A system library that
    is missing, a NumPy of another ABI, or two builds of CUDA side by side show when a command is in the middle of its
    work, and then as an error of whichever library came first. Each one is imported here in a process of its own, so
    that one that crashes or hangs is named as well.

    Repair: install it again, from the same place as its neighbours; the message of the library says what it misses.

    Sources: reference-scripts.md D, rows 1, 2; datasets#7707 and torchcodec#912 (native libraries that are installed
    and do not load); docs.python.org, importlib.
    """

    code: ClassVar[str] = "M001"
    name: ClassVar[str] = "library-does-not-import"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """One finding for each first cause, with the libraries that fall with it."""
        from voxcli.doctor.machine.facts import COMPANIONS

        imports = context.machine.imports
        failed = {one.name: one for one in imports.values() if one.failure is not None}
        causes = {name: _cause(one, failed) for name, one in failed.items()}
        for name, one in failed.items():
            elsewhere = name in COMPANIONS or name == "bitsandbytes"  # M002 and M003
            absent = one.failure is not None and one.failure.missing == name  # M011
            if causes[name] != name or elsewhere or absent or one.failure is None:
                continue
            others = [other for other, cause in causes.items() if cause == name and other != name]
            with_it = f"; with it: {', '.join(others)}" if others else ""
            version = f" {one.version}" if one.version else ""
            verb = {"raises": "cannot be imported", "crashes": "crashes", "hangs": "hangs"}[one.failure.how]
            what = verb if one.failure.how == "raises" else f"{verb} when it is imported"
            yield Finding(
                "error", f"{name}{version} {what}: {one.failure.message}{with_it}", _help(one), where=one.failure.place
            )


def _cause(one: Imported, failed: dict[str, Imported]) -> str:
    """The library that has to be repaired: the innermost of those that were running and fail by themselves."""
    if one.failure is None:
        return one.name
    inner = [package for package in one.failure.packages if package in failed and package != one.name]
    for package in reversed(inner):
        if one.name not in (failed[package].failure or one.failure).packages:
            return package
    if one.failure.missing in failed and one.failure.missing != one.name:
        return str(one.failure.missing)
    return one.name


def _help(one: Imported) -> str:
    assert one.failure is not None
    if one.failure.how == "hangs":
        return f'what it waits for shows `python -X faulthandler -c "import {one.name}"`, interrupted after a minute'
    if one.name == "soundfile" and "sndfile" in one.failure.message:
        return "install libsndfile (`apt install libsndfile1`), or `pip install --force-reinstall soundfile`"
    if one.failure.missing:
        return f"`pip install {one.failure.missing}`, which {one.name} needs"
    if one.name == "torch":
        return "install torch again as https://pytorch.org/get-started/locally/ says, into a fresh environment"
    return f"`pip install --force-reinstall --no-cache-dir {one.name}`"
