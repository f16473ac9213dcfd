"""D040: classes of very different size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import IMBALANCE
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ClassImbalance:
    """One class has many times the utterances of another.

    Why: a model that always answers with the largest class has a good accuracy and has learned nothing. The small
    classes are rarely seen and cost little when they are wrong.

    Repair: more recordings of the small classes, or fewer of the large one; judge by a metric that counts each class
    alike (macro F1), not by accuracy.

    Sources: He and Garcia, Learning from Imbalanced Data, 2009; IMBALANCE says where the line is drawn.
    """

    code: ClassVar[str] = "D040"
    name: ClassVar[str] = "class-imbalance"
    about: ClassVar[About] = "data"

    def run(self, context: Context) -> Iterator[Finding]:
        """Largest against smallest class of the training split."""
        from voxcli.doctor.data.labels import labels_by_split, of_labels
        from voxcli.doctor.data.rows import named

        counts = labels_by_split(context).get("train", {})
        if len(counts) < 2:
            return
        largest, most = next(iter(counts.items()))
        small = {label: count for label, count in counts.items() if count * IMBALANCE <= most}
        if small:
            shown = ", ".join(f"'{label}' {count}" for label, count in list(small.items())[::-1][:5])
            table = context.data.used("train")
            yield Finding(
                "warning",
                f"the class '{largest}' has {most:,} training utterances, {len(small)} of {len(counts)} classes have a "
                f"tenth of that or less: {shown}",
                "record more of the small classes, or leave some of the large one out; do not judge by accuracy",
                utterances=named(table, of_labels(table, list(small))),
            )
