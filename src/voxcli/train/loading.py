"""A model family -> a model that can be trained: float32 weights, quantised base, adapter, gradient checkpointing.

The family knows how to build its model; this module knows what training adds to it, in the one order that works:
quantise while loading, freeze, put the adapter in, then checkpoint activations. And it writes the result, so that
`from_pretrained` (or `PeftModel`) and converters read it back whole.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import torch

from voxcli.api import Bundle, Corpus, ModelFamily
from voxcli.errors import ModelError
from voxcli.models.checkpoint import absolute, quietly
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.tasks.wrapped import unwrapped
from voxcli.train import frozen

HEADS = ("lm_head", "ctc_head", "proj_out")
# Output layers are learned. What comes out of feature_projection is changed in place by transformers (padding, masks),
# which autograd forbids for the outputs of bitsandbytes' products.
_NEVER_QUANTISED = (*HEADS, "feature_projection.projection")
_ATTENTION = (("q_proj", "v_proj"), ("linear_q", "linear_v"), ("query_proj", "value_proj"))
_FIRST_LAYERS = ("conv1", "embed_tokens", "feature_projection", "subsampling", "subsampler")


def build(
    family: ModelFamily,
    corpus: Corpus,
    *,
    train: Train | None = None,
    adapter: Adapter | None = None,
    quantization: Quantization | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> Bundle:
    """Build a family's model for training, on `device`, in training mode.

    Of `[train]` it reads `gradient_checkpointing`, `frozen_dtype` and `attn_implementation`. New weights (adapters,
    output layers, random models) follow from `seed`. Raises `ModelError` where the checkpoint is missing or does not
    fit, and where bitsandbytes cannot be used.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it says for every product that it casts its input
    train = train or Train()
    device = torch.device(device)
    torch.manual_seed(seed)
    loading = options(train=train, adapter=adapter, quantization=quantization, device=device)
    bundle = family.build(corpus, **loading)
    torch.manual_seed(seed)
    bundle = dress(bundle, family, train=train, adapter=adapter, quantization=quantization)
    if "quantization_config" not in loading:
        bundle.model.to(device)
    return bundle


def options(
    *, train: Train, adapter: Adapter | None, quantization: Quantization | None, device: torch.device
) -> dict[str, Any]:
    """What a family's `build` is given: dtype, attn_implementation, quantization_config and device_map.

    Raises `ModelError` for quantised weights without an adapter, and where bitsandbytes cannot be imported.
    """
    loading: dict[str, Any] = {"dtype": torch.float32}
    if train.attn_implementation is not None:
        loading["attn_implementation"] = train.attn_implementation
    if quantization is not None and (quantization.load_in_8bit or quantization.load_in_4bit):
        if adapter is None:
            raise ModelError("quantised weights cannot be trained", help="add [adapter], or remove [quantization]")
        loading |= {"quantization_config": _bitsandbytes(quantization), "device_map": {"": device}}
    return loading


def dress(
    bundle: Bundle,
    family: ModelFamily,
    *,
    train: Train,
    adapter: Adapter | None = None,
    quantization: Quantization | None = None,
) -> Bundle:
    """What training adds to a model that a family has built, in training mode: shared by real models and by models on
    the meta device whose memory is only counted.

    The order: adapter, checkpointing, then the type of what is frozen. Raises `ModelError` where the adapter does not
    fit, and where nothing would be learned.
    """
    model: Any = bundle.model
    _keep_trainable(model)
    model.accepts_loss_kwargs = False  # else transformers' Trainer multiplies the loss by the accumulation steps
    if adapter is not None:
        model = _adapted(model, family, adapter)
    if train.gradient_checkpointing:
        # bitsandbytes' int8 product keeps its input alive for the backward pass, which only re-entrant checkpointing
        # drops (Whisper large-v2, LoRA, 8 clips: 8 GiB instead of 20)
        reentrant = quantization is not None and quantization.load_in_8bit
        inner = unwrapped(model)
        inner.activation_checkpointing_enable({"use_reentrant": reentrant})
        inner.config.use_cache = False  # what is saved has it
        if adapter is not None:
            _let_inputs_need_gradients(inner)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError("every weight of the model is frozen: nothing would be learned", help="freeze less")
    if train.frozen_dtype != "float32":
        frozen.cast(model, getattr(torch, train.frozen_dtype))
    return bundle.replace(model=model.train())


