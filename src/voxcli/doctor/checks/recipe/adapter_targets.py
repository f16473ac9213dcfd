"""R110: `[adapter]` against the layers that the model has."""

from __future__ import annotations

import dataclasses
import difflib
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.keys import asked
from voxcli.errors import ModelError
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_LISTED = 12


class AdapterFitsNoLayer:
    """`target_modules` or `modules_to_save` name layers that the model does not have, or only such as are frozen,
    excluded or beyond the stack.

    Why: layers have other names in each architecture: q_proj and v_proj in Whisper and wav2vec 2.0, linear_q and
    linear_v in Wav2Vec2-BERT. Where nothing matches the run ends after the model was loaded. Where the recipe freezes
    the part that it adapts ([model] freeze_encoder, freeze_layers), nothing is left to learn. WavLM reads the weights
    of its attention and never calls the layers, so an adapter there learns nothing.

    Repair: leave `target_modules` out: the queries and values of every attention; or names from the list that the
    finding gives.

    Sources: PEFT, LoraConfig and check_target_module_exists; voxcli.train.lora.
    """

    code: ClassVar[str] = "R110"
    name: ClassVar[str] = "adapter-fits-no-layer"
    about: ClassVar[About] = "recipe"

    def run(self, context: Context) -> Iterator[Finding]:
        """From the names of the layers; no adapter is made."""
        from voxcli.train import lora

        recipe = context.recipe
        if recipe.adapter is None or recipe.adapter.type != "lora" or not context.limits:  # R120 where there are none
            return
        adapter = recipe.adapter
        model: Any = context.skeleton.model
        if not model.name_or_path:
            return  # weights from nothing: R109
        names = [str(name) for name, _ in model.named_modules() if name]
        direct = lora.read_directly(model.config.model_type)
        wrong = False
        for key in ("target_modules", "modules_to_save"):
            listed = getattr(adapter, key)
            if isinstance(listed, tuple) and (missing := _missing(listed, names)):
                wrong = True
                yield _no_such_layer(key, listed, missing, names)
        if isinstance(adapter.target_modules, tuple):
            never = [one for one in adapter.target_modules if one.rpartition(".")[2] in direct]
            if never:
                wrong = True
                yield Finding(
                    "error",
                    f"an adapter in {', '.join(never)} would learn nothing: the attention of {model.config.model_type} "
                    "reads the weights of these layers and never calls them",
                    "remove target_modules",
                    path=("adapter", "target_modules"),
                    fix=Fix({"adapter.target_modules": None}),
                )
        if not wrong and not matched(context):
            wrong = True
            yield self._nothing(context)
        if not wrong and (error := tried(context, adapter)) is not None:
            wrong = True
            yield _refused(context, error)
        if wrong:
            context.without("prediction")

    def _nothing(self, context: Context) -> Finding:
        adapter: Any = context.recipe.adapter
        frozen = getattr(context.recipe.model, "frozen_names", lambda: None)()
        key, help, changes = "target_modules", "remove target_modules", {"adapter.target_modules": None}
        why = f"target_modules = {_shown(adapter.target_modules)} matches no layer"
        if adapter.layers_to_transform is not None:
            key, why = (
                "layers_to_transform",
                f"layers_to_transform = {list(adapter.layers_to_transform)} leaves no layer",
            )
            help = "layers counted from 0, fewer than the model has"
            changes = {"adapter.layers_to_transform": None}
        elif adapter.exclude_modules:
            key, why = "exclude_modules", f"exclude_modules = {_shown(adapter.exclude_modules)} leaves no layer"
            help, changes = "remove exclude_modules", {"adapter.exclude_modules": None}
        elif frozen is not None:
            why = "every layer that target_modules names is frozen by [model]"
            help = "name layers that are trained, or freeze less"
        if adapter.layers_pattern is not None and "adapter.layers_to_transform" in changes:
            changes["adapter.layers_pattern"] = None
        return Finding("error", f"[adapter] trains nothing: {why}", help, path=("adapter", key), fix=Fix(changes))


def matched(context: Context) -> list[str]:
    """Names of the layers that would get an adapter, by PEFT's own rule."""
    from peft import LoraConfig
    from peft.tuners.tuners_utils import check_target_module_exists
    from torch import nn

    from voxcli.train import lora

    recipe = context.recipe
    adapter: Any = recipe.adapter
    model: Any = context.skeleton.model
    layers = {name: layer for name, layer in model.named_modules() if name}
    direct = lora.read_directly(model.config.model_type)
    frozen = getattr(recipe.model, "frozen_names", lambda: None)()
    exclude = lora.excluded(adapter.exclude_modules, frozen, direct)
    if adapter.target_modules == "all-linear":
        saved = {*lora.trained_besides(recipe.model, recipe.task), *(adapter.modules_to_save or ())}
        linear = {name.rpartition(".")[2] for name, layer in layers.items() if isinstance(layer, nn.Linear)}
        wanted: Any = sorted(linear - saved)
    else:
        try:
            wanted = lora.targets(adapter.target_modules, list(layers), type(model).__name__, direct)
        except ModelError:
            return []
    config = LoraConfig(
        target_modules=wanted,
        exclude_modules=exclude,
        layers_to_transform=list(adapter.layers_to_transform) if adapter.layers_to_transform is not None else None,
        layers_pattern=adapter.layers_pattern,
    )
    return [name for name in layers if _hit(check_target_module_exists(config, name))]


def tried(context: Context, adapter: Any) -> ModelError | None:
    """What is raised where the adapter is put into a copy of the model without weights; None where it fits."""
    import copy

    from voxcli.train import lora

    recipe = context.recipe
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # patterns that match nothing are R132
            lora.fitted(copy.deepcopy(context.skeleton.model), recipe.model, adapter, recipe.task)
    except ModelError as error:
        return error
    return None


def _refused(context: Context, error: ModelError) -> Finding:
    """The repair removes the one key without which it fits."""
    adapter: Any = context.recipe.adapter
    usual = type(adapter)()
    for key in asked(adapter, *(one.name for one in dataclasses.fields(adapter))):
        if tried(context, dataclasses.replace(adapter, **{key: getattr(usual, key)})) is None:
            help = f"remove {key}, or change it; {error.help}"
            return Finding("error", error.message, help, path=("adapter", key), fix=Fix({f"adapter.{key}": None}))
    return Finding("error", error.message, error.help or "remove the key that does not fit", path=("adapter",))


def _hit(found: Any) -> bool:
    return bool(found) and type(found).__name__ != "_ExcludedModule"


def _missing(wanted: Iterable[str], names: list[str]) -> list[str]:
    return [one for one in wanted if not any(name == one or name.endswith(f".{one}") for name in names)]


def _no_such_layer(key: str, listed: tuple[str, ...], missing: list[str], names: list[str]) -> Finding:
    lasts = sorted({part for name in names if not (part := name.rpartition(".")[2]).isdigit()})
    close = sorted({match for one in missing for match in difflib.get_close_matches(one, lasts, n=2)})
    attention = [one for one in lasts if re.search(r"(proj|_q|_k|_v|dense|fc\d)$", one)]
    shown = close or attention or lasts
    kept = [one for one in listed if one not in missing]
    return Finding(
        "error",
        f"the model has no layer called {', '.join(missing)}, which {key} names",
        f"layers it has: {', '.join(shown[:_LISTED])}; or remove {key}",
        path=("adapter", key),
        fix=Fix({f"adapter.{key}": kept or None}),
    )


def _shown(value: Any) -> str:
    return repr(list(value)) if isinstance(value, tuple) else repr(value)
