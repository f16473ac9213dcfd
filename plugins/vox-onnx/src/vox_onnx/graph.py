"""A model and a batch -> model.onnx, whose axes of clips and of time are free where the model's are."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import onnx
import torch
from torch import nn

from vox_onnx.description import GRAPH
from voxcli.errors import ModelError

Tracer = Literal["torchscript", "dynamo"]

OPSET = 17  # LayerNormalization is one operator from here on; onnxruntime 1.12 and later
INLINE = 1_800_000_000  # bytes of weights that stay within model.onnx: a protocol buffer holds less than 2 GiB


class _Logits(nn.Module):
    """The model as a function of its inputs in order."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def free_axes(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> dict[str, list[str | int]]:
    """Two batches of different sizes -> the axes of each input: "batch", "time", or a size that is always the same."""
    found: dict[str, list[str | int]] = {}
    for name, tensor in one.items():
        sizes = list(zip(tensor.shape, other[name].shape, strict=True))
        axes: list[str | int] = [size if size == again else "time" for size, again in sizes]
        axes[0] = "batch"
        found[name] = axes
    return found


def beyond_one_file(model: nn.Module) -> bool:
    """Whether the weights are kept beside the graph, in a file of their own."""
    return sum(one.numel() * one.element_size() for one in model.parameters()) > INLINE


def write(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    axes: Mapping[str, list[str | int]],
    path: Path,
    *,
    tracer: Tracer,
) -> None:
    """Trace `model` on one batch and write the graph. Raises `ModelError` where the exporter of torch cannot."""
    free = {name: {i: one for i, one in enumerate(axes[name]) if isinstance(one, str)} for name in inputs}
    large = beyond_one_file(model)
    wrapped = _Logits(model, tuple(inputs)).eval()
    try:
        with torch.no_grad(), _plain_attention(model), quiet():
            made = _torchscript if tracer == "torchscript" else _dynamo
            made(wrapped, dict(inputs), free, path, large)
    except ModelError:
        raise
    except Exception as error:  # torch's exporters raise their own and everybody else's
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"torch {torch.__version__} cannot turn a {type(model).__name__} into a graph: {reason}",
            help=f"tracer={'dynamo' if tracer == 'torchscript' else 'torchscript'} goes another way",
        ) from error


def _torchscript(wrapped: _Logits, inputs: Any, free: Any, path: Path, large: bool) -> None:
    def export(to: Path) -> None:
        torch.onnx.export(
            wrapped,
            tuple(inputs.values()),
            str(to),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_axes={**free, "logits": {0: "batch"}},
        )

    if not large:
        export(path)
        return
    with TemporaryDirectory(dir=path.parent) as folder:  # a graph beyond 2 GiB comes with a file for each weight
        export(Path(folder, GRAPH))
        onnx.save_model(
            onnx.load(str(Path(folder, GRAPH))),
            str(path),
            save_as_external_data=True,
            all_tensors_to_one_file=True,
            location=f"{path.name}.data",
        )


def _dynamo(wrapped: _Logits, inputs: Any, free: Any, path: Path, large: bool) -> None:
    try:
        import onnxscript  # noqa: F401 - what torch.onnx asks for at the end of its work
    except ImportError as error:
        raise ModelError(
            "tracer=dynamo needs onnxscript", help="pip install 'vox-onnx[dynamo]', or tracer=torchscript"
        ) from error
    shapes = tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in free.values())
    program = torch.onnx.export(
        wrapped,
        tuple(inputs.values()),
        dynamo=True,
        dynamic_shapes=(shapes,),
        input_names=list(inputs),
        output_names=["logits"],
        verbose=False,
    )
    assert program is not None
    program.save(str(path), external_data=large)


@contextlib.contextmanager
def _plain_attention(model: Any) -> Iterator[None]:
    """Attention as products and a softmax within the block: fused kernels have no operator of their own in a graph."""
    before = getattr(getattr(model, "config", None), "_attn_implementation", None)
    if before in (None, "eager"):
        yield
        return
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the remarks of torch's exporters; whether the graph is right is measured."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def quantize(path: Path, out: Path, *, apart: bool) -> None:
    """Write the graph with the weights of its products of matrices in 8 bits, one scale an output channel.

    Activations are quantised as they come (dynamic quantization), so that no data are needed. `apart`: weights in a
    file beside `out`.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        quantize_dynamic(
            str(path),
            str(out),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # 7 bits: sums of two products of 8 overflow on processors without VNNI
            use_external_data_format=apart,
        )
