"""Components that published packages bring, so that a missing name can be answered with what to install.

Kept by hand; a name moves here when its package is on PyPI.
"""

from __future__ import annotations

_KNOWN: dict[tuple[str, str], str] = {("decoder", "lm"): "vox-lm"}


def distribution_of(kind: str, name: str) -> str | None:
    """The distribution that brings a component, or None where no published package is known to."""
    return _KNOWN.get((kind, name))
