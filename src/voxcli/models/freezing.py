"""Parts of an acoustic model that stay as they are in training, found in every architecture.

What people call a part has another name in each architecture: the convolutions are `wav2vec2.feature_extractor`, or
`model.encoder.conv1` and `conv2`, or `audio_spectrogram_transformer.embeddings.patch_embeddings`. `freeze` takes

    feature_encoder        what turns samples or log-mel into the transformer's input
    feature_projection     what follows it, before the first layer, where the architecture has it
    embeddings             positions, tokens, the vector that stands for masked frames
    encoder                the acoustic model as a whole, with all of the above
    encoder.layers         its transformer layers; encoder.layers.3, encoder.layers.0-5: some of them
    decoder                likewise, with decoder.layers, where there is one
    head                   what is neither encoder nor decoder: the output layer
    all_but_head           encoder and decoder

or a pattern with * over the names of the parameters (`*.attention.*`).
"""

from __future__ import annotations

import difflib
import fnmatch
import logging
import re
from collections.abc import Iterable, Sequence
from typing import Any

from voxcli.errors import ModelError

log = logging.getLogger(__name__)

_FRONT_ENDS = ("feature_extractor", "subsampling", "subsampler", "patch_embeddings", "feature_projection")
_CONVOLUTION = re.compile(r"conv\d*")  # Whisper, Moonshine, Speech2Text: children of the encoder
_LAYERS = re.compile(r"(encoder|decoder)\.layers(?:\.(\d+)(?:-(\d+))?)?")
_STACKS = ("layers", "layer", "blocks")  # names of the lists that hold them
_NOT_LAYERS = ("conv", "subsampl", "feature_extractor", "adapter")
_EMBEDDING = re.compile(r"(?:^|[._])embed(?:dings?|s|_|\.|$)|embeddings?\.|(?:cls|distillation)_token")


def freeze(model: Any, groups: Sequence[str]) -> tuple[str, ...]:
    """Keep the parameters of these groups as they are; return the names of those that were trained before.

    `model` may be wrapped by peft; names are those of its `named_parameters`. Raises `ModelError` for a group that the
    model does not have, with a list of those it has.
    """
    frozen: list[str] = []
    members: set[int] = set()
    for group in groups:
        members |= {id(parameter) for parameter in _members(model, group)}
    for name, parameter in model.named_parameters():
        if id(parameter) in members and parameter.requires_grad:
            parameter.requires_grad_(False)
            frozen.append(name)
    _mind_inputs(model)
    return tuple(frozen)


def thaw(model: Any, names: Iterable[str]) -> None:
    """Train parameters again that `freeze` has named."""
    wanted = set(names)
    for name, parameter in model.named_parameters():
        if name in wanted:
            parameter.requires_grad_(True)
    _mind_inputs(model)


def groups_of(model: Any) -> tuple[str, ...]:
    """The groups that a model has, as `freeze` takes them; layers as one range."""
    bare = _bare(model)
    found = [name for name in ("feature_encoder", "feature_projection", "embeddings") if _part(bare, name)]
    for side in ("encoder", "decoder"):
        owner = _side(bare, side)
        if owner is not None:
            found.append(side)
            found += [f"{side}.layers.0-{len(stack) - 1}"] if (stack := _stack(owner)) else []
    return (*found, *(["head"] if _part(bare, "head") else []), "all_but_head")


def layers_of(model: Any, side: str = "encoder") -> list[Any]:
    """The transformer layers of the encoder (or "decoder") in order, empty where none are found."""
    owner = _side(_bare(model), side)
    return [] if owner is None else list(_stack(owner) or ())


def freeze_feature_encoder(model: Any) -> str | None:
    """Freeze what turns samples or log-mel into the transformer's input; return its name, None where there is none."""
    bare = _bare(model)
    if not _part(bare, "feature_encoder"):
        log.warning("%s has no feature encoder to freeze: all of it is trained", type(bare).__name__)
        return None
    names = freeze(model, ["feature_encoder"])
    return next((part for part in _FRONT_ENDS if any(part in name for name in names)), "convolutions")


def freeze_layers(model: Any, count: int) -> None:
    """Freeze the first `count` transformer layers. Raises `ModelError` where the model has fewer."""
    layers = layers_of(model)
    if count > len(layers):
        raise ModelError(
            f"freeze_layers is {count}, the model has {len(layers)} layers",
            help="freeze fewer, or freeze_feature_encoder alone",
        )
    if count:
        freeze(model, [f"encoder.layers.0-{count - 1}"])


