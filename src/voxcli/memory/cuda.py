"""What a GPU does otherwise than a CPU, as far as tensors show it: attention, autocast, dropout.

Fake tensors stand on the CPU, because a CPU build of torch cannot take others through a backward pass. Within
`emulated` their operations choose the kernels that CUDA would: which attention, which operations autocast computes in
float32 (ATen/autocast_mode.h), and one byte an element for the mask of a dropout.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch.nn import functional

aten = torch.ops.aten

# AT_FORALL_FP32: arguments are cast to float32
_FLOAT32 = (
    "acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal", "rsqrt", "sinh",
    "tan", "pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar", "softplus", "layer_norm", "native_layer_norm",
    "group_norm", "cosine_similarity", "poisson_nll_loss", "cosine_embedding_loss", "nll_loss", "nll_loss2d",
    "hinge_embedding_loss", "kl_div", "l1_loss", "smooth_l1_loss", "huber_loss", "mse_loss", "margin_ranking_loss",
    "multilabel_margin_loss", "soft_margin_loss", "triplet_margin_loss", "multi_margin_loss",
    "binary_cross_entropy_with_logits", "dist", "pdist", "cdist", "renorm", "logsumexp",
)  # fmt: skip
# AT_FORALL_FP32_SET_OPT_DTYPE: the result is float32 unless a type is asked for
_FLOAT32_RESULT = (
    "prod", "prod.dim_int", "softmax.int", "log_softmax.int", "cumprod", "cumsum", "linalg_vector_norm",
    "linalg_matrix_norm", "linalg_matrix_norm.str_ord", "sum", "sum.dim_IntList",
)  # fmt: skip
# what autocast of CPUs casts and that of CUDA does not
_AS_THEY_ARE = ("avg_pool3d", "grid_sampler", "polar", "quantile", "quantile.scalar", "nanquantile", "stft")
_HALF = (torch.float16, torch.bfloat16)


@contextlib.contextmanager
def emulated(capability: tuple[int, int]) -> Iterator[None]:
    """Within: operations on CPU tensors allocate what they would on a GPU of that compute capability."""
    library = torch.library.Library("aten", "IMPL")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that a kernel of autocast is replaced, which is meant
            _autocast_as_cuda(library)
        with (
            patch.object(functional, "scaled_dot_product_attention", _attention(capability)),
            patch.object(functional, "dropout", _dropout),
        ):
            yield
    finally:
        library._destroy()


# ------------------------------------------------------------------------------------------------------------ attention


def _attention(capability: tuple[int, int]) -> Callable[..., torch.Tensor]:
    """CUDA's choice (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp): flash, memory-efficient, else math."""

    def attend(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> torch.Tensor:
        if torch.is_autocast_enabled("cpu"):
            half = torch.get_autocast_dtype("cpu")
            query, key, value = (one.to(half) for one in (query, key, value))
            if attn_mask is not None and attn_mask.is_floating_point():
                attn_mask = attn_mask.to(half)
        if enable_gqa and query.shape[-3] != key.shape[-3]:
            repeats = query.shape[-3] // key.shape[-3]
            key, value = (one.repeat_interleave(repeats, -3) for one in (key, value))
        if query.dim() != 4:
            return _math(query, key, value, attn_mask, dropout_p, is_causal, scale)
        size = query.shape[-1]
        flash = query.dtype in _HALF and attn_mask is None and size <= 256 and capability >= (8, 0)
        if flash:
            padded = -size % 8
            if padded:
                query, key, value = (functional.pad(one, (0, padded)) for one in (query, key, value))
            scale = scale if scale is not None else size**-0.5
            out = aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, scale=scale)[0]
            return out[..., :size] if padded else out
        step = 8 if query.dtype in _HALF else 4
        if size % step or value.shape[-1] % step or (query.dtype == torch.bfloat16 and capability < (8, 0)):
            return _math(query, key, value, attn_mask, dropout_p, is_causal, scale)
        needs = torch.is_grad_enabled() and any(one.requires_grad for one in (query, key, value))
        bias = None if attn_mask is None else _bias(attn_mask, query, key)
        return aten._scaled_dot_product_efficient_attention(
            query, key, value, bias, needs, dropout_p, is_causal, scale=scale
        )[0]

    return attend


