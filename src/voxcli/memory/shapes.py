"""A model family's own `build` -> its model without weights: shapes, types and ties from the config alone.

Within `without_weights`, transformers' `from_pretrained` and `from_config` build on the meta device and read no file of
weights, so families of plugins need no code for it. `fakify` then gives the model tensors on which a step can run.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

Depth = int | tuple[int, int]
"""The most layers of every stack; of encoder and decoder apart."""

_ENCODER = ("encoder_layers", "num_hidden_layers", "num_encoder_layers")
_DECODER = ("decoder_layers", "num_decoder_layers")
_HUB = ("cache_dir", "force_download", "proxies", "local_files_only", "token", "revision", "subfolder")
_OF_LOADING = (
    "ignore_mismatched_sizes", "use_safetensors", "weights_only", "disable_mmap", "state_dict", "tqdm_class",
    "device_map", "max_memory", "offload_folder", "offload_buffers", "variant", "key_mapping", "_commit_hash",
    "_from_auto", "_from_pipeline", "trust_remote_code", "low_cpu_mem_usage", "adapter_kwargs", "use_kernels",
)  # fmt: skip


@contextlib.contextmanager
def without_weights(*, depth: Depth | None = None, device: str = "cuda") -> Iterator[None]:
    """Within the block every model of transformers is built on the meta device.

    `depth` limits the layers of every stack. `device` is whose kernels the stand-ins of quantised layers follow. A
    family that calls a model's class itself is served as well: parameters move to the meta device as they are made.
    """
    from transformers import PreTrainedModel
    from transformers.initialization import no_init_weights

    build = PreTrainedModel.__dict__["_from_config"].__func__
    begin, register = PreTrainedModel.__init__, nn.Module.register_parameter
    shortened: list[tuple[Any, str, Any]] = []

    @functools.wraps(begin)  # transformers reads signatures of __init__ when it is imported further
    def started(model: Any, config: Any, *args: Any, **keys: Any) -> None:
        if depth is not None:
            shortened.extend(_shorten(config, depth))
        begin(model, config, *args, **keys)

    def registered(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and not parameter.is_meta and not isinstance(parameter, nn.UninitializedParameter):
            parameter = nn.Parameter(parameter.data.to("meta"), requires_grad=parameter.requires_grad)
        register(module, name, parameter)

    def from_config(cls: type, config: Any, **keys: Any) -> Any:
        with torch.device("meta"):
            return build(cls, copy.deepcopy(config), **keys)

    def from_pretrained(cls: Any, name: Any = None, *args: Any, **keys: Any) -> Any:
        return _from_pretrained(cls, name, *args, device=device, from_config=from_config, **keys)

    try:
        with (
            patch.object(PreTrainedModel, "__init__", started),
            patch.object(PreTrainedModel, "_from_config", classmethod(from_config)),
            patch.object(PreTrainedModel, "from_pretrained", classmethod(from_pretrained)),
            patch.object(nn.Module, "register_parameter", registered),
            no_init_weights(),
            patch.object(PreTrainedModel, "init_weights", lambda model: model.tie_weights(recompute_mapping=False)),
        ):
            yield
    finally:
        for config, key, value in reversed(shortened):
            setattr(config, key, value)


def _from_pretrained(
    cls: Any, name: Any, *args: Any, device: str, from_config: Callable[..., Any], config: Any = None, **keys: Any
) -> Any:
    """What `PreTrainedModel.from_pretrained` returns, as far as config.json tells."""
    from transformers import PreTrainedConfig

    hub = {key: keys.pop(key) for key in _HUB if key in keys}
    for key in _OF_LOADING:
        keys.pop(key, None)
    with_report = keys.pop("output_loading_info", False)
    quantization = keys.pop("quantization_config", None)
    options = {key: keys.pop(key) for key in ("dtype", "torch_dtype", "attn_implementation") if key in keys}
    if not isinstance(config, PreTrainedConfig):
        config, keys = cls.config_class.from_pretrained(config or name, return_unused_kwargs=True, **hub, **keys)
    if options.get("dtype") == "auto":
        options["dtype"] = config.dtype
    model = from_config(cls, config, **options, **keys)
    for parameter in model.parameters():  # loading makes new parameters, and forgets which of them were frozen
        parameter.requires_grad_(parameter.is_floating_point())
    model.name_or_path = model.config._name_or_path = str(name or "")
    if model.can_generate():
        model.generation_config = _generation_config(name, model, hub)
    if quantization is not None:
        from voxcli.memory.quantized import replace_linears

        replaced = replace_linears(model, quantization, device)
        model = model if replaced is None else replaced
        model.config.quantization_config = quantization
        model.is_quantized = True
    model.eval()
    if not with_report:
        return model
    named = getattr(config, "architectures", None) or [cls.__name__]
    missing = set() if cls.__name__ in named else {f"{key}.weight" for key in _own_layers(model)}
    return model, {"missing_keys": missing, "unexpected_keys": set(), "mismatched_keys": set(), "error_msgs": []}


def _own_layers(model: Any) -> list[str]:
    """The layers that a model of this class has beside its base model: what a checkpoint of the base lacks."""
    return [name for name, _ in model.named_children() if name != model.base_model_prefix]


def _generation_config(name: Any, model: Any, hub: dict[str, Any]) -> Any:
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(name, **hub)
    except (OSError, ValueError, TypeError):  # the checkpoint has none
        return GenerationConfig.from_model_config(model.config)


def _shorten(config: Any, depth: Depth) -> Iterator[tuple[Any, str, Any]]:
    """Limit the layers of a config and of the configs in it, in place; yield what was there."""
    encoder, decoder = depth if isinstance(depth, tuple) else (depth, depth)
    for keys, most in ((_ENCODER, encoder), (_DECODER, decoder)):
        for key in keys:
            value = getattr(config, key, None)
            if isinstance(value, int) and value > most:
                yield config, key, value
                setattr(config, key, most)
    for key in getattr(config, "sub_configs", None) or {}:
        inner = getattr(config, key, None)
        if inner is not None and not isinstance(inner, dict):
            yield from _shorten(inner, depth)


def fakify(model: nn.Module, mode: Any) -> None:
    """Replace parameters, buffers and other tensors of a model by fake CPU tensors of `mode`, in place.

    Ties, `requires_grad` and the attributes of parameters are kept.
    """
    made: dict[int, torch.Tensor] = {}

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in made:
            with mode:
                new: torch.Tensor = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")
            if isinstance(tensor, nn.Parameter):
                new = nn.Parameter(new, requires_grad=tensor.requires_grad)
                new.__dict__.update(tensor.__dict__)
            else:
                new.requires_grad_(tensor.requires_grad)
            made[id(tensor)] = new
        return made[id(tensor)]

    kept = []  # ids are only unique while the objects live
    for module in model.modules():
        tables: tuple[dict[str, Any], ...] = (module._parameters, module._buffers, module.__dict__)
        for table in tables:
            for name, value in list(table.items()):
                if isinstance(value, torch.Tensor):
                    kept.append(value)
                    table[name] = fake(value)
