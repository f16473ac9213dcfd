"""What people call the parts of a data set -> train, validation, test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voxcli.api import SPLITS, Split

USUAL_NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing"),
}


def names_of(split: Split, asked: Mapping[Split, Sequence[str]] | None) -> tuple[str, ...]:
    """The parts that make up a split: those asked for, else its usual names less those that another split asks for."""
    if asked is not None and split in asked:
        return tuple(asked[split])
    taken = {name.lower() for names in (asked or {}).values() for name in names}
    return tuple(name for name in USUAL_NAMES[split] if name not in taken)


def split_called(name: str) -> Split | None:
    """The split that a folder or a part is named after: "dev-clean" is the validation split, "house" none."""
    first = name.lower().replace("_", "-").replace(".", "-").split("-", 1)[0]
    return next((split for split in SPLITS if first in USUAL_NAMES[split]), None)
