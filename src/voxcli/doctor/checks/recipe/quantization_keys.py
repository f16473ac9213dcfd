"""R135: keys of `[quantization]` for the other number of bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.keys import asked, without_effect
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_OF_4_BITS = ("bnb_4bit_quant_type", "bnb_4bit_use_double_quant", "bnb_4bit_compute_dtype")
_OTHER = {"fp16": "bfloat16", "bf16": "float16"}


class QuantizationKeyWithoutEffect:
    """Keys for 4 bits beside `load_in_8bit`, keys for 8 bits beside `load_in_4bit`, or another half precision.

    Why: `bnb_4bit_quant_type`, `bnb_4bit_use_double_quant` and `bnb_4bit_compute_dtype` are read for 4-bit weights
    alone, `llm_int8_threshold` for 8-bit weights alone. And where `bnb_4bit_compute_dtype` is one half precision and
    `mixed_precision` the other, every layer converts twice, and float16 overflows what bfloat16 holds.

    Repair: remove the keys of the other; `bnb_4bit_compute_dtype` equal to `mixed_precision`.

    Sources: transformers 5.23, BitsAndBytesConfig; arXiv 2208.07339 (threshold), arXiv 2305.14314 (nf4, double
    quantisation).
    """

    code: ClassVar[str] = "R135"
    name: ClassVar[str] = "quantization-key-without-effect"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe alone."""
        recipe = context.recipe
        table: Any = recipe.quantization
        if table is None:
            return
        if table.load_in_8bit:
            if names := asked(table, *_OF_4_BITS):
                yield without_effect("quantization", names, "the base is loaded in 8 bits")
        elif table.load_in_4bit:
            if names := asked(table, "llm_int8_threshold"):
                yield without_effect("quantization", names, "the base is loaded in 4 bits")
            half = recipe.train.mixed_precision
            if _OTHER.get(half) == table.bnb_4bit_compute_dtype:
                same = {"fp16": "float16", "bf16": "bfloat16"}[half]
                yield Finding(
                    "warning",
                    f'bnb_4bit_compute_dtype is "{table.bnb_4bit_compute_dtype}", and mixed_precision is "{half}"',
                    f'bnb_4bit_compute_dtype = "{same}"',
                    path=("quantization", "bnb_4bit_compute_dtype"),
                    fix=Fix({"quantization.bnb_4bit_compute_dtype": same}),
                )
