"""Which keys of `[quantization]`, `[adapter]` and `[train]` go together, said before anything is loaded.

What is refused here would fail inside peft, bitsandbytes or transformers, or train something else than it says; every
other combination trains (tests/train/test_little_memory.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from voxcli.recipe.problems import Problems

_OF_ATTENTION = ("type", "language", "adapter_attn_dim")
_SAME = {"float16": "fp16", "bfloat16": "bf16"}  # frozen_dtype -> mixed_precision
_REWRITES_WEIGHTS = ("pissa", "olora")
HALF_ONLY = ("flash_attention_2", "flash_attention_3")
"""Attention whose kernels take half precision only."""
GPU_ONLY = (*HALF_ONLY, "flex_attention")
"""Attention that cannot be trained on a CPU."""


def check(core: Mapping[str, Any], task: Any, problems: Problems) -> None:
    """Add a finding for each combination that cannot work.

    `core` holds the core tables, None where one is absent; `task` is None where it is unknown.
    """
    quantization, adapter, train = core["quantization"], core["adapter"], core["train"]
    if quantization is not None:
        _quantized(quantization, problems)
    if train is not None:
        _precision(train, problems)
        _smoothing(train, task, problems)
    if adapter is not None and adapter.type == "attention":
        _attention(adapter, quantization, task, problems)
    elif adapter is not None:
        in_bits = quantization is not None and (quantization.load_in_8bit or quantization.load_in_4bit)
        _adapter(adapter, in_bits, problems)
        _names(adapter, problems)
        _besides(adapter, getattr(task, "trained_with_adapter", ()), problems)


def smoothed(task: Any, train: Any) -> Any:
    """The task with the recipe's label smoothing, where it has any."""
    if task is None or train is None or not hasattr(task, "label_smoothing_factor"):
        return task
    return replace(task, label_smoothing_factor=train.label_smoothing_factor)


def _smoothing(train: Any, task: Any, problems: Problems) -> None:
    factor, at = train.label_smoothing_factor, ("train", "label_smoothing_factor")
    if not 0 <= factor < 1:
        problems.add("R006", f"train.label_smoothing_factor is {factor}, expected 0 to below 1", "0.1 is usual", at)
    elif factor and task is not None and not hasattr(task, "label_smoothing_factor"):
        message = "label_smoothing_factor is set, and the loss of this task has no labels to smooth"
        help = "remove it: CTC sums over alignments; smoothing is for models that predict one class at a time"
        problems.add("R012", message, help, at)


def _quantized(quantization: Any, problems: Problems) -> None:
    if quantization.load_in_8bit and quantization.load_in_4bit:
        message = "load_in_8bit and load_in_4bit are both true"
        problems.add("R014", message, "keep one of them", ("quantization", "load_in_4bit"))
    elif not (quantization.load_in_8bit or quantization.load_in_4bit):
        message = "[quantization] quantises nothing: neither load_in_8bit nor load_in_4bit is true"
        problems.add("R014", message, "set one, or remove the section", ("quantization",))


def _precision(train: Any, problems: Problems) -> None:
    needed = _SAME.get(train.frozen_dtype)
    if needed is not None and train.mixed_precision != needed:
        message = f'frozen_dtype is "{train.frozen_dtype}", and mixed_precision is "{train.mixed_precision}"'
        help = f'mixed_precision = "{needed}": only then layers compute in {train.frozen_dtype}; or remove frozen_dtype'
        problems.add("R018", message, help, ("train", "frozen_dtype"))
    attention = train.attn_implementation
    if attention in GPU_ONLY and train.use_cpu:
        message = f"{attention} cannot be trained on the CPU, and use_cpu is true"
        problems.add("R018", message, 'attn_implementation = "sdpa"', ("train", "attn_implementation"))
    elif attention in HALF_ONLY and train.mixed_precision == "no":
        message = f'{attention} computes in half precision, and mixed_precision is "no"'
        help = 'mixed_precision = "bf16" or "fp16"; or attn_implementation = "sdpa"'
        problems.add("R018", message, help, ("train", "attn_implementation"))


