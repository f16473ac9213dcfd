"""D042: classes with a handful of training utterances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import FEW_OF_A_CLASS
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class SmallClass:
    """A class has a handful of training utterances.

    Why: a few recordings are a few voices in one room. The model learns the room.

    Repair: record more of it, join it with another class, or leave it out.

    Sources: spaCy's `debug data`, thresholds for labels (spacy/cli/debug_data.py); FEW_OF_A_CLASS.
    """

    code: ClassVar[str] = "D042"
    name: ClassVar[str] = "small-class"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Where only some classes are small; a data set that is small as a whole is told elsewhere."""
        from voxcli.doctor.data.labels import labels_by_split, of_labels
        from voxcli.doctor.data.rows import named

        counts = labels_by_split(context).get("train", {})
        small = {label: count for label, count in counts.items() if count < FEW_OF_A_CLASS}
        if small:
            table = context.data.used("train")
            shown = ", ".join(f"'{label}' {count}" for label, count in list(small.items())[::-1][:5])
            yield Finding(
                "warning" if len(small) < len(counts) else "note",
                f"{len(small)} of {len(counts)} classes have fewer than {FEW_OF_A_CLASS} training utterances: {shown}",
                "record more of them, or join them with other classes",
                utterances=named(table, of_labels(table, list(small))),
            )
