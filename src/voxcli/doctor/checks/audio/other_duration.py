"""A012: durations that are not those of the files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class DurationDiffers:
    """The data say another duration than the file has.

    Why: training reads as much as the data say. Where that is less, the end of the sentence is missing while its text
    stays; where it is more, the utterance is set aside. Batches are made by these numbers as well.

    Repair: write the true durations, or leave the column out: then headers say them.

    Sources: NeMo's manifests and Kaldi's utt2dur hold durations in seconds; LENGTH_SLACK says how much may differ.
    """

    code: ClassVar[str] = "A012"
    name: ClassVar[str] = "duration-differs"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """Files that one row names from their beginning; rows that read stretches of a file have any length."""
        from voxcli.doctor.audio.listening import listen
        from voxcli.doctor.audio.mistaken import mistaken

        listening = listen(context)
        differ = mistaken(listening).durations
        longer = [clip for clip in differ if clip.header and (clip.utterance.duration or 0.0) > clip.header.duration]
        shorter = [clip for clip in differ if clip not in longer]
        for clips, what in ((longer, "longer"), (shorter, "shorter")):
            if not clips:
                continue
            first = clips[0]
            there = first.header.duration if first.header else 0.0
            example = f"{first.utterance.duration:.2f} s, and the file has {there:.2f} s"
            yield from listening.findings(
                clips,
                "warning",
                f"are {what} in the data than in their files: {example}",
                "write the true durations or leave the column out, or leave the utterances out",
            )
