"""A001: files that are not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AudioMissing:
    """Audio files that the data name are not there.

    Why: `vox train` leaves these utterances out and goes on with the rest; a folder that was renamed or a disk that is
    not mounted leaves nothing. Whoever does not look trains on less than they think.

    Repair: `root` of the data set, where the files have moved; else fetch them, or leave the rows out.

    Sources: `voxcli.data.measure`, which sets them aside; relative paths begin at the manifest's folder or at `root`,
    as in NeMo's manifests.
    """

    code: ClassVar[str] = "A001"
    name: ClassVar[str] = "audio-missing"
    about: ClassVar[About] = "audio"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """What the index says of every row, and where the same names lie otherwise."""
        from voxcli.doctor.audio.files import renamed, unusable
        from voxcli.doctor.audio.moved import new_root
        from voxcli.doctor.data.rows import named, of

        for lost in unusable(context, "missing"):
            table, whole = lost.table, len(lost.rows) == len(lost.table)
            paths = [
                audio
                for row in lost.rows[:: max(1, len(lost.rows) // 20)]
                if not callable(audio := table.utterance(int(row)).audio)
            ]
            root = new_root(context, lost.split, paths)
            fix = Fix(leave_out=context.data.leave_out(lost.split, table, lost.rows)) if not whole else None
            help = "fetch them, correct the paths, or leave the utterances out"
            path: tuple[str | int, ...] = ()
            if root is not None:
                help, path, fix = (
                    f"they are in {root.folder}: root = {root.written!r}",
                    root.key,
                    Fix({root.dotted: root.written}),
                )
            elif (suffix := renamed(paths)) is not None:
                help = f"files of the same names end in {suffix}: correct the paths in the manifest"
            first = paths[0] if paths else ""
            yield Finding(
                "error" if whole and lost.split == "train" else "warning",
                f"{of(len(lost.rows), len(table))} of the {lost.split} split have no audio file: {first}",
                help,
                path=path,
                utterances=named(table, lost.rows),
                fix=fix,
            )
