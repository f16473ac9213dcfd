"""What keys of augmentations have to be: a share, a range within bounds. Each answer is a finding with its repair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxcli.api import Finding


def share(p: float) -> Iterator[Finding]:
    """`p` is a probability."""
    if not 0.0 <= p <= 1.0:
        yield Finding("error", f"p = {p:g} is no share", "between 0 (never) and 1 (always)", path=("p",))


def within(
    key: str, values: float | Sequence[float], low: float, high: float, help: str, *, unit: str = ""
) -> Iterator[Finding]:
    """A value, or each of several, lies between `low` and `high`, both allowed; what is no number does not."""
    several = values if isinstance(values, Sequence) else (values,)
    for value in several:
        if not low <= value <= high:
            verb = "holds" if isinstance(values, Sequence) else "is"
            behind = f" {unit}" if unit else ""
            message = f"{key} {verb} {value:g}, expected {low:g} to {high:g}{behind}"
            yield Finding("error", message, help, path=(key,))
            return
