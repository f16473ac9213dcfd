"""`[adapter]` -> a LoRA (arXiv 2106.09685) in a built model, made by peft. Everything else is frozen, except the layers
that are trained whole: the task's new output layers, or what `modules_to_save` names.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from voxcli.api import ModelFamily, Task
from voxcli.errors import ModelError, PluginError
from voxcli.models.checkpoint import absolute, quietly, read_config
from voxcli.plugins.manager import manager
from voxcli.recipe.schema import Adapter

OWN = ("type", "language", "adapter_attn_dim")
"""Keys of [adapter] that are none of peft.LoraConfig."""
LEFT_OUT = {
    "task_type": "peft's wrappers for tasks are made for text; unset, the model's own forward is called",
    "peft_type": "it is `type`",
    "auto_mapping": "peft writes it",
    "peft_version": "peft writes it",
    "base_model_name_or_path": "it is `checkpoint` of [model]",
    "revision": "it is `checkpoint` of [model]",
    "inference_mode": "peft writes it",
    "fan_in_fan_out": "for layers of GPT-2, which no speech model has",
    "megatron_config": "Megatron's parallel layers",
    "megatron_core": "Megatron's parallel layers",
    "loftq_config": "quantises the base in its own way, beside [quantization]",
    "eva_config": "needs a pass over the data before training",
    "corda_config": "needs a pass over the data before training",
    "lora_ga_config": "needs a pass over the data before training",
    "velora_config": "an experiment with a backward pass of its own, whose memory is not known here",
    "kasa_config": "rewrites the weights beneath the adapter by a decomposition that the base keeps",
    "alora_invocation_tokens": "for prompts of text models",
    "use_qalora": "for GPTQ only",
    "qalora_group_size": "for GPTQ only",
    "monteclora_config": "adds a loss of its own, which no task here has",
    "layer_replication": "for Llama, Bert and Falcon only",
    "runtime_config": "not saved with an adapter",
    "target_parameters": "for weights that are no layers (mixtures of experts), which no speech model has",
    "use_bdlora": "for serving many adapters at once",
    "arrow_config": "routes between adapters that are trained already",
}
"""Keys of peft.LoraConfig that are no keys of [adapter], and why."""
_ATTENTION = (("q_proj", "v_proj"), ("linear_q", "linear_v"), ("query_proj", "value_proj"))
_FEED_FORWARD = ("intermediate_dense", "output_dense")
# WavLM hands the weights of its attention to torch's multi_head_attention_forward: the layers are never called, so an
# adapter in them would learn nothing, and quantised weights would be taken for numbers
_READ_DIRECTLY = {"wavlm": ("q_proj", "k_proj", "v_proj", "out_proj")}


def fitted(model: Any, family: ModelFamily, adapter: Adapter, task: Task | None = None) -> Any:
    """The model with a LoRA in it, on the device of its layers. Raises `ModelError` where the adapter does not fit.

    On the meta device the new weights have shapes only, whatever `init_lora_weights` says.
    """
    from peft import LoraConfig, get_peft_model

    architecture = type(model).__name__
    if not model.name_or_path:
        raise ModelError(
            "an adapter needs trained weights beneath it, and this model begins from random ones",
            help="remove [adapter], or start from a checkpoint",
        )
    on_meta = any(parameter.is_meta for parameter in model.parameters())
    keys = {name: list(one) if isinstance(one, tuple) else one for name, one in dataclasses.asdict(adapter).items()}
    for name in OWN:
        del keys[name]
    names = [name for name, _ in model.named_modules()]
    direct = read_directly(model.config.model_type)
    keys["target_modules"] = targets(adapter.target_modules, names, architecture, direct)
    keys["modules_to_save"] = _saved(adapter.modules_to_save, names, trained_besides(family, task))
    keys["exclude_modules"] = excluded(adapter.exclude_modules, getattr(family, "frozen_names", lambda: None)(), direct)
    if on_meta:
        keys["init_lora_weights"] = True
    # the base as it can be found from elsewhere; task_type stays unset, peft's wrappers for tasks are made for text
    model.config._name_or_path = model.name_or_path = absolute(model.name_or_path)
    try:
        with quietly():
            made = get_peft_model(model, LoraConfig(**keys), low_cpu_mem_usage=on_meta)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"[adapter] does not fit {architecture}: {reason}",
            help="the keys of [adapter] are those of peft.LoraConfig",
        ) from error
    if convolutions := _in_convolutions(made):
        raise ModelError(
            f"[adapter] would go into convolutions ({', '.join(convolutions)}), whose models ask them for more than an "
            "adapter answers",
            help="name linear layers in target_modules; train a convolution whole: modules_to_save",
        )
    made.accepts_loss_kwargs = False
    return made


def _in_convolutions(model: Any) -> list[str]:
    layers = [(name, one) for name, one in model.named_modules() if hasattr(one, "lora_A")]
    found = {name.rpartition(".")[2] for name, one in layers if "Conv" in type(one.get_base_layer()).__name__}
    return sorted(found)


def trained_besides(family: ModelFamily, task: Task | None = None) -> tuple[str, ...]:
    """Layers that the task trains whole beside an adapter, by the last part of their names, where a model has them."""
    found: Any = task
    if found is None:
        try:
            found = manager().registry.load("task", family.task)
        except PluginError:
            return ()
    return tuple(getattr(found, "trained_with_adapter", ()))


def read_directly(model_type: str | None) -> tuple[str, ...]:
    """Linear layers of an architecture that are never called, because another layer reads their weights."""
    return _READ_DIRECTLY.get(model_type or "", ())


def model_type(family: ModelFamily) -> str | None:
    """The architecture of a family's checkpoint, or None where it names none."""
    checkpoint = getattr(family, "checkpoint", None)
    if checkpoint is None:
        return None
    try:
        return str(read_config(checkpoint)["model_type"])
    except ModelError:
        return None


