"""What `load_splits` says where data are read and little or nothing comes of them."""

from __future__ import annotations

from collections.abc import Sequence

from voxcli.api import Finding
from voxcli.data.exclude import read_exclude
from voxcli.data.filters import Drop
from voxcli.errors import DataError


def not_found(exclude: str, drops: Sequence[Drop]) -> list[Finding]:
    """A warning where ids to exclude stand in no split."""
    wanted = len(read_exclude(exclude))
    found = sum(drop.count for drop in drops if drop.key == "filter.exclude")
    if found >= wanted:
        return []
    message = f"{wanted - found} of {wanted} ids in [filter] exclude = {exclude!r} stand in no split"
    help = "ids are those that `vox train RECIPE --dry-run` and the result files show"
    return [Finding("warning", message, help, path=("filter", "exclude"))]


def few_texts(name: str, texts: int, utterances: int, whole: int) -> Finding:
    """A share of `[holdout]` that holds so few different texts that it measures those."""
    noun = "different text" if texts == 1 else "different texts"
    return Finding(
        "warning",
        f"[holdout] {name} took {utterances} of {whole} utterances with {texts} {noun}",
        "equal texts stay together, so few texts make a poor share; give the data a split of their own",
        path=("holdout", name),
    )


def nothing_left(drops: Sequence[Drop]) -> DataError:
    """The training split is empty, and why."""
    gone = [drop for drop in drops if drop.split == "train"]
    if not gone:
        return DataError("the training split is empty: no data set has utterances for it", help="check [[data]]")
    return DataError(
        "nothing is left of the training split",
        help="; ".join(f"{drop.count} left out, {drop.reason} (for example {drop.examples[0]})" for drop in gone),
    )
