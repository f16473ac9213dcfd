"""Wheels built by hand (packaging.python.org, "Binary distribution format"), so that installing needs no network."""

from __future__ import annotations

import textwrap
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, str],
    *,
    points: str | None = "",
    needs: Sequence[str] = (),
    metadata: str = "",
) -> Path:
    """Write a wheel. `points`: the lines below [voxcli]; by default each top-level module is one; None: none is."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    content = {path: textwrap.dedent(text).lstrip("\n") for path, text in files.items()}
    if points == "":
        modules = sorted({path.partition("/")[0].removesuffix(".py") for path in files})
        points = "\n".join(f"{one.removeprefix('vox_')} = {one}" for one in modules)
    content[f"{info}/METADATA"] = "\n".join(
        [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            f"Version: {version}",
            *(f"Requires-Dist: {one}" for one in needs),
            *metadata.splitlines(),
            "",
        ]
    )
    content[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if points is not None:
        content[f"{info}/entry_points.txt"] = f"[voxcli]\n{points}\n"
    content[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    return made


def unpack(made: Path, site: Path, *, installer: str = "pip", requested: bool = True) -> Path:
    """Install a wheel as pip does: its files, and who installed it on whose wish (PEP 376). Its dist-info folder."""
    with zipfile.ZipFile(made) as archive:
        archive.extractall(site)
        (top,) = {one.partition("/")[0] for one in archive.namelist() if ".dist-info/" in one}
    (site / top / "INSTALLER").write_text(f"{installer}\n")
    if requested:
        (site / top / "REQUESTED").write_text("")
    return site / top
