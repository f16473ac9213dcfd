"""A plugin -> a hash over the files that it was installed with, the same on every machine that has the same code.

What counts are the files of the distribution and its entry points, by name and content. What installers write beside
them does not: the record, who installed it and why, compiled files, and the scripts in the folder `bin`, into which the
path of the environment is written. An editable install counts the files of its modules, under the names that a wheel
would give them.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from voxcli.plugins.manager import Plugin

GROUP = "voxcli"
COMPILED = (".pyc", ".pyo")
SCRIPTS = ("bin", "Scripts")
BLOCK = 1 << 20  # bytes read at once


def hash_of(plugin: Plugin) -> str:
    """ "sha256:…" of an installed plugin or a plugin file; "" where its files cannot be found."""
    if plugin.file is not None:
        return f"sha256:{_content(plugin.file)}"
    from importlib.metadata import PackageNotFoundError, distribution  # 15 ms, as in `plugins.installed`

    try:
        return hash_of_distribution(distribution(plugin.distribution))
    except PackageNotFoundError:
        return ""


def hash_of_distribution(found: Distribution) -> str:
    """ "sha256:…" over the names and contents of the files of a distribution."""
    import hashlib

    total = hashlib.sha256()
    for name, path in sorted(files_of(found)):
        total.update(f"{name}\0{_content(path)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def is_editable(found: Distribution) -> bool:
    """Whether the code lies where it is written and not in the environment (PEP 660, `direct_url.json`)."""
    try:
        url = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return False
    return bool(url.get("dir_info", {}).get("editable"))


def files_of(found: Distribution) -> Iterator[tuple[str, Path]]:
    """(name as in a wheel, path) of each file that counts."""
    if found.read_text("entry_points.txt") is not None:
        yield "entry_points.txt", _metadata(found) / "entry_points.txt"
    recorded = [] if is_editable(found) else list(_recorded(found))
    yield from recorded or _modules(found)


def strange_place(plugin: Plugin, target: str) -> Path | None:
    """The file from which Python would import the top-level module of `target`, where that is none of the plugin's.

    None too where there is no such module, or where it is a namespace, which has no code.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        spec = importlib.util.find_spec(target.partition(":")[0].partition(".")[0])
        found = distribution(plugin.distribution)
    except (PackageNotFoundError, ValueError, ImportError):
        return None
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin)
    return None if any(path == place or _same(path, place) for _, path in files_of(found)) else place


def _same(one: Path, other: Path) -> bool:
    try:
        return one.name == other.name and one.samefile(other)
    except OSError:
        return False


def _recorded(found: Distribution) -> Iterator[tuple[str, Path]]:
    """From RECORD, without the metadata and what an installer makes."""
    for entry in found.files or ():
        name = PurePosixPath(entry)
        is_metadata = any(part.endswith((".dist-info", ".egg-info")) for part in name.parts[:-1])
        is_script = name.parts[0] == ".." and len(name.parts) > 1 and name.parts[-2] in SCRIPTS
        if not is_metadata and not is_script and name.suffix not in COMPILED:
            yield str(name), Path(str(entry.locate()))


def _modules(found: Distribution) -> Iterator[tuple[str, Path]]:
    """The files of the modules that its entry points name. Finding a top-level module runs no code of it."""
    names = {point.module.partition(".")[0] for point in found.entry_points if point.group == GROUP}
    for name in sorted(names):
        spec = importlib.util.find_spec(name)
        if spec is None:
            continue
        if spec.submodule_search_locations is None:
            if spec.origin is not None and Path(spec.origin).is_file():
                yield Path(spec.origin).name, Path(spec.origin)
            continue
        for folder in map(Path, spec.submodule_search_locations):
            for path in folder.rglob("*"):
                if path.is_file() and path.suffix not in COMPILED and "__pycache__" not in path.parts:
                    yield f"{name}/{path.relative_to(folder).as_posix()}", path


def _metadata(found: Distribution) -> Path:
    return Path(str(getattr(found, "_path")))  # noqa: B009  importlib.metadata has no public name for the folder


def _content(path: Path) -> str:
    """The hash of one file; that of a missing one is "missing", so that it differs from every content."""
    import hashlib

    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(BLOCK):
                digest.update(block)
            return digest.hexdigest()
    except OSError:
        return "missing"
