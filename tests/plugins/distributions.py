"""Distributions as an installer leaves them: modules, and a dist-info folder that names them as plugins."""

from __future__ import annotations

import textwrap


def distribute(site, distribution, version, modules, **metadata):
    """A distribution in a folder: each of `modules` is a plugin; `metadata`: further files, INSTALLER for example."""
    info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    points = "\n".join(f"{module.removeprefix('vox_')} = {module}" for module in modules)
    (info / "entry_points.txt").write_text(f"[voxcli]\n{points}\n")
    for name, content in metadata.items():
        (info / name).write_text(content)
    for module, source in modules.items():
        (site / f"{module}.py").write_text(textwrap.dedent(source))
    return info
