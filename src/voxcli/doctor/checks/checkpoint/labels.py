"""C123: the labels of a classifier against its output layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class LabelsOfAnotherHead:
    """The classifier has another number of classes than the config has labels.

    Why: `id2label` says what each class means. With more classes than labels a prediction has no name, with fewer some
    labels can never come out; labels called LABEL_0, LABEL_1 … were never written into the config.

    Repair: `id2label` and `label2id` of the training data, in config.json.

    Sources: transformers' documentation, PretrainedConfig (id2label, label2id).
    """

    code: ClassVar[str] = "C123"
    name: ClassVar[str] = "labels-of-another-head"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Of models that classify."""
        folder = context.checkpoint
        labels = folder.config.get("id2label")
        head = folder.weights.tensors.get("classifier.weight") or folder.weights.tensors.get("classifier.dense.weight")
        if folder.kind != "classification" or not isinstance(labels, dict):
            return
        where, help = str(folder.path / "config.json"), "write the id2label and label2id of the training data"
        if head is not None and head.shape[0] != len(labels):
            yield Finding(
                "error",
                f"the classifier has {head.shape[0]:,} classes, config.json names {len(labels):,} labels",
                help,
                where=where,
            )
        elif labels and all(str(label).startswith("LABEL_") for label in labels.values()):
            yield Finding(
                "note", "the labels are called LABEL_0, LABEL_1 …: what a class means is lost", help, where=where
            )
