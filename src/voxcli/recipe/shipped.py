"""The recipes and presets that voxcli brings: name -> file.

In an installed wheel they lie in `voxcli/recipes`; in a checkout in `recipes/` beside `src/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import voxcli


@dataclass(frozen=True)
class Shipped:
    """One shipped recipe or preset."""

    kind: Literal["recipe", "preset"]
    name: str
    path: Path

    def summary(self) -> str:
        """The first comment line of the file, without its mark."""
        for line in self.path.read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                return line.lstrip("# ").rstrip()
            if line.strip():
                break
        return ""


def folder() -> Path:
    """Where the shipped recipes lie."""
    package = Path(voxcli.__file__).resolve().parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parents[1] / "recipes"


def shipped() -> list[Shipped]:
    """Every shipped recipe, then every preset, by name."""
    root = folder()
    recipes = [Shipped("recipe", path.stem, path) for path in sorted(root.glob("*.toml"))]
    presets = [Shipped("preset", path.stem, path) for path in sorted((root / "presets").glob("*.toml"))]
    return recipes + presets


def find(name: str, *, prefer: Literal["recipe", "preset"]) -> Path | None:
    """The file of a shipped name; where a recipe and a preset share it, the preferred kind."""
    matches = sorted((one for one in shipped() if one.name == name), key=lambda one: one.kind != prefer)
    return matches[0].path if matches else None


def is_preset(path: Path) -> bool:
    """Whether a file is one of the shipped presets."""
    return path.resolve().parent == (folder() / "presets").resolve()
