"""The name of a trained model -> the model, ready to transcribe, with everything that belongs to its decoding.

A name is a run's folder (its best checkpoint, else its newest), a checkpoint, an adapter's folder, any folder that
`save_pretrained` of transformers or peft wrote, or a hub id. Adapters are merged into their base, which is loaded in
the precision asked for: a merged model is an ordinary one and as fast; trained over an int8 or 4-bit base it differs
from what was trained by the rounding of that base.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Corpus, Decoding, ModelFamily, Task
from voxcli.errors import ModelError, UsageError
from voxcli.models.adapters import attached, merged
from voxcli.models.checkpoint import absolute, read_config, read_json
from voxcli.models.labels import read_names
from voxcli.models.settings import Settings, read_settings
from voxcli.plugins.manager import manager
from voxcli.recipe.schema import TextRules
from voxcli.sample import shipped

if TYPE_CHECKING:
    import torch

_STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True)
class OpenModel:
    """A loaded model and how to use it."""

    bundle: Bundle
    task: Task
    text: TextRules
    """What was done to the transcripts it learned; references are scored after the same."""
    decoding: Decoding
    """How it decodes unless asked otherwise."""
    folder: Path | None
    """The checkpoint's folder; None for a model from the hub."""


def open_model(
    name: str | Path,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    encoder_context: str | None = None,
    merge: bool = True,
    loading: Mapping[str, Any] | None = None,
) -> OpenModel:
    """Load a model for inference.

    `device`: None takes the GPU where there is one. `dtype`: None is float32. `encoder_context` overrides how a Whisper
    sees its clips ("window", "merged" or "clip"). `merge`: False leaves an adapter beside the weights of its base, as
    it is in training; what it has trained then requires gradients. `loading` goes to the family's `build`:
    quantization_config with device_map, attn_implementation. Raises `ModelError` where there is no such model or it is
    of no known family, `PluginError` where the plugin of its family is not installed, `UsageError` for a device that is
    not there.
    """
    import torch

    placed = device_of(device)
    checkpoint = locate(name)
    settings = read_settings(checkpoint)
    adapter = read_json(checkpoint, "adapter_config.json")
    base = checkpoint if adapter is None else _base(checkpoint, adapter, settings)
    family = settings.family() if settings is not None else _family_of(base)
    family = _starting_from(family, base, whole=adapter is None)
    if encoder_context is not None:
        if not hasattr(family, "encoder_context"):
            raise ModelError(
                f"{name} is no Whisper, so encoder_context cannot be set", help="leave encoder_context out"
            )
        if encoder_context == "merged" and family.task == "classification":
            raise ModelError(
                f'{name} classifies, and encoder_context = "merged" is for text', help='"clip" is for both'
            )
        family = dataclasses.replace(family, encoder_context=encoder_context)
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype)
    corpus = Corpus("", (), 0, 0.0)
    if adapter is not None:  # the sizes of its output layer
        corpus = Corpus(_characters(checkpoint), read_names(checkpoint), 0, 0.0)
    more = dict(loading or {})
    bundle = family.build(corpus, **{"dtype": dtype or torch.float32, **more})
    if adapter is not None:
        model: Any = attached(bundle.model, checkpoint)
        bundle = bundle.replace(model=merged(model, checkpoint) if merge else model)
    bundle.model.eval()
    if merge:
        bundle.model.requires_grad_(False)
    if "quantization_config" not in more:  # bitsandbytes has placed it
        bundle.model.to(placed)
    return OpenModel(
        bundle=bundle,
        task=manager().registry.load("task", family.task)(),
        text=settings.text_rules() if settings is not None else TextRules(),
        decoding=settings.decoding_options() if settings is not None else _own_decoding(bundle.model),
        folder=Path(checkpoint) if Path(checkpoint).is_dir() else None,
    )


