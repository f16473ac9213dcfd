"""A003: files whose end is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioTruncated:
    """Files end before their header says they do.

    Why: a copy was interrupted or a disk was full. The transcript is still whole: a model learns to say what it cannot
    hear. Most readers take such a file for a shorter one and say nothing.

    Repair: copy or download the files again, or leave the utterances out.

    Sources: RIFF chunk lengths (McGill, WAVE specification), Ogg pages (RFC 3533, section 6); libsndfile reads on
    without a word.
    """

    code: ClassVar[str] = "A003"
    name: ClassVar[str] = "audio-truncated"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """What the index says, and what reading has found."""
        from voxcli.doctor.audio.files import findings

        yield from findings(context, "truncated", "whose end is missing")
