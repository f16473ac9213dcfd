"""The folder of a trained model: its JSON files, its vocabulary and the headers of its weights, each read once.

A folder of voxcli, of transformers' or peft's `save_pretrained`, or a checkpoint of the transformers Trainer. No
weights are read here, and nothing of transformers is imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from voxcli.doctor.checkpoint.vocabulary import vocabulary_of
from voxcli.doctor.checkpoint.weights import Weights
from voxcli.errors import ModelError
from voxcli.models.settings import FILE as VOX
from voxcli.models.stand_in import EXTRACTORS

CONFIG, ADAPTER, GENERATION = "config.json", "adapter_config.json", "generation_config.json"
JSON = (CONFIG, ADAPTER, GENERATION, *EXTRACTORS, "tokenizer_config.json", VOX)
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")

Kind = Literal["whisper", "ctc", "classification", "encoder", "other"]


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder with config.json or adapter_config.json."""

    path: Path
    files: Mapping[str, dict[str, Any]]
    """Name -> content, of those of `JSON` that are there."""

    @classmethod
    def open(cls, path: Path) -> CheckpointFolder:
        """Raises `ModelError` for a folder without a config, and for a file that is no JSON."""
        files = {name: _json(path / name) for name in JSON if (path / name).is_file()}
        if CONFIG not in files and ADAPTER not in files:
            raise ModelError(
                f"{path} has neither {CONFIG} nor {ADAPTER}: what its weights belong to is not known",
                help=f"copy {CONFIG} from the checkpoint that training began with, or from where the folder comes from",
            )
        return cls(path, files)

    @property
    def adapter(self) -> dict[str, Any] | None:
        """adapter_config.json."""
        return self.files.get(ADAPTER)

    @property
    def config(self) -> dict[str, Any]:
        """The model's config; for an adapter that of its base, empty where the base is not here."""
        if self.adapter is None or CONFIG in self.files:
            return self.files.get(CONFIG, {})
        folder = self.base
        path = folder / CONFIG if folder is not None else None
        return _json(path) if path is not None and path.is_file() else {}

    @property
    def generation(self) -> dict[str, Any] | None:
        """generation_config.json."""
        return self.files.get(GENERATION)

    @property
    def vox(self) -> dict[str, Any] | None:
        """vox.json; None where voxcli did not write the folder."""
        return self.files.get(VOX)

    @property
    def extractor(self) -> dict[str, Any] | None:
        """The settings of the feature extractor, from whichever file has them."""
        own = self.files.get(EXTRACTORS[0])
        return own if own is not None else self.files.get(EXTRACTORS[1], {}).get("feature_extractor")

    @property
    def tokenizer_settings(self) -> dict[str, Any]:
        """tokenizer_config.json."""
        return self.files.get("tokenizer_config.json", {})

    @property
    def has_tokenizer(self) -> bool:
        """Whether there is a vocabulary of some kind."""
        return any((self.path / name).is_file() for name in TOKENIZERS)

    @cached_property
    def vocabulary(self) -> dict[str, int] | None:
        """Token -> id, added tokens included; None where there is none that can be read without its library."""
        return vocabulary_of(self.path, self.tokenizer_settings)

    @cached_property
    def weights(self) -> Weights:
        """The headers of the weights."""
        return Weights.of(self.path)

    @property
    def kind(self) -> Kind:
        """What the model does, by its config."""
        return kind_of(self.config)

    @property
    def named_base(self) -> str | None:
        """The checkpoint that training began with, as the folder names it."""
        vox, adapter = self.vox or {}, self.adapter
        if adapter is not None:
            named = vox.get("base") or adapter.get("base_model_name_or_path")
        else:
            model = vox.get("model")
            named = (model.get("checkpoint") if isinstance(model, dict) else None) or self.config.get("_name_or_path")
        return named if isinstance(named, str) and named else None

    @cached_property
    def base(self) -> Path | None:
        """The folder of that checkpoint, on this disk or in the hub's cache; None where it is not here."""
        named = self.named_base
        if named is None:
            return None
        from voxcli.sample import shipped

        for folder in (shipped(named), Path(named).expanduser()):
            if folder is not None and folder.is_dir():
                return None if folder.resolve() == self.path.resolve() else folder
        return _cached(named)

    @property
    def of_trainer(self) -> bool:
        """Whether the transformers Trainer wrote it, in the middle of a run or at its end, perhaps without its
        processor.
        """
        return any(any(self.path.glob(name)) for name in ("trainer_state.json", "checkpoint-*/trainer_state.json"))


def converted(path: Path) -> str | None:
    """The runtime whose files a folder holds, where it is none of transformers'."""
    if (path / "model.bin").is_file() and any(path.glob("vocabulary.*")):
        return "CTranslate2"
    return "ONNX Runtime" if any(path.glob("*.onnx")) and not any(path.glob("*.safetensors")) else None


def kind_of(config: Mapping[str, Any]) -> Kind:
    """What a model does, by the class that its config names."""
    architectures = config.get("architectures") or [""]
    name = str(architectures[0])
    if name.endswith(("ForSequenceClassification", "ForAudioClassification")):
        return "classification"
    if config.get("model_type") == "whisper":
        return "whisper"
    if name.endswith("ForCTC"):
        return "ctc"
    return "encoder" if name.endswith(("ForPreTraining", "Model")) else "other"


def _cached(named: str) -> Path | None:
    """The snapshot of a hub id in the cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(named, CONFIG)
    except HFValidationError:  # no id: a path that is gone
        return None
    return Path(found).parent if isinstance(found, str) else None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}", help="copy the checkpoint again, or this file") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object", help="copy the checkpoint again, or this file")
    return content
