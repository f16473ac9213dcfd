"""Which keys of a table say something else than their default, and the finding for those that nobody reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal

from voxcli.findings import Finding, Fix


def asked(table: Any, *names: str) -> list[str]:
    """Those of `names` that differ from their default: the recipe of a run names every key."""
    usual: dict[str, Any] = {}
    for one in dataclasses.fields(table):
        factory = one.default_factory
        usual[one.name] = one.default if factory is dataclasses.MISSING else factory()
    return [name for name in names if name in usual and getattr(table, name) != usual[name]]


def without_effect(
    section: str,
    names: Iterable[str],
    why: str,
    *,
    help: str | None = None,
    level: Literal["warning", "note"] = "warning",
) -> Finding:
    """Keys of a section that change nothing; the repair removes them."""
    keys = list(names)
    has = "has" if len(keys) == 1 else "have"
    return Finding(
        level,
        f"{' and '.join(f'{section}.{name}' for name in keys)} {has} no effect: {why}",
        help or f"remove {' and '.join(keys)}",
        path=(*section.split("."), keys[0]),
        fix=Fix({f"{section}.{name}": None for name in keys}),
    )
