"""Small adapters in every layer and an output layer for each language, over one frozen model: `type = "attention"`.

The method is that of MMS (arXiv 2305.13516), its adapters those of Houlsby et al. 2019, one behind the feed-forward
part of each layer: a language costs some MB, and one checkpoint holds as many as it was given. Files are those that
transformers reads: adapter.<language>.safetensors beside the model, and a vocab.json with a table for each language;
`from_pretrained(folder, target_lang="tur")` and facebook/mms-1b-all work the same way.
"""

from __future__ import annotations

import difflib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from voxcli.api import Bundle
from voxcli.errors import ModelError
from voxcli.models.checkpoint import file_of, read_json
from voxcli.models.ctc_head import head_name

USUAL_WIDTH = 16
_FILE = "adapter.{}.safetensors"
_PLACE = "adapter_layer"  # what transformers calls it in the layers of wav2vec 2.0, HuBERT and UniSpeech


def fitted(bundle: Bundle, language: str, width: int | None) -> Bundle:
    """A built CTC model with new adapters for a language, nothing else trained; its tokenizer knows the language.

    `width` is the size of the adapters' middle layer; None takes the checkpoint's, else 16. Raises `ModelError` where
    the architecture has no place for them, and where they would not stand beside those that the checkpoint has.
    """
    model: Any = bundle.model
    places = [module for module in model.modules() if hasattr(module, _PLACE)]
    if not places:
        raise ModelError(
            f"{type(model).__name__} has no place for attention adapters in its layers",
            help="wav2vec 2.0, HuBERT and UniSpeech have with do_stable_layer_norm (XLS-R, MMS, the large models of "
            'LV-60); for others type = "lora" of [adapter]',
        )
    had = getattr(model.config, "adapter_attn_dim", None)
    tables = _tables(bundle)
    others = [name for name in tables if name != language]
    if had is not None and width not in (None, had) and others:
        raise ModelError(
            f"adapter_attn_dim is {width}, and the adapters of {_listed(others)} in this checkpoint have {had}",
            help=f"remove adapter_attn_dim: one checkpoint has adapters of one size, {had}",
        )
    model.config.adapter_attn_dim = width or had or USUAL_WIDTH
    kind = _kind(places[0])
    first = next(model.parameters())
    for layer in places:
        layer.adapter_layer = kind(model.config).to(first.device, first.dtype)
        layer.adapter_layer.apply(model._init_weights)
    model.requires_grad_(False)
    for parameter in parts(model).values():
        parameter.requires_grad_(True)
    processor = bundle.processor
    processor.tokenizer = _with_language(processor.tokenizer, tables, language)
    return bundle.replace(model=model, processor=processor)


def parts(model: Any) -> dict[str, Any]:
    """The parameters that belong to one language, by name: the adapters', and the output layer's."""
    head = head_name(model)
    named = model.named_parameters()
    return {name: one for name, one in named if f".{_PLACE}." in name or name.startswith(f"{head}.")}


def adapted(model: Any) -> bool:
    """Whether a model has attention adapters."""
    return getattr(getattr(model, "config", None), "adapter_attn_dim", None) is not None


def languages(bundle: Bundle) -> tuple[str, ...]:
    """The languages of the vocabulary; empty where it has one alone."""
    tokenizer = bundle.processor.tokenizer
    return tuple(sorted(tokenizer.vocab)) if _nested(tokenizer) else ()


def save(bundle: Bundle, model: Any, folder: Path, weights: dict[str, Any] | None = None) -> None:
    """Write adapter.<language>.safetensors, float32, and bring those of the other languages along.

    `weights` are the model's, by name, where it does not hold them itself.
    """
    from safetensors.torch import save_file

    tokenizer = getattr(bundle.processor, "tokenizer", None)  # a classifier has none
    if tokenizer is None or not adapted(model) or not _nested(tokenizer):
        return
    active = tokenizer.target_lang
    found = {name: one if weights is None else weights[name] for name, one in parts(model).items()}
    tensors = {name: one.detach().cpu().float().contiguous() for name, one in found.items()}
    save_file(tensors, folder / _FILE.format(active), metadata={"format": "pt"})
    base = Path(str(getattr(bundle.family, "checkpoint", None) or ""))
    for name in languages(bundle):
        other = base / _FILE.format(name)
        if name != active and other.is_file() and not (folder / other.name).exists():
            shutil.copyfile(other, folder / other.name)


