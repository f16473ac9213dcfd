"""Where voxcli keeps what it can compute again, and what a person has chosen: two folders of the environment."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$VOX_CACHE`, else `$XDG_CACHE_HOME/voxcli`, else `~/.cache/voxcli`; it need not exist or be writable."""
    return _folder("VOX_CACHE", "XDG_CACHE_HOME", ".cache")


def config_folder() -> Path:
    """`$VOX_CONFIG`, else `$XDG_CONFIG_HOME/voxcli`, else `~/.config/voxcli`; it need not exist or be writable."""
    return _folder("VOX_CONFIG", "XDG_CONFIG_HOME", ".config")


def _folder(own: str, shared: str, usual: str) -> Path:
    if asked := os.environ.get(own):
        return Path(asked).expanduser().absolute()
    if home := os.environ.get(shared):
        return Path(home) / "voxcli"
    try:
        return Path.home() / usual / "voxcli"
    except (
        RuntimeError
    ):  # an account without a home, as in some containers: a place where nothing is and nothing can be
        return Path(os.devnull) / usual / "voxcli"