def _bias(mask: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """The mask as the memory-efficient kernel takes it: added to the scores, its rows padded to a multiple of 16."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), float("-inf"))
    size = mask.shape[-1]
    if size % 16:
        mask = functional.pad(mask, (0, 16 - size % 16))[..., :size]
    return mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])


def _math(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
) -> torch.Tensor:
    out: torch.Tensor = aten._scaled_dot_product_attention_math(
        query, key, value, mask, dropout_p, is_causal, scale=scale
    )[0]
    return out


def _dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    """CUDA's fused dropout keeps a mask of one byte an element."""
    if not training or p == 0.0 or not 0.0 < p < 1.0:
        return torch.dropout(input, p, training)
    out: torch.Tensor = aten.native_dropout(input, p, True)[0]
    return input.copy_(out) if inplace else out


# ------------------------------------------------------------------------------------------------------------- autocast


def _autocast_as_cuda(library: torch.library.Library) -> None:
    for name in _FLOAT32:
        _register(library, name, _in_float32)
    for name in _FLOAT32_RESULT:
        _register(library, name, _to_float32)
    for name in _AS_THEY_ARE:
        _register(library, name, _unchanged)
    library.impl("cross_entropy_loss", _cross_entropy, "AutocastCPU")


def _register(library: torch.library.Library, name: str, kind: Callable[[Any], Callable[..., Any]]) -> None:
    packet, _, overload = name.partition(".")
    function = getattr(getattr(aten, packet, None), overload or "default", None)
    if function is not None:
        library.impl(name, kind(function), "AutocastCPU")


def _without_autocast() -> Any:
    return torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU))


def _cast(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(torch.float32) if value.dtype in _HALF else value
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(one) for one in value)
    return value


def _in_float32(function: Any) -> Callable[..., Any]:
    def kernel(*args: Any, **keys: Any) -> Any:
        with _without_autocast():
            return function(*[_cast(one) for one in args], **{key: _cast(value) for key, value in keys.items()})

    return kernel


def _to_float32(function: Any) -> Callable[..., Any]:
    softmax = function in (aten.softmax.int, aten.log_softmax.int)
    at = [argument.name for argument in function._schema.arguments].index("dtype")

    def kernel(*args: Any, **keys: Any) -> Any:
        first = args[0]
        asked = keys.get("dtype") if len(args) <= at else args[at]
        with _without_autocast():
            if asked is not None or first.dtype not in _HALF:
                return function(*args, **keys)
            if softmax and first.dtype == torch.float16:  # CUDA reads half and writes float: no copy
                fused = aten._softmax if function is aten.softmax.int else aten._log_softmax
                return fused(first, args[1], True)
            args = args[:at]
            return function(*args, **{**keys, "dtype": torch.float32})

    return kernel


def _unchanged(function: Any) -> Callable[..., Any]:
    def kernel(*args: Any, **keys: Any) -> Any:
        with _without_autocast():
            return function(*args, **keys)

    return kernel


def _cross_entropy(
    input: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """CUDA's autocast does not know it: log_softmax stays in half precision, nll_loss casts to float32."""
    if label_smoothing > 0.0 or target.is_floating_point():
        with _without_autocast():
            out: torch.Tensor = aten.cross_entropy_loss(
                input.float(), target, weight, reduction, ignore_index, label_smoothing
            )
            return out
    with _without_autocast():
        logs = aten.log_softmax.int(input, 1 if input.dim() > 1 else 0, input.dtype).float()
        return aten.nll_loss_nd(logs, target, weight, reduction, ignore_index)
