"""Stand-ins for bitsandbytes' 8- and 4-bit layers: a model on the meta device goes in and comes out with them in it.

bitsandbytes' parameters cannot be tensors without storage. These layers hold plain int8 and uint8 parameters of the
same bytes and allocate what bitsandbytes 0.50 allocates, in its order: autograd/_functions.py,
backends/{cpu,cuda,default}/ops.py and nn/modules.py of its wheel. They subclass its layers, so that PEFT puts the same
adapters around them.

M rows of the input (all but its last dimension), K input features, N output features.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 64
"""Weights that share one scale in 4 bits (bitsandbytes.nn.Params4bit)."""
NESTED_BLOCK = 256
"""Scales that share one scale of scales with double quantisation."""


def replace_linears(model: Any, quantization_config: Any, device: str) -> Any:
    """Put stand-ins in place of the layers that `from_pretrained(quantization_config=…)` quantises; returns the model.

    `quantization_config` is a transformers BitsAndBytesConfig. `device` ("cuda" or "cpu") says whose kernels are
    followed, wherever the tensors are. The type of a layer's weight, as it is now, is the type it is quantised from.
    """
    from transformers.quantizers.base import HfQuantizer
    from transformers.quantizers.quantizers_utils import should_convert_module

    skipped = HfQuantizer.get_modules_to_not_convert(
        model, quantization_config.llm_int8_skip_modules, getattr(model, "_keep_in_fp32_modules", None)
    )
    int8, int4 = _classes()
    cls = int8 if quantization_config.load_in_8bit else int4
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear and should_convert_module(name, skipped):
            model.set_submodule(name, cls(module, quantization_config, device))
    bits = "8bit" if quantization_config.load_in_8bit else "4bit"
    setattr(model, f"is_loaded_in_{bits}", True)  # what PEFT and transformers ask
    model.is_quantized = True
    model.quantization_method = quantization_config.quant_method
    model.config.quantization_config = quantization_config
    return model


@functools.cache
def _classes() -> tuple[type, type]:
    """The two stand-ins as subclasses of the layers of the bitsandbytes that is installed."""
    import bitsandbytes

    int8 = type("StandInLinear8bit", (_Int8, bitsandbytes.nn.Linear8bitLt), {})
    int4 = type("StandInLinear4bit", (_Int4, bitsandbytes.nn.Linear4bit), {})
    return int8, int4


class _StandIn(nn.Module):
    """What both share: shape, bias, and the way in which DoRA asks for the weight in floating point."""

    in_features: int
    out_features: int
    weight: nn.Parameter
    bias: nn.Parameter | None
    # nothing here is ever quantised, moved or saved: bitsandbytes' own ways of doing so are not wanted
    to = nn.Module.to
    _save_to_state_dict = nn.Module._save_to_state_dict
    _load_from_state_dict = nn.Module._load_from_state_dict

    def __init__(self, linear: nn.Linear, device: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.on_cuda = device == "cuda"
        self.bias = linear.bias
        if self.bias is not None:
            self.bias.requires_grad_(False)

    @property
    def W_q(self) -> Tensor:
        """Where it exists, PEFT asks `dequantize` for the weight (peft.utils.integrations.dequantize_module_weight)."""
        return self.weight

    def dequantize(self) -> Tensor:
        """(N, K), the weight in floating point, as DoRA wants it at every forward pass."""
        raise NotImplementedError

    def _bias_like(self, dtype: torch.dtype) -> Tensor | None:
        """The bias, changed to `dtype` for good as bitsandbytes does."""
        if self.bias is not None and self.bias.dtype != dtype and not self.bias.requires_grad:
            self.bias = nn.Parameter(self.bias.detach().to(dtype), requires_grad=False)
        return self.bias


class _Int8(_StandIn):
    """bitsandbytes.nn.Linear8bitLt with `has_fp16_weights=False`: N*K bytes and 4 bytes a row."""

    scale: Tensor

    def __init__(self, linear: nn.Linear, quantization_config: Any, device: str) -> None:
        super().__init__(linear, device)
        self.weight = nn.Parameter(torch.empty_like(linear.weight, dtype=torch.int8), requires_grad=False)
        scale = torch.empty(self.out_features, device=linear.weight.device)
        self.register_buffer("scale", scale, persistent=False)  # SCB, float32
        self.index = None  # PEFT reads this and the state
        self.state = SimpleNamespace(has_fp16_weights=False, threshold=quantization_config.llm_int8_threshold)

    def forward(self, x: Tensor) -> Tensor:
        bias = self._bias_like(x.dtype)
        product = _Int8Product if self.on_cuda or not self.training else _Int8DenseProduct
        y: Tensor = product.apply(x, bias, self)
        return y

    def dequantize(self) -> Tensor:
        scaled: Tensor = torch.mul(self.weight, self.scale.unsqueeze(1))
        return scaled * (1 / 127)

    def dense(self, dtype: torch.dtype) -> Tensor:
        """(N, K), the weight as the products of the CPU and of the backward pass want it."""
        return self.weight.to(dtype, copy=True).mul_(torch.mul(self.scale.unsqueeze(1), 1 / 127))


class _Int4(_StandIn):
    """bitsandbytes.nn.Linear4bit: half a byte a weight, and the scales of its blocks."""

    offset: Tensor

    def __init__(self, linear: nn.Linear, quantization_config: Any, device: str) -> None:
        super().__init__(linear, device)
        here = linear.weight.device
        storage = quantization_config.bnb_4bit_quant_storage
        packed = (linear.weight.numel() + 1) // (storage.itemsize * 2)
        self.weight = nn.Parameter(torch.empty(packed, 1, dtype=storage, device=here), requires_grad=False)
        self.quantised_from = linear.weight.dtype
        self.compute_dtype = quantization_config.bnb_4bit_compute_dtype
        self.nested = quantization_config.bnb_4bit_use_double_quant
        self.n_blocks = -(-linear.weight.numel() // BLOCK)
        scales = {"scales": [self.n_blocks], "code": [16]}
        if self.nested:
            scales |= {"nested_scales": [-(-self.n_blocks // NESTED_BLOCK)], "nested_code": [256], "offset": []}
        for name, shape in scales.items():
            dtype = torch.uint8 if self.nested and name == "scales" else torch.float32
            self.register_buffer(name, torch.empty(shape, dtype=dtype, device=here), persistent=False)
        read_by_peft: Any = self.weight
        read_by_peft.compress_statistics = self.nested
        read_by_peft.quant_type = quantization_config.bnb_4bit_quant_type

    def forward(self, x: Tensor) -> Tensor:
        dtype = x.dtype
        x = x.to(self.compute_dtype)
        bias = self._bias_like(x.dtype)
        if torch.is_grad_enabled() and (x.requires_grad or (bias is not None and bias.requires_grad)):
            y: Tensor = _Int4Product.apply(x, bias, self)
        else:
            y = self.product(x, bias)
        return y.to(dtype)

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """gemm_4bit: the weight in the input's type, multiplied. (M, N)

        Below 1536 rows some GPUs have kernels that need no such weight; which is the card's matter, so it is counted.
        """
        scales, again = self._unnested(), None
        if scales is not None:
            again = scales + self.offset
            if not self.on_cuda:
                scales = None  # the CPU's kernel lets the first go
        y = F.linear(x, self.weight.new_empty(self.out_features, self.in_features, dtype=x.dtype), bias)
        del scales, again
        return y

    def dequantize(self) -> Tensor:
        scales = self._unnested()
        dense = self.weight.new_empty(self.out_features, self.in_features, dtype=self.quantised_from)
        del scales
        return dense

    def _unnested(self) -> Tensor | None:
        """(blocks,), float32: the scales of a doubly quantised weight."""
        return self.weight.new_empty(self.n_blocks, dtype=torch.float32) if self.nested else None


class _Int8DenseProduct(torch.autograd.Function):
    """MatMul8bitFp, the training product of the CPU: through a weight in the input's type."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, layer: _Int8) -> Tensor:
        y = F.linear(x, layer.dense(x.dtype), bias)
        _keep(ctx, x, x, bias, layer)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _int8_backward(ctx, gradients[0])


