"""A014: the same recording under two names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioIdentical:
    """The same recording stands in the data under two names.

    Why: in two splits, the model is measured on what it was trained on. In one split, with two texts, one of the texts
    is wrong; with one text, it counts twice.

    Repair: `[filter] exclude` with lines of id, tab and `train`; within a split, keep the one whose text is right.

    Sources: duplicates across splits are the usual data leakage (Kaufman et al. 2012); equal are files with the same
    bytes, and recordings with the same samples in 16 bits.
    """

    code: ClassVar[str] = "A014"
    name: ClassVar[str] = "audio-identical"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the hash of the samples where they were read, by that of the bytes among files of one size."""
        from voxcli.doctor.audio.identical import findings
        from voxcli.doctor.audio.listening import listen

        yield from findings(listen(context))
