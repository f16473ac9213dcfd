"""Operations whose result depends on values, answered for tensors that have none: the case that needs most memory.

A step of a model runs under `FakeTensorMode` except where it looks at numbers: masks drawn at random, branches on the
largest label, CTC, boolean indices. `Stand-ins` takes these operations and hands on others of the same sizes.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

from voxcli.errors import ModelError, VoxError
from voxcli.memory import kernels

if TYPE_CHECKING:
    from voxcli.memory.tracker import Tracker

aten = torch.ops.aten
_DEVICE = torch.ops.prim.device.default
_IN_PLACE = (aten.index_put_.default, aten._index_put_impl_.default)
_LIKELY = "_voxcli_likely"  # attribute of a fake scalar that is taken for true


class StandIns(TorchDispatchMode):
    """Enter it last, above the tracker, so that what it hands on is counted."""

    def __init__(self, tracker: Tracker, *, device: str) -> None:
        super().__init__()
        self._tracker = tracker
        self.chosen: dict[tuple[int, ...], int] = {}
        """Shape of a mask -> the most elements of it that can be set; all of them where it is not known."""
        self._with: dict[Any, Callable[..., Any]] = {
            aten.index_put.default: self._index_put,
            aten.index_put_.default: self._index_put,
            aten._index_put_impl_.default: self._index_put,
            aten._unsafe_index_put.default: self._index_put,
        }
        self._workspaces = kernels.workspaces(device)
        self._for: dict[Any, Callable[..., Any]] = {
            aten._local_scalar_dense.default: self._scalar,
            aten.any.default: self._any,
            aten.equal.default: lambda *_: False,
            aten.nonzero.default: self._nonzero,
            aten.masked_select.default: self._masked_select,
            aten.index.Tensor: self._index,
            aten._use_cudnn_ctc_loss.default: lambda *_, **__: False,
            aten._use_cudnn_ctc_loss.Tensor: lambda *_, **__: False,
            aten._ctc_loss.default: self._ctc,
            aten._ctc_loss.Tensor: self._ctc,
            aten._ctc_loss_backward.default: self._ctc_backward,
            aten._ctc_loss_backward.Tensor: self._ctc_backward,
        }

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and torch's guard against it takes a fifth of a trace."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _DEVICE:  # asked twice for each operation, and no operation itself
            return args[0].fake_device if isinstance(args[0], FakeTensor) else func(*args)
        kwargs = kwargs or {}
        if (stand_in := self._for.get(func)) is not None:
            return stand_in(*args, **kwargs)
        if (around := self._with.get(func)) is not None:
            return around(func, *args, **kwargs)
        if (positions := kernels.IN_ONE_PIECE.get(func)) is not None:
            args = self._in_one_piece(args, positions)
        out = func(*args, **kwargs)
        if (workspace := self._workspaces.get(func)) is not None and (n_bytes := workspace(args, out)):
            self._tracker.workspace(n_bytes)
        return out

    def _in_one_piece(self, args: tuple[Any, ...], positions: tuple[int, ...]) -> tuple[Any, ...]:
        if all(args[at].is_contiguous() for at in positions):
            return args
        with self._tracker.part("workspace"):
            return tuple(one.contiguous() if at in positions else one for at, one in enumerate(args))

    def _scalar(self, tensor: torch.Tensor) -> Any:
        constant = getattr(tensor, "constant", None)
        if constant is not None:
            return constant.item()
        if tensor.dtype == torch.bool:
            return getattr(tensor, _LIKELY, False)
        return 1.0 if tensor.is_floating_point() else 1

    def _any(self, tensor: torch.Tensor) -> torch.Tensor:
        out = aten.any.default(tensor)
        setattr(out, _LIKELY, True)
        return out

    def _count(self, mask: torch.Tensor) -> int:
        return self.chosen.get(tuple(mask.shape), mask.numel())

    def _nonzero(self, tensor: torch.Tensor) -> torch.Tensor:
        return torch.empty(self._count(tensor), tensor.dim(), dtype=torch.int64)

    def _masked_select(self, tensor: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        shape = torch.broadcast_shapes(tensor.shape, mask.shape)
        count = self._count(mask) if shape == mask.shape else shape.numel()
        return torch.empty(count, dtype=tensor.dtype)

    def _places(self, indices: Any) -> list[torch.Tensor | None]:
        """Boolean indices as the long ones that the kernels make of them."""
        made: list[torch.Tensor | None] = []
        for index in indices:
            if index is not None and index.dtype in (torch.bool, torch.uint8):
                found = self._nonzero(index)
                made += [column.squeeze(1) for column in found.split(1, dim=1)]
            else:
                made.append(index)
        return made

    def _index(self, tensor: torch.Tensor, indices: Any) -> torch.Tensor:
        with self._tracker.part("workspace"):
            places = self._places(indices)
        return aten.index.Tensor(tensor, places)

    def _index_put(
        self, func: Any, tensor: torch.Tensor, indices: Any, values: torch.Tensor, *rest: Any, **more: Any
    ) -> torch.Tensor:
        masked = any(index is not None and index.dtype == torch.bool for index in indices)
        if masked and values.numel() == 1 and not any(rest):  # one value: torch fills by the mask
            return tensor if func in _IN_PLACE else tensor.clone()
        with self._tracker.part("workspace"):
            places = self._places(indices)
        done: torch.Tensor = func(tensor, places, values, *rest, **more)
        return done

    def _ctc(
        self, log_probs: torch.Tensor, targets: torch.Tensor, lengths: Any, target_lengths: Any, *rest: Any, **more: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n_frames, batch, _ = log_probs.shape
        longest = targets.shape[1] if targets.dim() == 2 else targets.numel() // max(batch, 1)
        loss = torch.empty(batch, dtype=log_probs.dtype)
        alpha = torch.empty(batch, n_frames, 2 * longest + 1, dtype=log_probs.dtype)
        return loss, alpha

    def _ctc_backward(self, grad: torch.Tensor, log_probs: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        alpha = rest[4]  # targets, input_lengths, target_lengths, neg_log_likelihood, log_alpha
        with self._tracker.part("workspace"):
            beta = torch.empty_like(alpha)
        out = torch.empty_like(log_probs)
        del beta
        return out


@contextlib.contextmanager
def masks_of_models(stand_ins: StandIns) -> Iterator[None]:
    """Within: SpecAugment inside models of transformers draws nothing, and its masks are as full as they can be.

    transformers draws them with numpy from the lengths of the clips, which fake tensors do not have.
    """

    def spans(
        shape: tuple[int, int],
        mask_prob: float,
        mask_length: int,
        attention_mask: Any = None,
        min_masks: int = 0,
    ) -> Any:
        import numpy as np

        batch, length = shape
        n_spans = max(int(mask_prob * length / mask_length + 1), min_masks)  # rounded up as the draw can
        most = min(n_spans * mask_length, length)
        stand_ins.chosen[batch, length] = batch * most
        return np.zeros(shape, dtype=bool)

    def negatives(features_shape: tuple[int, ...], num_negatives: int, mask_time_indices: Any = None) -> Any:
        import numpy as np

        batch, length = features_shape
        return np.zeros((batch, length, num_negatives), dtype=np.int32)

    with contextlib.ExitStack() as stack:
        if (masking := sys.modules.get("transformers.masking_utils")) is not None:
            # no two clips share a row; asked of the positions, which have no values here, the answer would be a mask
            stack.enter_context(patch.object(masking, "find_packed_sequence_indices", lambda positions: None))
        for name, module in list(sys.modules.items()):
            if not name.startswith("transformers.models.") or ".modeling_" not in name:
                continue
            for function, stand_in in (("_compute_mask_indices", spans), ("_sample_negative_indices", negatives)):
                if function in getattr(module, "__dict__", {}):
                    stack.enter_context(patch.object(module, function, stand_in))
        yield


@contextlib.contextmanager
def explained(model: Any) -> Iterator[None]:
    """Turn what cannot run without values into one `ModelError` that names the operation."""
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        UnsupportedOperatorException,
    )

    name = type(model).__name__
    try:
        yield
    except VoxError:
        raise
    except (DataDependentOutputException, DynamicOutputShapeException, UnsupportedOperatorException) as error:
        raise _untraceable(name, f"{error.func} depends on values, which are not there") from error
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise _untraceable(name, f"{type(error).__name__}: {lines[0]}") from error


def _untraceable(name: str, reason: str) -> ModelError:
    return ModelError(
        f"the memory of {name} cannot be predicted: {reason}",
        help="measure it instead: vox plan RECIPE --measure",
    )