def members(model: Any, group: str) -> list[Any]:
    """The parameters of one group, frozen ones too. Raises `ModelError` where there are none."""
    return _members(model, group)


def _members(model: Any, group: str) -> list[Any]:
    """The parameters of one group. Raises `ModelError` where there are none."""
    bare = _bare(model)
    if "*" in group:
        found = [one for name, one in bare.named_parameters() if fnmatch.fnmatchcase(name, group)]
    elif asked := _LAYERS.fullmatch(group):
        found = _of_layers(bare, group, *asked.groups())
    else:
        found = _part(bare, group)
    if not found:
        known = groups_of(bare)
        close = difflib.get_close_matches(group, known, n=1)
        what = "parameter matches" if "*" in group else "part is called"
        meant = f"did you mean `{close[0]}`? " if close else ""
        raise ModelError(
            f"no {what} '{group}' in a {bare.config.model_type} model",
            help=f"{meant}its groups: {', '.join(known)}; or a pattern with *",
        )
    return found


def _of_layers(bare: Any, group: str, side: str, first: str | None, last: str | None) -> list[Any]:
    owner = _side(bare, side)
    stack = None if owner is None else _stack(owner)
    if not stack:
        return []
    low = 0 if first is None else int(first)
    high = len(stack) - 1 if first is None else int(last or first)
    if not low <= high < len(stack):
        raise ModelError(f"'{group}': the {side} has the layers 0-{len(stack) - 1}", help="freeze some of these")
    return [one for layer in list(stack)[low : high + 1] for one in layer.parameters()]


def _part(bare: Any, group: str) -> list[Any]:
    """The parameters of a group that is no list of layers; empty where the model has none of that name."""
    encoder, decoder = _side(bare, "encoder"), _side(bare, "decoder")
    body = {id(one): one for owner in (encoder, decoder) if owner is not None for one in owner.parameters()}
    if group == "encoder":
        return list(encoder.parameters())
    if group == "decoder":
        return [] if decoder is None else list(decoder.parameters())
    if group == "all_but_head":
        return list(body.values())
    if group == "head":
        return [one for one in bare.parameters() if id(one) not in body]
    if group == "feature_encoder":
        return [one for module in _front_end(encoder) for one in module.parameters()]
    if group == "feature_projection":
        return [one for name, one in encoder.named_parameters() if name.startswith("feature_projection.")]
    if group == "embeddings":
        return [one for name, one in bare.named_parameters() if _EMBEDDING.search(name)]
    return []


def _side(bare: Any, side: str) -> Any:
    """The encoder (always there, perhaps the model itself) or the decoder (perhaps None)."""
    base = getattr(bare, bare.base_model_prefix, bare)
    for owner in (bare, base):
        if hasattr(owner, "encoder") and hasattr(owner, "decoder"):
            return getattr(owner, side)
    if side == "decoder":
        return None
    return base if base is not bare else getattr(bare, "encoder", bare) if not _is_base(bare) else bare


def _is_base(bare: Any) -> bool:
    """Whether it is an encoder without any head: its `encoder` is then a part, what comes before it another."""
    return any(name in ("feature_extractor", "feature_projection", "embeddings") for name, _ in bare.named_children())


def _front_end(encoder: Any) -> list[Any]:
    for wanted in _FRONT_ENDS:
        for name, module in encoder.named_modules():
            if name.rpartition(".")[2] == wanted:
                return [module]
    return [module for name, module in encoder.named_children() if _CONVOLUTION.fullmatch(name)]


def _stack(owner: Any) -> Any:
    """The list of transformer layers within a module, None where there is none."""
    from torch import nn

    found = [
        module
        for name, module in owner.named_modules()
        if isinstance(module, nn.ModuleList)
        and name.rpartition(".")[2] in _STACKS
        and not any(part in name for part in _NOT_LAYERS)
    ]
    return max(found, key=len, default=None)  # max takes the first: the outermost


def _mind_inputs(model: Any) -> None:
    """wav2vec 2.0 and its relatives make the output of their convolutions require gradients while `_requires_grad` is
    set (for checkpointing), which would keep all activations of frozen ones."""
    for module in model.modules():
        if hasattr(module, "_freeze_parameters") and hasattr(module, "_requires_grad"):
            module._requires_grad = any(one.requires_grad for one in module.parameters())


def _bare(model: Any) -> Any:
    """The transformers model within peft's wrapper."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