class _Int8Product(torch.autograd.Function):
    """MatMul8bitLt: the input is quantised row by row, the product is int32.

    Columns of outliers are assumed to be few: their copies are not counted.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, layer: _Int8) -> Tensor:
        rows = x.reshape(-1, x.shape[-1]) if x.ndim == 3 else x
        quantised, row_scales = _quantised_rows(rows.to(torch.float16), layer)
        product = _Int8Product._int32_product(quantised, row_scales, bias, layer, x.dtype)
        if any(ctx.needs_input_grad):
            _keep(ctx, x, rows, bias, layer)
        return product.reshape(*x.shape[:-1], layer.out_features)

    @staticmethod
    def _int32_product(
        quantised: Tensor, row_scales: Tensor, bias: Tensor | None, layer: _Int8, dtype: torch.dtype
    ) -> Tensor:
        integers = quantised.new_empty(quantised.shape[0], layer.out_features, dtype=torch.int32)
        if layer.on_cuda:
            y = torch.empty_like(integers, dtype=torch.float16)
        else:
            y = integers * (row_scales.unsqueeze(1) * layer.scale) * 6.2e-05
        if bias is not None and not (layer.on_cuda and bias.dtype == torch.float16):
            y.add_(bias)
        return y.to(dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _int8_backward(ctx, gradients[0])


def _quantised_rows(rows: Tensor, layer: _Int8) -> tuple[Tensor, Tensor]:
    """int8_vectorwise_quant: (M, K) float16 -> (M, K) int8 and (M,) float32."""
    threshold = layer.state.threshold
    if layer.on_cuda:
        row_scales = rows.new_empty(rows.shape[0], dtype=torch.float32)
        quantised = torch.empty_like(rows, dtype=torch.int8)
        outliers = rows.abs() >= threshold if threshold else None
    else:
        outliers = rows.abs() >= threshold if threshold else None
        row_scales = rows.abs().amax(dim=1).float()
        quantised = torch.round(rows * (127.0 / row_scales.unsqueeze(-1))).to(torch.int8)
    del outliers  # a byte an element, alive until here
    return quantised, row_scales


def _keep(ctx: Any, x: Tensor, rows: Tensor, bias: Tensor | None, layer: _Int8) -> None:
    """The input stays alive as an attribute, which checkpointing without re-entrance cannot drop."""
    ctx.kept, ctx.shape, ctx.dtype, ctx.layer = rows, x.shape, x.dtype, layer
    ctx.bias_dtype = None if bias is None else bias.dtype


def _int8_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    of_x, of_bias, _ = ctx.needs_input_grad
    bias = gradient.sum(0, dtype=ctx.bias_dtype) if of_bias else None
    if gradient.ndim == 3:
        gradient = gradient.reshape(-1, gradient.shape[-1]).contiguous()
    x = None
    if of_x:
        dense = ctx.layer.dense(ctx.dtype)
        x = torch.matmul(gradient.to(ctx.dtype), dense).view(ctx.shape)
    return x, bias, None


class _Int4Product(torch.autograd.Function):
    """MatMul4Bit: nothing of the input is kept; the backward pass makes the weight again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor | None, layer: _Int4) -> Tensor:
        ctx.layer = layer
        ctx.bias_dtype = None if bias is None else bias.dtype
        return layer.product(x, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        gradient = gradients[0]
        of_x, of_bias, _ = ctx.needs_input_grad
        bias = gradient.sum(0, dtype=ctx.bias_dtype) if of_bias else None
        x = torch.matmul(gradient, ctx.layer.dequantize().to(gradient.dtype)) if of_x else None
        return x, bias, None