def targets(
    wanted: tuple[str, ...] | str | None, names: list[str], architecture: str, direct: tuple[str, ...]
) -> list[str] | str:
    if isinstance(wanted, str):
        return wanted
    lasts = {name.rpartition(".")[2] for name in names}
    if wanted is None:
        for targets in (*_ATTENTION, _FEED_FORWARD):
            if lasts.issuperset(targets) and not set(targets) & set(direct):
                return list(targets)
        raise ModelError(
            f"voxcli does not know which layers of a {architecture} take an adapter",
            help="name them: target_modules in [adapter]",
        )
    if missing := _missing(wanted, names):
        raise ModelError(
            f"the model has no layer called {', '.join(missing)} for [adapter] target_modules",
            help=f"attention layers it has: {', '.join(sorted(n for n in lasts if n.endswith(('proj', '_q', '_v'))))}",
        )
    if never := [target for target in wanted if target.rpartition(".")[2] in direct]:
        raise ModelError(
            f"an adapter in {', '.join(never)} of {architecture} would learn nothing: its attention reads the weights "
            "of these layers and never calls them",
            help=f"leave target_modules out (None is {', '.join(_FEED_FORWARD)}), or name other layers",
        )
    return list(wanted)


def _saved(wanted: tuple[str, ...] | None, names: list[str], usual: Iterable[str]) -> list[str] | None:
    if wanted is None:
        lasts = {name.rpartition(".")[2] for name in names}
        return [name for name in usual if name in lasts] or None
    if missing := _missing(wanted, names):
        raise ModelError(
            f"the model has no layer called {', '.join(missing)} for [adapter] modules_to_save",
            help="name layers by the end of their names, for example lm_head",
        )
    return list(wanted) or None


def _missing(wanted: Iterable[str], names: list[str]) -> list[str]:
    """Those that no layer is called, wholly or by the end of its name: peft's own rule."""
    return sorted(one for one in wanted if not any(name == one or name.endswith(f".{one}") for name in names))


def excluded(
    wanted: tuple[str, ...] | str | None, frozen: str | None, direct: tuple[str, ...]
) -> list[str] | str | None:
    """What the recipe excludes, what the family keeps frozen and what is never called, as peft takes it."""
    patterns = [one for one in (frozen, wanted if isinstance(wanted, str) else None) if one is not None]
    names = [*(wanted if isinstance(wanted, tuple) else ()), *direct]
    if not patterns:
        return names or None
    patterns += [rf"(.*\.)?({'|'.join(map(re.escape, names))})"] if names else []
    return "|".join(f"(?:{pattern})" for pattern in patterns)