def locate(name: str | Path) -> str:
    """A name -> the checkpoint's folder, absolute, or a hub id; `sample-model` is the one that ships.

    Raises `ModelError` for a run without checkpoints.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return str(shipped(str(name)) or name)
    if (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
        return absolute(str(folder))
    best = folder / "best"
    if best.is_dir():
        return absolute(str(best))
    steps = [(int(found[1]), step) for step in _steps(folder) if (found := _STEP.fullmatch(step.name))]
    if steps:
        return absolute(str(max(steps)[1]))
    if (folder / "recipe.toml").is_file() or (folder / "checkpoints").is_dir():
        raise ModelError(
            f"the run {folder} has no checkpoint yet", help=f"train it first: vox train {folder}/recipe.toml --resume"
        )
    return absolute(str(folder))


def _steps(folder: Path) -> list[Path]:
    inside = folder / "checkpoints"
    return [path for path in inside.iterdir() if path.is_dir()] if inside.is_dir() else []


def _base(checkpoint: str, adapter: dict[str, Any], settings: Settings | None) -> str:
    """The checkpoint an adapter belongs to. Raises `ModelError` where it cannot be found."""
    named = (settings.base if settings is not None else None) or adapter.get("base_model_name_or_path")
    if not named:
        raise ModelError(
            f"the adapter {checkpoint} does not say which model it belongs to",
            help="write it into adapter_config.json as base_model_name_or_path",
        )
    try:
        read_config(str(named))
    except ModelError as error:
        raise ModelError(
            f"{checkpoint} is an adapter for '{named}', and that base model is missing: {error.message}",
            help=f"{error.help or ''} The base's place stands in vox.json (base) and adapter_config.json "
            "(base_model_name_or_path): change it there if the base has moved.".strip(),
        ) from error
    return str(named)


def _family_of(checkpoint: str) -> ModelFamily:
    """The family of a checkpoint that voxcli did not write, by its model_type."""
    from voxcli.models import classifier_config, ctc_config

    sizes = read_config(checkpoint)
    model_type = sizes["model_type"]
    if classifier_config.classifies(sizes):
        known: ModelFamily = manager().registry.load("model", "classifier")(checkpoint=checkpoint)
        return classifier_config.as_trained(known, sizes)
    others = {"whisper": "whisper", "speech-encoder-decoder": "encoder-decoder"}
    if model_type not in others and model_type not in ctc_config.architectures():
        raise ModelError(
            f"{checkpoint} is a {model_type} model; nothing here can transcribe with it",
            help=f"known: {', '.join(others)}, {', '.join(ctc_config.architectures())}",
        )
    name = others.get(model_type, "ctc")
    family: ModelFamily = manager().registry.load("model", name)(checkpoint=checkpoint)
    return family


def _starting_from(family: Any, checkpoint: str, *, whole: bool) -> Any:
    """The family with another checkpoint. `whole`: its weights, sizes and vocabulary are all in that folder."""
    if whole and hasattr(family, "saved_in"):
        return family.saved_in(checkpoint)
    return dataclasses.replace(family, checkpoint=checkpoint)


def _characters(checkpoint: str) -> str:
    """The characters of the tokenizer that was saved with an adapter: its output layer has one class for each.

    Empty where none was saved with it: its classes are then those of its base.
    """
    from voxcli.models.ctc_build import tokenizer_of

    tokenizer = tokenizer_of(checkpoint)
    if tokenizer is None:
        return ""
    special = {*tokenizer.all_special_tokens, getattr(tokenizer, "word_delimiter_token", None)}
    return "".join(sorted(token for token in tokenizer.get_vocab() if len(token) == 1 and token not in special))


def _own_decoding(model: Any) -> Decoding:
    """What an ordinary checkpoint says of its decoding: language and task in its generation config."""
    own = getattr(model, "generation_config", None)
    task = getattr(own, "task", None)
    return Decoding(language=getattr(own, "language", None), task="translate" if task == "translate" else "transcribe")


def device_of(name: str | torch.device | None) -> torch.device:
    """The device of a name; None is the default. Raises `UsageError` where this machine has none of it."""
    import torch

    if name is None:
        return default_device()
    try:
        device = torch.device(name)
        if device.type != "meta":
            torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise UsageError(f"there is no device '{name}' here", help=f"devices: {', '.join(there)}") from error
    return device


def default_device() -> torch.device:
    """The GPU where there is one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
