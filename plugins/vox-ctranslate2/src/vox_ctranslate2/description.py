"""A CTranslate2 folder -> what it says of its model: how it decodes, in which languages, how much it takes at once."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxcli.api import Decoding
from voxcli.errors import ModelError

POSITIONS = 448  # tokens of every published Whisper's decoder


@dataclass(frozen=True)
class Description:
    """What vox.json says; of a folder that somebody else converted, what is so of all Whisper models."""

    decoding: Decoding
    multilingual: bool
    language: str | None
    """The model's own language, a code; None: as it hears."""
    positions: int
    """Tokens that the decoder takes, a prompt included."""
    context: str
    """What its encoder sees of a clip: "clip" where it learned clips at their own length, else "window" or "merged"."""
    suppressed: tuple[int, ...] | None
    """Tokens that it never writes; None where the folder does not say."""


def describe(folder: Path, *, multilingual: bool) -> Description:
    """Read vox.json. `multilingual` is what CTranslate2 takes the model for, where vox.json does not say it."""
    content, stored = _read(folder / "vox.json"), _read(folder / "config.json").get("suppress_ids")
    facts = content.get("whisper") or {}
    known = {one.name for one in dataclasses.fields(Decoding)}
    own = {key: value for key, value in (content.get("decoding") or {}).items() if key in known}
    if not own and facts.get("task") == "translate":  # a model that voxcli did not train
        own["task"] = "translate"
    return Description(
        decoding=Decoding(**own),
        multilingual=bool(facts.get("multilingual", multilingual)),
        language=facts.get("language"),
        positions=int(facts.get("positions", POSITIONS)),
        context=str(facts.get("encoder_context") or (content.get("model") or {}).get("encoder_context") or "window"),
        suppressed=None if stored is None else tuple(stored),
    )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is no JSON: {error}", help="export the model again") from error
    return content if isinstance(content, dict) else {}


def language_code(name: str, codes: set[str]) -> str:
    """A language as people write it ("tr", "Turkish", "pt-BR") -> one of `codes`. Raises `ModelError`."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    wanted = name.strip().lower()
    for candidate in (wanted, TO_LANGUAGE_CODE.get(wanted, ""), wanted.replace("_", "-").partition("-")[0]):
        if candidate in codes:
            return str(candidate)
    raise ModelError(
        f"the model does not know the language '{name}'",
        help=f"it knows {len(codes)}: {', '.join(sorted(codes)[:12])} …",
    )
