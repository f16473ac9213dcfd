"""D043: labels that differ by capitals or white space only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class LabelSpelledTwice:
    """Labels differ by capitals, white space or normal form only.

    Why: to a program "Dog" and "dog " are two classes, each with a part of the recordings, and every answer is wrong
    for one of them.

    Repair: one spelling for each class in the data.

    Sources: Unicode Annex 15 for normal forms; seen in folders made on systems that tell no capitals apart.
    """

    code: ClassVar[str] = "D043"
    name: ClassVar[str] = "label-spelled-twice"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Labels of all splits, folded."""
        import unicodedata

        from voxcli.doctor.data.labels import labels_by_split, of_labels
        from voxcli.doctor.data.rows import named

        counts = labels_by_split(context)
        totals: dict[str, int] = {}
        for of_split in counts.values():
            for label, count in of_split.items():
                totals[label] = totals.get(label, 0) + count
        spelled: dict[str, list[str]] = {}
        for label in totals:
            folded = "".join(
                unicodedata.normalize("NFKC", label).casefold().replace("_", " ").replace("-", " ").split()
            )
            spelled.setdefault(folded, []).append(label)
        for labels in spelled.values():
            if len(labels) < 2:
                continue
            labels.sort(key=lambda label: -totals[label])
            ids = tuple(
                name
                for split in counts
                for name in named(context.data.used(split), of_labels(context.data.used(split), labels[1:]))
            )
            yield Finding(
                "warning",
                f"{len(labels)} labels are one word: {', '.join(f'{label!r} ({totals[label]})' for label in labels)}",
                f"write {labels[0]!r} in all rows",
                utterances=ids,
            )
