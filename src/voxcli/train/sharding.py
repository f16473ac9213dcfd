"""A model in several processes -> weights, gradients and optimizer state in parts: `fsdp` of the backend `accelerate`.

torch's FSDP2 does it (`fully_shard`, https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html): of every
tensor each process keeps a part; a layer is put together where it is computed and taken apart behind it. What is left
to a run is told here: checkpoints are whole, gradients are sums, and every process makes as many passes as the others,
because each pass waits for all of them.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from voxcli.errors import RecipeError
from voxcli.models.freezing import layers_of
from voxcli.tasks.wrapped import unwrapped
from voxcli.train import processes

if TYPE_CHECKING:
    from voxcli.recipe.schema import Quantization, Train

OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "sgd", "adagrad", "rmsprop")
"""Those that move every element by itself, and so a part of a tensor like the whole."""
INSTEAD = '[backend] type = "accelerate", fsdp = true parts weights, gradients and optimizer over the processes'
"""For those who asked for it in another way."""
_DROPS = ("layerdrop", "encoder_layerdrop", "decoder_layerdrop")


_LAUNCHER = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}
"""What `accelerate launch` sets, with --use_fsdp and the like, or by the file of `accelerate config`."""


def check_launcher(*, fsdp: bool) -> None:
    """Raise `RecipeError` where `accelerate launch` asks for what the backend would not do; `fsdp`: it does that."""
    for variable, name in _LAUNCHER.items():
        if os.environ.get(variable, "").lower() in ("1", "true", "yes") and not (fsdp and name == "FSDP"):
            raise RecipeError(
                f"accelerate launch asks for {name} ({variable}), and this backend takes no configuration of it",
                help=f"launch without it (`accelerate launch --multi_gpu`, or --nproc); {INSTEAD}",
            )


def check(train: Train) -> None:
    """Raise `RecipeError` for keys of `[train]` that need whole tensors."""
    if train.ema_decay is not None:
        raise RecipeError(
            "train.ema_decay: fsdp parts the weights over processes, and no average of parts is kept",
            help="remove ema_decay; train.average_checkpoints averages what is saved",
        )
    if train.optim not in OPTIMIZERS:
        raise RecipeError(
            f"train.optim = '{train.optim}' needs whole tensors, and fsdp gives it parts of them",
            help=f"known with fsdp: {', '.join(OPTIMIZERS)}",
        )
    if train.mixed_precision == "fp16":
        raise RecipeError(
            'train.mixed_precision = "fp16": its scale of the loss is not known to fsdp',
            help='mixed_precision = "bf16", or remove fsdp from [backend]',
        )


def check_model(*, quantization: Quantization | None, model: Any) -> None:
    """Raise `RecipeError` for a model that cannot be parted, or whose passes differ between processes."""
    if quantization is not None:
        raise RecipeError(
            "[quantization]: quantised weights cannot be parted over processes",
            help='remove [quantization] (train.frozen_dtype = "bfloat16" halves what is frozen), or fsdp',
        )
    for name in _DROPS:
        share = getattr(unwrapped(model).config, name, None)
        if share:
            raise RecipeError(
                f"{name} is {share}: layers are left out at random, each process would wait for another one's layer",
                help=f"model.{name} = 0, or remove fsdp from [backend]",
            )


class Sharding:
    """One model in parts. Every method is called by all processes together."""

    def __init__(self, model: Any, device: torch.device) -> None:
        """Part the model, in place: each layer by itself, and the rest of it."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard

        # nothing here writes into what a model has returned, and torch's own calls are its own affair
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module", category=UserWarning)
        processes.same_weights(model)
        mesh = init_device_mesh(device.type, (processes.world(),))
        for layer in [*layers_of(model, "encoder"), *layers_of(model, "decoder")]:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        self._device = device
        self._root = model
        self._parts: list[Any] = [module for module in model.modules() if isinstance(module, FSDPModule)]
        for part in self._parts:  # sums: the loop divides them once, by the count of the whole step
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)  # Gloo has no other
        # a parameter that one process does not use (masks that hide nothing) has no gradient there
        self._root.set_reduce_scatter_unused_params(True)
        model.register_load_state_dict_pre_hook(_take_parts)
        # else the first layer of a decoding, which does not begin at the root, would take itself for it
        self._root._get_fsdp_state()._lazy_init()

    @contextlib.contextmanager
    def assembled(self) -> Iterator[None]:
        """Within: every process has the whole model and waits for no other. For passes without gradients."""
        for part in self._parts:
            part.set_reshard_after_forward(False, recurse=False)
            part.unshard()
        try:
            yield
        finally:
            for part in self._parts:
                part.reshard()
                part.set_reshard_after_forward(part is not self._root, recurse=False)

    def adopt(self, optimizer: torch.optim.Optimizer) -> None:
        """Let an optimizer of the parted parameters load the state of whole ones."""

        def parted(optimizer: torch.optim.Optimizer, tree: dict[str, Any]) -> dict[str, Any]:
            ours = [one for group in optimizer.param_groups for one in group["params"]]
            theirs = [index for group in tree["param_groups"] for index in group["params"]]
            of = dict(zip(theirs, ours, strict=False))
            state = {
                index: {key: _like(value, of[index]) for key, value in inner.items()}
                for index, inner in tree["state"].items()
            }
            return {**tree, "state": state}

        optimizer.register_load_state_dict_pre_hook(parted)

    def gathered(self, tree: Any) -> Any:
        """A tree of dicts and lists with whole tensors, on the CPU, in the first process; None stands in the others."""
        if isinstance(tree, dict):
            return {key: self.gathered(value) for key, value in tree.items()}
        if isinstance(tree, list | tuple):
            return type(tree)(self.gathered(value) for value in tree)
        if not _is_part(tree):
            return tree
        whole = tree.detach().full_tensor()
        return whole.cpu() if processes.rank() == 0 else None

    def weights(self) -> dict[str, Any]:
        """The whole model's `state_dict` on the CPU, in the first process; tied weights are one tensor."""
        known: dict[int, Any] = {}
        found = self._root.state_dict(keep_vars=True)
        for value in found.values():
            if id(value) not in known:
                known[id(value)] = self.gathered(value.detach())
        return {name: known[id(value)] for name, value in found.items()}

    def stand_ins(self, own: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Batches for the passes that this process makes beside its `own`, so that all make as many.

        Where utterances were set aside one process may have fewer than another: it takes its last batch again. One
        that has none takes a batch of another.
        """
        mine = len(own)
        counts = torch.tensor([mine, -mine], device=self._device)
        torch.distributed.all_reduce(counts, torch.distributed.ReduceOp.MAX)
        most, least = int(counts[0]), -int(counts[1])
        if most == least:
            return []
        given = own[-1] if own else None
        if least == 0:
            shared = processes.gather(given if mine == most else None)
            given = given or next(one for one in shared if one is not None)
        assert given is not None
        return [given] * (most - mine)


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of a tensor, sharing its memory; a tensor that is whole is itself."""
    return tensor.to_local() if _is_part(tensor) else tensor  # type: ignore[attr-defined]


def _is_part(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and hasattr(value, "to_local")  # torch.distributed.tensor.DTensor


def _take_parts(model: Any, state: dict[str, Any], *_: Any) -> None:
    """Before a model takes whole tensors: each becomes what this process has of it, in place."""
    own = dict(model.named_parameters(remove_duplicate=False))
    state.update({name: _like(value, own[name]) for name, value in state.items() if name in own})


def _like(value: Any, parameter: Any) -> Any:
    """A whole tensor of a parameter's shape, parted like it. Every process has the whole one: nothing is sent."""
    from torch.distributed.tensor import distribute_tensor

    if not torch.is_tensor(value) or _is_part(value) or not value.ndim or value.shape != parameter.shape:
        return value
    there = value.to(parameter.device)
    return distribute_tensor(there, parameter.device_mesh, parameter.placements, src_data_rank=None)