def save_pretrained(bundle: Bundle, folder: str | Path) -> None:
    """Write model or adapter, processor and generation config into `folder`; made if need be.

    A folder written here loads with `from_pretrained`, an adapter with `PeftModel.from_pretrained`. The feature
    extractor is written twice, in processor_config.json and in preprocessor_config.json, which converters read.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = _without_wrappers(bundle.model)
    inner = unwrapped(model)
    generation = getattr(inner, "generation_config", None)
    if generation is not None:
        generation._from_model_config = False  # else its own keys (languages, alignment heads) vanish on reload
    training = getattr(inner.config, "use_cache", None)
    if training is not None:
        inner.config.use_cache = True  # decoding needs it; activation checkpointing has switched it off
    with quietly():
        if _is_adapter(model):
            # the base's embeddings are unchanged: asking would look the base up, on the hub if need be
            model.save_pretrained(folder, save_embedding_layers=False)
            if generation is not None and inner.can_generate():
                generation.save_pretrained(folder)
        else:
            inner.save_pretrained(folder)
        bundle.processor.save_pretrained(folder)
        bundle.processor.feature_extractor.save_pretrained(folder)
    if training is not None:
        inner.config.use_cache = training


def _bitsandbytes(quantization: Quantization) -> Any:
    """The quantisation for `from_pretrained`. Raises `ModelError` where bitsandbytes is missing or broken."""
    try:
        import bitsandbytes  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"[quantization] needs bitsandbytes, which cannot be imported: {reason}",
            help="pip install bitsandbytes; or remove [quantization] and train the adapter over the float32 base",
        ) from error
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(**dataclasses.asdict(quantization), llm_int8_skip_modules=list(_NEVER_QUANTISED))


def _keep_trainable(model: Any) -> None:
    """Forbid bitsandbytes to repack 4-bit weights for inference on the CPU, which it does at the first evaluation: the
    repacked product has no gradient, and training would go on without learning anything beneath it.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _adapted(model: Any, family: ModelFamily, adapter: Adapter) -> Any:
    """The model with a LoRA in it; everything else is frozen, except the modules that are saved whole."""
    from peft import LoraConfig, get_peft_model

    if not model.name_or_path:
        raise ModelError(
            "an adapter needs trained weights beneath it, and this model begins from random ones",
            help="remove [adapter], or start from a checkpoint",
        )
    keys = dataclasses.asdict(adapter)
    del keys["type"]
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    keys["target_modules"] = list(adapter.target_modules or _targets(names, type(model).__name__))
    missing = sorted(set(keys["target_modules"]) - names)
    if missing:
        raise ModelError(
            f"the model has no layer called {', '.join(missing)} for [adapter] target_modules",
            help=f"attention layers it has: {', '.join(sorted(n for n in names if n.endswith(('proj', '_q', '_v'))))}",
        )
    saved = adapter.modules_to_save
    if saved is None and family.task == "ctc":
        saved = tuple(name for name in HEADS if name in names)
    keys["modules_to_save"] = list(saved) if saved else None
    excluded = getattr(family, "frozen_names", lambda: None)()
    # the base as it can be found from elsewhere; task_type stays unset, peft's wrappers for tasks are made for text
    model.config._name_or_path = model.name_or_path = absolute(model.name_or_path)
    on_meta = any(parameter.is_meta for parameter in model.parameters())
    with quietly():
        wrapped = get_peft_model(model, LoraConfig(**keys, exclude_modules=excluded), low_cpu_mem_usage=on_meta)
    wrapped.accepts_loss_kwargs = False
    return wrapped


def _targets(names: set[str], architecture: str) -> tuple[str, ...]:
    for targets in _ATTENTION:
        if names.issuperset(targets):
            return targets
    raise ModelError(
        f"voxcli does not know which layers of a {architecture} take an adapter",
        help="name them: target_modules in [adapter]",
    )


def _let_inputs_need_gradients(model: Any) -> None:
    """Re-entrant checkpointing computes no gradient for a block whose inputs need none, as in a frozen base."""

    def require(module: Any, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if not first.requires_grad and torch.is_grad_enabled():
            first.requires_grad_(True)

    for name, module in model.named_modules():
        if name.rpartition(".")[2] in _FIRST_LAYERS:
            module.register_forward_hook(require)


def _without_wrappers(model: Any) -> Any:
    """The PEFT or transformers model inside DistributedDataParallel or torch.compile."""
    while not _is_adapter(model):
        inner = getattr(model, "_orig_mod", None) or (model.module if hasattr(model, "module") else None)
        if inner is None:
            return model
        model = inner
    return model


def _is_adapter(model: Any) -> bool:
    return type(model).__module__.startswith("peft.")
