"""The text file that `[filter] exclude` names -> ids to leave out, everywhere or of one split.

# a comment: hash, space
clip-0001.wav
clip-0002.wav<tab>train
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voxcli.api import SPLITS, Split
from voxcli.errors import DataError

COMMENT = "# "


@dataclass(frozen=True)
class Excluded:
    """What a list leaves out."""

    everywhere: frozenset[str] = frozenset()
    """Ids that leave every split."""
    of_split: Mapping[Split, frozenset[str]] = field(default_factory=dict)
    """Ids that leave one split only."""

    def __len__(self) -> int:
        return len(self.everywhere) + sum(len(ids) for ids in self.of_split.values())


def read_exclude(path: str | Path) -> Excluded:
    """The list in a file. Raises `DataError` where it cannot be read."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"[filter] exclude = {str(path)!r} cannot be read: {error}",
            help="it is a text file (UTF-8) of utterance ids, one a line",
        ) from error
    return parse(lines)


def parse(lines: Iterable[str]) -> Excluded:
    """Lines: an id, or id, tab and a split; empty lines and comments are skipped."""
    everywhere: set[str] = set()
    of_split: dict[Split, set[str]] = {}
    for line in lines:
        if not line.strip() or line.startswith(COMMENT):
            continue
        name, _, split = line.strip().rpartition("\t")
        if name and split in SPLITS:
            of_split.setdefault(split, set()).add(name.strip())
        else:
            everywhere.add(line.strip())
    return Excluded(
        frozenset(everywhere), {split: frozenset(ids - everywhere) for split, ids in of_split.items() if ids}
    )
