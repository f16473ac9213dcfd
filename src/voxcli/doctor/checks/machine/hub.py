"""M008: settings of the hub that contradict what can be loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.machine.disk import hub_cache
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

HUB = "https://huggingface.co"
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
CACHES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")
YES = ("1", "on", "yes", "true")


class NothingToLoadFrom:
    """Models can be loaded neither from the hub nor from its cache.

    Why: a recipe that names `openai/whisper-small` takes it from the hub or from the cache of an earlier download. With
    HF_HUB_OFFLINE set and a cache that is empty, or on a disk that is not mounted, every such recipe fails; with a
    mirror in HF_ENDPOINT that does not answer, it fails after minutes of attempts. Without a network and without such
    settings it is a note: checkpoints in local folders need neither.

    Repair: unset HF_HUB_OFFLINE once, or let HF_HOME name the folder with the models; correct HF_ENDPOINT.

    Sources: huggingface.co/docs/huggingface_hub, "Environment variables" (HF_HUB_OFFLINE, HF_HOME, HF_HUB_CACHE,
    HF_ENDPOINT); the layout of the cache: the same, "Understand caching".
    """

    code: ClassVar[str] = "M008"
    name: ClassVar[str] = "nothing-to-load-from"
    about: ClassVar[About] = "machine"

    def run(self, context: Context) -> Iterator[Finding]:
        """The hub is asked only where the settings let it be asked and nothing is cached, or another hub is named."""
        folder = hub_cache()
        offline = next((name for name in OFFLINE if os.environ.get(name, "").lower() in YES), None)
        cached = _cached(folder)
        if offline is not None:
            if cached:
                return
            named = next((name for name in CACHES if os.environ.get(name)), None)
            message = f"{offline} is set, and no model is cached in {folder}"
            help = f"unset {offline} for one download (`hf download openai/whisper-small`)"
            if named is not None:
                help += f", or let {named} name the folder with the models"
            help += "; checkpoints in local folders are loaded all the same"
            yield Finding("warning" if named is not None else "note", message, help)
            return
        endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB
        if cached and endpoint == HUB:
            return
        problem = context.machine.hub(endpoint)
        if problem is None:
            return
        if endpoint != HUB:
            message = f"HF_ENDPOINT={endpoint} does not answer: {problem}"
            help = "correct or unset HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use what is cached"
            yield Finding("note" if cached else "warning", message, help)
        else:
            yield Finding(
                "note",
                f"the hub does not answer ({problem}), and no model is cached in {folder}",
                "recipes need checkpoints in local folders, or HTTPS_PROXY where there is a proxy",
            )


def _cached(folder: Path) -> bool:
    """Whether at least one model was downloaded."""
    return any(any(path.glob("snapshots/*/*")) for path in folder.glob("models--*"))
