"""R120: the config of the model cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class ModelConfigUnreadable:
    """`[model] checkpoint` names nothing that is here, or its config makes no such model.

    Why: a run reads config.json first: the window, the longest label and the frames of a clip follow from it. Where it
    is missing, or belongs to another architecture, the run does not begin, and the checks that compare the recipe or
    the data with the model cannot be made.

    Repair: a folder that `save_pretrained` wrote, or a hub id where the hub can be reached:
    `hf download ID --local-dir FOLDER` on a machine with a network, then copy FOLDER.

    Sources: voxcli.models.checkpoint; docs/models.md.
    """

    code: ClassVar[str] = "R120"
    name: ClassVar[str] = "model-config-unreadable"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """The context tells why, where the config is opened."""
        from voxcli.doctor.context import Unavailable

        try:
            _ = context.config, context.limits
        except Unavailable:
            context.without("limits", "skeleton", "bundle", "prediction")  # for the same reason
            raise
        yield from ()
