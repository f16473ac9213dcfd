"""A folder with model.onnx -> a torch module that is called as the model it was made of, and runs in onnxruntime."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from vox_onnx.description import Description
from vox_onnx.noise import Batch
from voxcli.errors import ModelError

_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
_NO_MEMORY = ("bad_alloc", "Failed to allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class Network(nn.Module):
    """Stands where the weights would: `forward` takes what the task prepares, and answers with `logits`."""

    def __init__(
        self, folder: Path, description: Description, config: Any, *, device: str | None, threads: int
    ) -> None:
        super().__init__()
        self.config = config
        self.graph = folder / description.file
        self.session = session(self.graph, device=device, threads=threads)
        self.inputs = {one.name: _TYPES[one.type] for one in self.session.get_inputs()}
        self.place = nn.Parameter(torch.zeros(1), requires_grad=False)  # tasks ask the first one where to put a batch

    @property
    def dtype(self) -> torch.dtype:
        """What the input is made of."""
        return torch.float32

    def forward(self, **inputs: torch.Tensor) -> Any:
        """Tensors by the model's names for them -> an object with `logits`, float32.

        Raises `MemoryError` where there is not enough, `ModelError` where onnxruntime cannot run the graph.
        """
        given = {name: inputs[name].numpy().astype(type, copy=False) for name, type in self.inputs.items()}
        try:
            (logits,) = self.session.run(None, given)
        except Exception as error:  # onnxruntime's errors have no class in common
            said = str(error).strip().splitlines() or [type(error).__name__]
            if any(one in str(error) for one in _NO_MEMORY):
                raise MemoryError(said[0]) from error
            raise ModelError(
                f"onnxruntime cannot run {self.graph}: {said[0]}", help="export the model again, and report this"
            ) from error
        return types.SimpleNamespace(logits=torch.from_numpy(logits))


def session(graph: Path, *, device: str | None = None, threads: int = 0) -> onnxruntime.InferenceSession:
    """Load a graph. `threads`: 0 takes as many as torch does. Raises `ModelError` where it is missing or broken."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.enable_mem_pattern = False  # it keeps a plan of memory for each size of batch, and sizes seldom repeat
    options.log_severity_level = 4  # what goes wrong is raised as well
    providers = _providers(device)
    if not graph.is_file():
        raise ModelError(f"there is no {graph}", help="export the model again")
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no class in common
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{graph} cannot be loaded: {reason}",
            help="a copy that was cut short? Copy the folder again, or export the model again",
        ) from error


def _providers(device: str | None) -> list[Any]:
    """onnxruntime's names for a device as torch calls it; None: CUDA where onnxruntime can, else the CPU."""
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    kind, _, number = (device or ("cuda" if cuda else "cpu")).partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    if kind == "cuda" and cuda:
        return [("CUDAExecutionProvider", {"device_id": int(number or 0)}), "CPUExecutionProvider"]
    raise ModelError(
        f"--device {device}: the installed onnxruntime has {', '.join(onnxruntime.get_available_providers())}",
        help="pip install onnxruntime-gpu, in place of onnxruntime" if kind == "cuda" else "--device cpu",
    )


def runner(graph: Path) -> Callable[[Batch], np.ndarray]:
    """A graph as a function from batches of noise to logits (B, …), float32, on the CPU."""
    loaded = session(graph, device="cpu")
    names = [one.name for one in loaded.get_inputs()]

    def run(batch: Batch) -> np.ndarray:
        (logits,) = loaded.run(None, {name: batch.inputs[name].numpy() for name in names})
        return np.asarray(logits, np.float32)

    return run
