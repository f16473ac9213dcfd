"""A model family -> a model that can be trained: float32 weights, quantised base, adapter, gradient checkpointing.

The family knows how to build its model; this module knows what training adds to it, in the one order that works:
quantise while loading, put the adapter in, checkpoint activations, then store in half precision what is never updated.
And it writes the result, so that `from_pretrained` (or `PeftModel`) and converters read it back whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from voxcli.api import Bundle, Corpus, ModelFamily, Task
from voxcli.errors import ModelError
from voxcli.models import attention_adapters, freezing
from voxcli.models.checkpoint import quietly
from voxcli.recipe.combinations import GPU_ONLY
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.tasks.wrapped import is_adapter, unwrapped
from voxcli.text.scoring import english_spelling_of
from voxcli.train import frozen, lora, quantized, recomputation


def build(
    family: ModelFamily,
    corpus: Corpus,
    *,
    train: Train | None = None,
    adapter: Adapter | None = None,
    quantization: Quantization | None = None,
    task: Task | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> Bundle:
    """Build a family's model for training, on `device`, in training mode.

    Of `[train]` it reads `gradient_checkpointing`, `frozen_dtype` and `attn_implementation`. New weights (adapters,
    output layers, random models) follow from `seed`. Raises `ModelError` where the checkpoint is missing or does not
    fit, and where bitsandbytes cannot be used.
    """
    train = train or Train()
    device = torch.device(device)
    loading = options(family=family, train=train, adapter=adapter, quantization=quantization, task=task, device=device)
    torch.manual_seed(seed)
    try:
        bundle = family.build(corpus, **loading)
    except ModelError as error:
        if train.attn_implementation is None or "ttention" not in str(error.__cause__):
            raise
        reason = str(error.__cause__).split(". ")[0]
        raise ModelError(
            f'train.attn_implementation = "{train.attn_implementation}" does not fit: {reason}',
            help="remove the key: the best that the model has is taken; eager is what every model has",
        ) from error
    torch.manual_seed(seed)
    bundle = dress(bundle, family, train=train, adapter=adapter, quantization=quantization, task=task)
    if "quantization_config" not in loading:
        bundle.model.to(device)
    return bundle


def options(
    *,
    train: Train,
    adapter: Adapter | None = None,
    quantization: Quantization | None = None,
    device: torch.device,
    family: ModelFamily | None = None,
    task: Task | None = None,
) -> dict[str, Any]:
    """What a family's `build` is given: dtype, attn_implementation, quantization_config and device_map.

    `family` and `task` say which layers are not quantised beside output layers.

    Raises `ModelError` for quantised weights without an adapter, and where bitsandbytes cannot be imported.
    """
    loading: dict[str, Any] = {"dtype": torch.float32}
    if train.attn_implementation in GPU_ONLY and device.type != "cuda":
        raise ModelError(
            f"{train.attn_implementation} trains on a CUDA GPU only, and this is {device.type}",
            help='train.attn_implementation = "sdpa"',
        )
    if train.attn_implementation is not None:
        loading["attn_implementation"] = train.attn_implementation
    if quantization is not None and quantized.asked(quantization):
        if adapter is None:
            raise ModelError("quantised weights cannot be trained", help="add [adapter], or remove [quantization]")
        keep = [*(adapter.modules_to_save or ())]
        if family is not None:
            keep += [*lora.trained_besides(family, task), *lora.read_directly(lora.model_type(family))]
        loading |= {"quantization_config": quantized.config(quantization, keep=keep), "device_map": {"": device}}
    return loading


def dress(
    bundle: Bundle,
    family: ModelFamily,
    *,
    train: Train,
    adapter: Adapter | None = None,
    quantization: Quantization | None = None,
    task: Task | None = None,
) -> Bundle:
    """What training adds to a model that a family has built, in training mode: shared by real models and by models on
    the meta device whose memory is only counted.

    The order: adapter, `freeze`, checkpointing, then the type of what is frozen. Raises `ModelError` where the adapter
    does not fit, and where nothing would be learned.
    """
    model: Any = bundle.model
    quantized.make_trainable(model)
    model.accepts_loss_kwargs = False  # else transformers' Trainer multiplies the loss by the accumulation steps
    if adapter is not None and adapter.type == "attention":
        bundle = attention_adapters.fitted(bundle, str(adapter.language), adapter.adapter_attn_dim)
    elif adapter is not None:
        model = lora.fitted(model, family, adapter, task)
    if train.freeze:
        freezing.freeze(model, train.freeze)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError("every weight of the model is frozen: nothing would be learned", help="freeze less")
    if train.gradient_checkpointing:
        in_8_bits = quantization is not None and quantization.load_in_8bit
        recomputation.enable(unwrapped(model), reentrant=in_8_bits)
    frozen.keep_statistics(model)
    if train.frozen_dtype != "float32":
        frozen.cast(model, getattr(torch, train.frozen_dtype))
    return bundle.replace(model=model.train())


def save_pretrained(
    bundle: Bundle,
    folder: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write model or adapter, processor and generation config into `folder`; made if need be.

    A folder written here loads with `from_pretrained`, an adapter with `PeftModel.from_pretrained`. `dtype` is that of
    the weights of a whole model. `weights` are the model's, by name, where it does not hold them itself. The feature
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
        if is_adapter(model):
            # the base's embeddings are unchanged: asking would look the base up, on the hub if need be
            given = {} if weights is None else {"state_dict": weights}
            model.save_pretrained(folder, save_embedding_layers=False, **given)
            if generation is not None and inner.can_generate():
                generation.save_pretrained(folder)
        else:
            _save_whole(inner, folder, dtype, weights)
            attention_adapters.save(bundle, inner, folder, weights)
        bundle.processor.save_pretrained(folder)
        bundle.processor.feature_extractor.save_pretrained(folder)
    _save_spellings(bundle.processor, folder)
    if training is not None:
        inner.config.use_cache = training


def _save_whole(model: Any, folder: Path, dtype: torch.dtype, weights: dict[str, torch.Tensor] | None) -> None:
    """Weights and config, all of one type: what is frozen may be kept in half precision while training."""
    other = [one for one in model.parameters() if one.is_floating_point() and one.dtype != dtype]
    if not other:
        model.save_pretrained(folder, state_dict=weights)
        return
    found = model.state_dict(keep_vars=True) if weights is None else weights
    learned = {name for name, one in model.named_parameters(remove_duplicate=False) if one.is_floating_point()}
    whole = {id(one): one.data.to("cpu", dtype) for name, one in found.items() if name in learned}  # ties stay ties
    state = {name: whole.get(id(one), one.data) for name, one in found.items()}
    model.save_pretrained(folder, state_dict=state)
    stored, model.config.dtype = model.config.dtype, dtype
    model.config.save_pretrained(folder)
    model.config.dtype = stored


def _save_spellings(processor: Any, folder: Path) -> None:
    """Whisper's table of English spellings, by which word error rates are counted: its tokenizer reads normalizer.json
    and, since transformers 5, does not write it.
    """
    spellings = english_spelling_of(getattr(processor, "tokenizer", None))
    if spellings is not None:
        text = json.dumps(dict(spellings), ensure_ascii=False, indent=2, sort_keys=True)
        (folder / "normalizer.json").write_text(text + "\n", encoding="utf-8")


def _without_wrappers(model: Any) -> Any:
    """The PEFT or transformers model inside DistributedDataParallel or torch.compile."""
    while not is_adapter(model):
        inner = getattr(model, "_orig_mod", None) or (model.module if hasattr(model, "module") else None)
        if inner is None:
            return model
        model = inner
    return model