def speak(bundle: Bundle, language: str | None) -> None:
    """Put a language's adapters, output layer and vocabulary into the model, in place. None, and a model that has one
    language alone, stay as they are.

    Raises `ModelError` where the checkpoint does not have the language, and where its file belongs to another model.
    """
    from voxcli.tasks.wrapped import unwrapped

    model: Any = unwrapped(bundle.model)
    tokenizer = bundle.processor.tokenizer
    if language is None or not adapted(model) or not _nested(tokenizer) or language == tokenizer.target_lang:
        return
    checkpoint = str(getattr(bundle.family, "checkpoint", None) or model.name_or_path)
    known = languages(bundle)
    if language not in known:
        close = difflib.get_close_matches(language, known, n=3, cutoff=0.4)
        meant = f"did you mean {' or '.join(f'`{name}`' for name in close)}? " if close else ""
        raise ModelError(
            f"{checkpoint} has no adapter for the language '{language}'", help=f"{meant}it has {_listed(known)}"
        )
    file = file_of(checkpoint, _FILE.format(language))
    if file is None:
        raise ModelError(
            f"{checkpoint} has a vocabulary for '{language}', and no {_FILE.format(language)}",
            help="copy the file into the folder from the checkpoint where the language was trained",
        )
    _load(model, file)
    tokenizer.set_target_lang(language)
    model.config.pad_token_id = tokenizer.pad_token_id


def _load(model: Any, file: Path) -> None:
    """Raises `ModelError` for a file that cannot be read or has other layers or sizes than the model."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from torch import nn

    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read: {error}", help="copy the adapter again") from error
    head = head_name(model)
    own = parts(model)
    odd = sorted(tensors.keys() ^ own.keys())
    wrong = [name for name in own.keys() & tensors.keys() if _shape(name, tensors, head) != _shape(name, own, head)]
    if odd or wrong:
        name = (sorted(wrong) or odd)[0]
        is_there = [str(tuple(one[name].shape)) if name in one else "missing" for one in (tensors, own)]
        raise ModelError(
            f"{file} is an adapter of another model: {name} is {is_there[0]} in it and {is_there[1]} in the model",
            help="an adapter goes with the checkpoint that it was trained over, and with no other",
        )
    layer = getattr(model, head)
    classes = tensors[f"{head}.weight"].shape[0]
    if classes != layer.weight.shape[0]:
        layer = nn.Linear(layer.in_features, classes, bias=layer.bias is not None)
        setattr(model, head, layer.to(next(model.parameters()).device, next(model.parameters()).dtype))
        model.config.vocab_size = classes
    with torch.no_grad():
        for name, parameter in parts(model).items():
            parameter.copy_(tensors[name])


def _shape(name: str, tensors: Any, head: str) -> tuple[int, ...]:
    """What has to be equal: all of it, but the number of classes of an output layer."""
    shape = tuple(tensors[name].shape)
    return shape[1:] if name.startswith(f"{head}.") else shape


def _kind(layer: Any) -> type:
    """The architecture's own class of adapters. Raises `ModelError` where it has none."""
    module = sys.modules[type(layer).__module__]
    found = [one for name, one in vars(module).items() if re.fullmatch(r"\w+AttnAdapterLayer", name)]
    if not found:
        raise ModelError(f"{type(layer).__name__} takes no attention adapter", help='type = "lora" of [adapter]')
    kind: type = found[0]
    return kind


def _tables(bundle: Bundle) -> dict[str, dict[str, int]]:
    """The vocabularies by language that the checkpoint has; the model's own may be a new one."""
    checkpoint = getattr(bundle.family, "checkpoint", None)
    stored = read_json(checkpoint, "vocab.json") if checkpoint is not None else None
    return dict(stored) if stored is not None and _by_language(stored) else {}


def _with_language(tokenizer: Any, tables: dict[str, dict[str, int]], language: str) -> Any:
    """A tokenizer with a vocabulary for each language, and its present classes for `language`."""
    from tempfile import TemporaryDirectory

    from transformers import Wav2Vec2CTCTokenizer

    if not isinstance(getattr(tokenizer, "encoder", None), dict):
        raise ModelError(
            f"attention adapters need a vocabulary of characters, and the tokenizer is a {type(tokenizer).__name__}",
            help='vocabulary = "data" in [model]',
        )
    tables = {**tables, language: dict(tokenizer.encoder)}
    with TemporaryDirectory(prefix="vox-vocabulary-") as folder:
        file = Path(folder, "vocab.json")
        file.write_text(json.dumps(tables, ensure_ascii=False), encoding="utf-8")
        names = ("unk_token", "pad_token", "bos_token", "eos_token", "word_delimiter_token")
        special = {name: getattr(tokenizer, name, None) for name in names}
        return Wav2Vec2CTCTokenizer(
            str(file),
            **{name: None if token is None else str(token) for name, token in special.items()},
            target_lang=language,
            clean_up_tokenization_spaces=False,
        )


def _nested(tokenizer: Any) -> bool:
    return _by_language(getattr(tokenizer, "vocab", None))


def _by_language(vocabulary: Any) -> bool:
    return bool(vocabulary) and isinstance(vocabulary, dict) and all(isinstance(v, dict) for v in vocabulary.values())


def _listed(names: Any) -> str:
    names = list(names)
    return f"{', '.join(names[:12])}{f' and {len(names) - 12} more' if len(names) > 12 else ''}"