def _adapter(adapter: Any, in_bits: bool, problems: Problems) -> None:
    for name in ("language", "adapter_attn_dim"):
        if getattr(adapter, name) is not None:
            message = f'{name} belongs to type = "attention", and the type is "lora"'
            problems.add("R019", message, f'remove {name}, or type = "attention"', ("adapter", name))
    begins = adapter.init_lora_weights
    if in_bits and begins in _REWRITES_WEIGHTS:
        message = (
            f'init_lora_weights = "{begins}" rewrites the weights beneath the adapter, which [quantization] rounds'
        )
        help = "init_lora_weights = true, or remove [quantization]"
        problems.add("R019", message, help, ("adapter", "init_lora_weights"))
    if in_bits and adapter.bias != "none":
        message = f'bias = "{adapter.bias}" trains biases, which bitsandbytes keeps in the precision of its input'
        problems.add("R019", message, 'bias = "none", or remove [quantization]', ("adapter", "bias"))
    if begins == "orthogonal" and adapter.r % 2:
        message = f'init_lora_weights = "orthogonal" needs an even r, and r is {adapter.r}'
        problems.add("R019", message, f"r = {adapter.r + 1}", ("adapter", "r"))
    if adapter.lora_bias and adapter.use_dora:
        message = "lora_bias and use_dora exclude each other"
        problems.add("R019", message, "remove one of them", ("adapter", "lora_bias"))
    if adapter.lora_bias and not isinstance(begins, bool):
        message = f'lora_bias needs init_lora_weights = true, and it is "{begins}"'
        problems.add("R019", message, "remove one of them", ("adapter", "lora_bias"))


def adapted(model: Any, adapter: Any) -> Any:
    """The model family as an adapter of a language needs it: with the characters of the data for its classes."""
    if adapter is None or adapter.type != "attention" or getattr(model, "vocabulary", "") is not None:
        return model
    return replace(model, vocabulary="data")


def _attention(adapter: Any, quantization: Any, task: Any, problems: Problems) -> None:
    if adapter.language is None or not re.fullmatch(r"[\w-]+", adapter.language):
        message = (
            "an attention adapter belongs to a language, and none is named"
            if adapter.language is None
            else f"adapter.language is '{adapter.language}', and it names a file"
        )
        problems.add(
            "R019", message, 'language = "tur", for example: letters, digits, - and _', ("adapter", "language")
        )
    usual = type(adapter)()
    for one in fields(adapter):
        if one.name not in _OF_ATTENTION and getattr(adapter, one.name) != getattr(usual, one.name):
            message = f'{one.name} belongs to type = "lora", and the type is "attention"'
            problems.add("R019", message, f"remove {one.name}, or the type", ("adapter", one.name))
    if adapter.adapter_attn_dim is not None and adapter.adapter_attn_dim < 1:
        message = f"adapter.adapter_attn_dim is {adapter.adapter_attn_dim}, expected at least 1"
        problems.add("R006", message, "16 is usual", ("adapter", "adapter_attn_dim"))
    if quantization is not None:
        message = "attention adapters are trained over weights that are not quantised"
        help = 'remove [quantization]; train.frozen_dtype = "bfloat16" halves the frozen weights'
        problems.add("R019", message, help, ("quantization",))
    if task is not None and "lm_head" not in getattr(task, "trained_with_adapter", ()):
        message = "attention adapters are for CTC models, and this model is none"
        problems.add("R019", message, 'type = "lora"', ("adapter", "type"))


def _names(adapter: Any, problems: Problems) -> None:
    for name in ("rank_pattern", "alpha_pattern"):
        for pattern, value in getattr(adapter, name).items():
            if value < 1:
                message = f"adapter.{name} for '{pattern}' is {value}, expected at least 1"
                problems.add("R006", message, None, ("adapter", name, pattern))
    if adapter.layers_pattern is not None and adapter.layers_to_transform is None:
        message = "layers_pattern names a stack, and layers_to_transform picks no layers of it"
        help = "add layers_to_transform = [0, 1], or remove layers_pattern"
        problems.add("R019", message, help, ("adapter", "layers_pattern"))
    if isinstance(adapter.target_modules, str) and adapter.layers_to_transform is not None:
        message = "layers_to_transform needs target_modules to be a list of names, and it is a pattern"
        help = 'name them, for example target_modules = ["q_proj", "v_proj"], or put the layers into the pattern'
        problems.add("R019", message, help, ("adapter", "layers_to_transform"))


def _besides(adapter: Any, usual: tuple[str, ...], problems: Problems) -> None:
    """A warning: the output layer of a checkpoint that has one need not be trained."""
    saved = adapter.modules_to_save
    if usual and saved is not None and not {name.rpartition(".")[2] for name in saved} & set(usual):
        message = f"modules_to_save leaves out {' and '.join(usual)}: a new output layer would stay random"
        help = f'add "{usual[0]}", unless the checkpoint has an output layer that fits'
        problems.add("R019", message, help, ("adapter", "modules_to_save"), level="warning")
