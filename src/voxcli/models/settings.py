"""vox.json of a checkpoint: what its weights and its processor do not say, so that it is opened as it was trained.

    {"voxcli": "0.1.0",
     "model": {"type": "whisper", …keys of [model]…},
     "text": {…[text]…},
     "decoding": {…},
     "base": "openai/whisper-small",        the checkpoint that an adapter belongs to, else null
     "merged_from": "runs/a/checkpoints/…"} the adapter that an export was merged from; only there

Everything in it may be missing; keys that this version does not know are left out with a warning.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import voxcli
from voxcli.api import Decoding, ModelFamily
from voxcli.errors import ModelError
from voxcli.models.checkpoint import absolute, read_json
from voxcli.plugins.manager import manager
from voxcli.recipe.schema import TextRules

if TYPE_CHECKING:
    from voxcli.recipe.resolve import Recipe

log = logging.getLogger(__name__)

FILE = "vox.json"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Settings:
    """The content of one vox.json, as plain tables."""

    model: Mapping[str, Any]
    """`type` and the keys of `[model]`."""
    text: Mapping[str, Any] = field(default_factory=dict)
    decoding: Mapping[str, Any] = field(default_factory=dict)
    base: str | None = None

    def family(self) -> ModelFamily:
        """The model family with its keys. Raises `PluginError` where the plugin that brings it is not installed."""
        keys = dict(self.model)
        return component(manager().registry.load("model", str(keys.pop("type", ""))), keys, "model")

    def text_rules(self) -> TextRules:
        """What was done to the transcripts it learned."""
        return component(TextRules, self.text, "text")

    def decoding_options(self) -> Decoding:
        """How it was decoded when it was evaluated."""
        return component(Decoding, self.decoding, "decoding")


def read_settings(checkpoint: str) -> Settings | None:
    """vox.json of a checkpoint, or None where it was not written by voxcli. Raises `ModelError` for a broken one."""
    stored = read_json(checkpoint, FILE)
    if stored is None:
        return None
    model = stored.get("model")
    if model is None and "exported" in stored:  # of a model that voxcli did not train: the table says where it is from
        return None
    if not isinstance(model, dict) or not isinstance(model.get("type"), str):
        raise ModelError(f"{FILE} of {checkpoint} names no model type", help=f"remove {FILE} to open it as it is")
    return Settings(model, stored.get("text") or {}, stored.get("decoding") or {}, stored.get("base"))


def write_settings(recipe: Recipe, folder: Path) -> None:
    """Write vox.json of a checkpoint of this recipe. Local checkpoints are written as absolute paths."""
    model = dict(recipe.tables["model"])
    base = model.get("checkpoint")
    if isinstance(base, str):
        model["checkpoint"] = base = absolute(base)
    content = {
        "voxcli": voxcli.__version__,
        "model": {**model, "type": recipe.model_type},
        "text": dataclasses.asdict(recipe.text),
        "decoding": dataclasses.asdict(recipe.decoding()),
        "base": base if recipe.adapter is not None and recipe.adapter.type == "lora" else None,
    }
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def component(cls: type[_T], table: Mapping[str, Any], where: str) -> _T:
    """Make a config dataclass of a plain table. Raises `ModelError` for values of a wrong type."""
    from pydantic import TypeAdapter, ValidationError

    known = {one.name for one in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - known)
    if unknown:
        log.warning("%s: keys of another version are left out: %s", where, ", ".join(unknown))
    kept = {key: value for key, value in table.items() if key in known}
    try:
        return TypeAdapter(cls).validate_json(json.dumps(kept), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"{FILE}, {where}.{'.'.join(map(str, first['loc']))}: {first['msg']}",
            help=f"mend the value, or remove {FILE} to open the checkpoint as it is",
        ) from error
