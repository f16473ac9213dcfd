"""C160: vox.json of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_KEYS = ("model", "text", "decoding")


class VoxFile:
    """vox.json lacks a key, is of a newer voxcli, or names what is not installed.

    Why: vox.json says what weights and processor do not: the family, the rules that transcripts went through, how the
    model was decoded when it was scored. Without the text rules references are scored as they are, and error rates
    rise though the model is the same; a family whose plugin is not installed cannot be opened at all.

    Repair: copy vox.json from another checkpoint of the run; `pip install` the plugin or a newer voxcli.

    Sources: src/voxcli/models/settings.py (the format).
    """

    code: ClassVar[str] = "C160"
    name: ClassVar[str] = "vox-file"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Notes, except where the folder cannot be opened; a folder without vox.json is an ordinary one."""
        import voxcli
        from voxcli.errors import VoxError
        from voxcli.models.settings import read_settings

        folder = context.checkpoint
        if folder.vox is None:
            return
        where = str(folder.path / "vox.json")
        try:
            settings = read_settings(str(folder.path))
            if settings is not None:
                settings.family()
                settings.text_rules()
                settings.decoding_options()
        except VoxError as error:
            yield Finding("error", error.message, error.help or "copy vox.json from another checkpoint", where=where)
            return
        lost = [key for key in _KEYS if key not in folder.vox]
        if lost:
            message = f"vox.json lacks {' and '.join(lost)}: the defaults are taken"
            yield Finding("note", message, "copy vox.json from another checkpoint of the run", where=where)
        written = str(folder.vox.get("voxcli") or voxcli.__version__)
        if _numbers(written) > _numbers(voxcli.__version__):
            yield Finding(
                "note",
                f"the checkpoint was written by voxcli {written}, this is {voxcli.__version__}: keys that it does not "
                "know are left out",
                f"pip install 'voxcli>={written}'",
                where=where,
            )


def _numbers(version: str) -> tuple[int, ...]:
    """(0, 10, 1) of "0.10.1.dev3"."""
    found = []
    for part in version.split(".")[:3]:
        if not part.isdigit():
            break
        found.append(int(part))
    return tuple(found)
