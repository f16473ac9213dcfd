"""R132: patterns and keys of `[adapter]` that touch none of its layers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.adapter_targets import matched
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


class AdapterKeyWithoutEffect:
    """`rank_pattern`, `alpha_pattern`, `exclude_modules` or `layers_to_transform` name layers that get no adapter.

    Why: PEFT compares these patterns with the layers that it adapts and passes over those that match nothing: the ranks
    stay as `r` says, nothing is excluded, and the recipe says otherwise. `freeze_feature_encoder` beside an adapter
    changes nothing either: all but the adapter is frozen.

    Repair: names as the model has them, or without the key.

    Sources: PEFT, get_pattern_key and check_target_module_exists.
    """

    code: ClassVar[str] = "R132"
    name: ClassVar[str] = "adapter-key-without-effect"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """From the names of the layers."""
        adapter: Any = context.recipe.adapter
        if adapter is None or adapter.type != "lora" or not context.limits or not context.skeleton.model.name_or_path:
            return
        hit = matched(context)
        if not hit:
            return  # R110
        for key in ("rank_pattern", "alpha_pattern"):
            for pattern in getattr(adapter, key):
                if not any(re.match(rf"(.*\.)?({pattern})$", name) for name in hit):
                    yield Finding(
                        "warning",
                        f"the pattern '{pattern}' of {key} matches no layer that gets an adapter",
                        f"layers that do: {', '.join(sorted(hit)[:4])} …",
                        path=("adapter", key, pattern),
                        fix=Fix({f"adapter.{key}": _without(getattr(adapter, key), hit)}),
                    )
                    break  # the repair keeps those that match
        names = [str(name) for name, _ in context.skeleton.model.named_modules() if name]
        excluded = adapter.exclude_modules
        unmatched = (
            [one for one in excluded if not any(name == one or name.endswith(f".{one}") for name in names)]
            if isinstance(excluded, tuple)
            else [excluded]
            if isinstance(excluded, str) and not any(re.fullmatch(excluded, name) for name in names)
            else []
        )
        if unmatched:
            kept = [one for one in excluded if one not in unmatched] if isinstance(excluded, tuple) else []
            yield Finding(
                "warning",
                f"exclude_modules names {', '.join(unmatched)}, which the model does not have",
                "names by the end of layers' names, or a pattern of whole names",
                path=("adapter", "exclude_modules"),
                fix=Fix({"adapter.exclude_modules": kept or None}),
            )
        yield from _beyond(adapter, hit)
        if getattr(context.recipe.model, "freeze_feature_encoder", False):
            yield Finding(
                "note",
                "freeze_feature_encoder changes nothing beside [adapter]: all but the adapter is frozen",
                "remove it, or leave it",
                path=("model", "freeze_feature_encoder"),
            )


def _without(patterns: dict[str, int], hit: list[str]) -> dict[str, int] | None:
    kept = {one: rank for one, rank in patterns.items() if any(re.match(rf"(.*\.)?({one})$", name) for name in hit)}
    return kept or None


def _beyond(adapter: Any, hit: list[str]) -> Iterator[Finding]:
    """Layers that the stack does not have, beside some that it has."""
    asked = adapter.layers_to_transform
    if asked is None:
        return
    found = {int(match[1]) for name in hit if (match := re.search(r"\.(\d+)\.", name))}
    lost = sorted(set(asked) - found)
    if lost:
        kept = [one for one in asked if one in found]
        yield Finding(
            "warning",
            f"layers_to_transform names {', '.join(map(str, lost))}, and no such layer gets an adapter",
            f"layers_to_transform = {kept}",
            path=("adapter", "layers_to_transform"),
            fix=Fix({"adapter.layers_to_transform": kept}),
        )
