"""A distribution -> what its metadata say: what it is, its licence, where it came from and how it was installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from voxcli.plugins.contents import files_of, hash_of_distribution

HOME = ("homepage", "home-page", "home", "source", "source code", "repository", "documentation")
"""Labels of a project's URLs that stand for its home, the best first."""


def provenance(name: str) -> dict[str, Any]:
    """What `vox plugins info` says of a distribution. Raises `PackageNotFoundError` where it is not installed."""
    found = distribution(name)
    url = _direct_url(found)
    return {
        "distribution": found.metadata["Name"],
        "version": found.version,
        "summary": _stated(found, "Summary"),
        "licence": _licence(found),
        "homepage": _homepage(found),
        "code": _code(found),
        "installer": (found.read_text("INSTALLER") or "").strip(),
        "source": _source(url),
        "editable": bool(url.get("dir_info", {}).get("editable")),
        "needs": list(found.requires or ()),
        "hash": hash_of_distribution(found),
    }


def is_installed(name: str) -> bool:
    """Whether there is a distribution of the name."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _stated(found: Distribution, name: str) -> str:
    return str((found.metadata.get_all(name) or [""])[0])


def _licence(found: Distribution) -> str:
    """The SPDX expression where there is one (PEP 639), else what older metadata say, on one line."""
    stated = _stated(found, "License-Expression") or _stated(found, "License")
    if stated:
        return stated.strip().split("\n")[0]
    classifiers = found.metadata.get_all("Classifier") or []
    return ", ".join(one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::"))


def _homepage(found: Distribution) -> str:
    urls: dict[str, str] = {}
    for one in found.metadata.get_all("Project-URL") or []:
        label, _, address = one.partition(",")
        urls[label.strip().lower()] = address.strip()
    if home := _stated(found, "Home-page"):
        urls.setdefault("home-page", home)
    return next((urls[label] for label in HOME if label in urls), next(iter(urls.values()), ""))


def _code(found: Distribution) -> str:
    """The folder of its package, or its file where it is one."""
    paths = [path for name, path in sorted(files_of(found)) if path.suffix == ".py" or name.endswith("/__init__.py")]
    packages = [path.parent for path in paths if path.name == "__init__.py"]
    shortest = min(packages, key=lambda path: len(path.parts), default=None)
    return str(shortest or next(iter(paths), ""))


def _direct_url(found: Distribution) -> Mapping[str, Any]:
    """`direct_url.json` (PEP 610): of what was installed from a folder, a file or a repository."""
    try:
        url = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return url if isinstance(url, dict) else {}


def _source(url: Mapping[str, Any]) -> str:
    address = str(url.get("url", ""))
    version_control = url.get("vcs_info", {})
    if version_control:
        return f"{version_control.get('vcs', '')}+{address}@{version_control.get('commit_id', '')}"
    if address.startswith("file://"):
        from urllib.parse import unquote, urlsplit

        return str(Path(unquote(urlsplit(address).path)))
    return address
