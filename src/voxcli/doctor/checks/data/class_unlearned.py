"""D041: classes of validation or test that training lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ClassNotInTraining:
    """A class stands in validation or test, and not in training.

    Why: nothing can answer with a class that it never saw: each of its utterances is wrong, whatever is trained. A
    class of training that no other split has is never measured.

    Repair: spread the utterances of the class over the splits, or leave them out.

    Sources: scikit-learn's stratified splits refuse classes with fewer members than splits (StratifiedShuffleSplit).
    """

    code: ClassVar[str] = "D041"
    name: ClassVar[str] = "class-not-in-training"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Labels by split."""
        from voxcli.doctor.data.labels import labels_by_split, of_labels
        from voxcli.doctor.data.rows import named, of

        counts = labels_by_split(context)
        known = counts.get("train", {})
        for split in ("validation", "test"):
            new = [label for label in counts.get(split, {}) if label not in known]
            if new and known:
                table = context.data.used(split)
                hit = of_labels(table, new)
                yield Finding(
                    "warning",
                    f"{of(int(hit.sum()), len(table))} of the {split} split are of {len(new)} classes that training "
                    f"lacks: {', '.join(new[:5])}",
                    "spread the utterances of a class over the splits",
                    utterances=named(table, hit),
                    fix=Fix(leave_out=context.data.leave_out(split, table, hit)),
                )
            unmeasured = [label for label in known if label not in counts.get(split, {})]
            if unmeasured and counts.get(split):
                yield Finding(
                    "note",
                    f"{len(unmeasured)} of {len(known)} classes of the train split do not stand in {split}: "
                    f"{', '.join(unmeasured[:5])}",
                    f"how well they are learned is not measured there; move some of their utterances to {split}",
                )
