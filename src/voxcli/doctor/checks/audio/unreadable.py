"""A002: files that hold no audio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioUnreadable:
    """Files that are there hold no audio that can be read.

    Why: a download that failed leaves an empty file or the web page that says so, Git LFS a pointer of 130 bytes; a
    manifest may name a folder. `vox train` sets such utterances aside, one by one, while it runs.

    Repair: what the message of the first of them says: fetch it again, `git lfs pull`, convert it; or leave it out.

    Sources: Git LFS pointers, git-lfs specification, docs/spec.md; the other signatures as in `voxcli.audio.formats`.
    """

    code: ClassVar[str] = "A002"
    name: ClassVar[str] = "audio-unreadable"
    about: ClassVar[About] = "audio"

    def run(self, context: Context) -> Iterator[Finding]:
        """What the index says, and what reading has found."""
        from voxcli.doctor.audio.files import findings

        yield from findings(context, "unreadable", "that holds no audio")
