"""A setup and a device -> the ways of training the same model that need less memory, each with the keys it changes.

Full, frozen encoder, LoRA, LoRA on an int8 or nf4 base; each with and without checkpointing, in the recipe's precision
and in the half precision that the device has.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from voxcli.memory.setup import Setup
from voxcli.recipe.schema import Adapter, Quantization

Method = Literal["as it is", "frozen", "lora", "int8", "nf4"]
METHODS: tuple[Method, ...] = ("as it is", "frozen", "lora", "int8", "nf4")
"""From what changes a recipe least to what changes it most."""

LORA = Adapter(r=32, lora_alpha=64)
"""What is proposed where a recipe has no adapter: that of the preset whisper-lora-int8."""
LORA_LEARNING_RATE = 1e-3
"""Its rate; adapters take about a hundred times the rate of full fine-tuning."""
_TYPES = {"fp16": "float16", "bf16": "bfloat16", "no": "float32"}
_8BIT = ("adamw_bnb_8bit", "paged_adamw_8bit")


@dataclass(frozen=True)
class Variant:
    """One way of training a recipe's model."""

    setup: Setup = field(repr=False)
    method: Method
    changes: Mapping[str, Any]
    """Recipe key -> value; a whole table under its section's name, None where it goes."""
    words: tuple[str, ...]
    """What is different, for a person."""


def variants(setup: Setup, *, half: str = "no") -> Iterator[Variant]:
    """The recipe as it is first. `half`: the half precision that the device has, as `train.mixed_precision`; "no" where
    it has none.
    """
    own = setup.train.mixed_precision
    best = own if own != "no" or setup.device == "cpu" else half
    for method in METHODS:
        # half precision comes with whatever else is changed: where the device has it, float32 is no better
        for precision in dict.fromkeys([own, best] if method == "as it is" else [best]):
            made = _with_precision(_with_method(setup, method, precision), setup, precision)
            if made is None:
                continue
            for attended in _with_attention(made):
                for checkpointing in sorted({False, True}, key=lambda one: one != setup.train.gradient_checkpointing):
                    yield _with_checkpointing(attended, setup, checkpointing)


def optimizers(setup: Setup) -> Iterator[tuple[str, dict[str, Any]]]:
    """(words, changes) of the recipe's optimizer, then of those with smaller states."""
    yield "", {}
    if setup.train.optim in ("adamw_torch", "adamw_torch_fused", "paged_adamw_32bit") and _has_bitsandbytes():
        yield "8-bit AdamW", {"train.optim": _8BIT[0]}
        if setup.device == "cuda":
            yield "paged 8-bit AdamW", {"train.optim": _8BIT[1]}


def _with_method(setup: Setup, method: Method, precision: str) -> Variant | None:
    family = setup.family
    if method == "as it is":
        return Variant(setup, method, {}, ())
    if method == "frozen":
        for key, words in (("freeze_encoder", "frozen encoder"), ("freeze_feature_encoder", "frozen feature encoder")):
            if getattr(family, key, None) is False and setup.adapter is None:
                frozen = dataclasses.replace(family, **{key: True})  # type: ignore[type-var]
                return Variant(setup.replace(family=frozen), method, {f"model.{key}": True}, (words,))
        return None
    if getattr(family, "checkpoint", "") is None:
        return None  # random weights: nothing beneath an adapter
    changes: dict[str, Any] = {}
    made, words = setup, "LoRA"
    if setup.adapter is None:
        made = made.replace(adapter=LORA)
        changes["adapter"] = {"r": LORA.r, "lora_alpha": LORA.lora_alpha}
        if setup.train.learning_rate < LORA_LEARNING_RATE / 10:
            made = made.with_train(learning_rate=LORA_LEARNING_RATE)
            changes["train.learning_rate"] = LORA_LEARNING_RATE
        if getattr(family, "freeze_encoder", None) is True:
            return None  # an adapter in the decoder only: what the recipe has is smaller already
    if method == "lora":
        if setup.quantization is None:
            return None if setup.adapter is not None else Variant(made, method, changes, (words,))
        changes["quantization"] = None
        return Variant(made.replace(quantization=None), method, changes, ("LoRA without quantisation",))
    if not _has_bitsandbytes() or (setup.device == "cpu" and setup.quantization is None):
        return None
    table: dict[str, Any]
    if method == "int8":
        table, words = {"load_in_8bit": True}, "LoRA on an int8 base"
    else:
        table = {"load_in_4bit": True, "bnb_4bit_compute_dtype": _TYPES[precision]}
        words = "LoRA on an nf4 base"
    if setup.quantization is not None and getattr(setup.quantization, next(iter(table))):
        return None  # the recipe as it is
    made = made.replace(quantization=Quantization(**table))
    return Variant(made, method, {**changes, "quantization": table}, (words,))


def _with_precision(made: Variant | None, own: Setup, precision: str) -> Variant | None:
    if made is None:
        return None
    changes, words, setup = dict(made.changes), list(made.words), made.setup
    if precision != own.train.mixed_precision:
        setup = setup.with_train(mixed_precision=precision)
        changes["train.mixed_precision"] = precision
        words.append(precision)
    if made.method != "as it is" and precision != "no" and setup.train.frozen_dtype == "float32":
        setup = setup.with_train(frozen_dtype=_TYPES[precision])
        changes["train.frozen_dtype"] = _TYPES[precision]
    return Variant(setup, made.method, changes, tuple(words))


def _with_attention(made: Variant) -> Iterator[Variant]:
    """The same, and, where the recipe asks for eager attention, with the kernels that keep no attention weights."""
    yield made
    if made.setup.train.attn_implementation == "eager":
        setup = made.setup.with_train(attn_implementation="sdpa")
        changes = {**made.changes, "train.attn_implementation": "sdpa"}
        yield Variant(setup, made.method, changes, (*made.words, "sdpa attention"))


def _with_checkpointing(made: Variant, own: Setup, checkpointing: bool) -> Variant:
    if checkpointing == own.train.gradient_checkpointing:
        return made
    return Variant(
        made.setup.with_train(gradient_checkpointing=checkpointing),
        made.method,
        {**made.changes, "train.gradient_checkpointing": checkpointing},
        (*made.words, "checkpointing" if checkpointing else "no checkpointing"),
    )


def _has_bitsandbytes() -> bool:
    return importlib.util.find_spec("bitsandbytes") is not None
