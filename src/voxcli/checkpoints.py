"""A trained checkpoint -> an ordinary transformers folder, or the model in memory: for exporters and engines.

Public for plugins, beside `voxcli.api`. Importing it costs nothing: torch and transformers come with the first call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    from voxcli.engines.transformers import TransformersEngine
    from voxcli.models.open import OpenModel

    Dtype = Literal["float32", "float16", "bfloat16"]

__all__ = [
    "as_learned",
    "engine_around",
    "merged_encoder",
    "open_checkpoint",
    "open_without_weights",
    "pack",
    "save_encoder",
    "save_merged",
    "save_without_weights",
    "source_of",
]


def save_merged(checkpoint: str | Path, out: Path, *, dtype: Dtype = "float32") -> Path:
    """Write a checkpoint as one ordinary transformers folder into `out`, a new or empty folder, and return it.

    An adapter is merged into its full-precision base. Beside the weights (safetensors, in `dtype`) lie the config, the
    generation config, the tokenizer, the feature extractor as preprocessor_config.json, and vox.json. The same as
    `vox export --to merged` without the check. Raises `ModelError` where the checkpoint or its base is missing.
    """
    from voxcli.exporters.merged import Merged

    out.mkdir(parents=True, exist_ok=True)
    return Merged(dtype=dtype).export(Path(checkpoint), out)


def open_checkpoint(name: str | Path, *, device: str | None = None, dtype: Dtype = "float32") -> OpenModel:
    """A run, a checkpoint, an adapter's folder or a hub id -> the model, ready to use, with all that belongs to it.

    `.bundle` (model in evaluation mode without gradients, processor, family with its limits), `.task`, `.decoding` (how
    it decodes unless asked otherwise), `.text` (what was done to the transcripts it learned), `.folder`. An adapter is
    merged. `device`: None takes the GPU where there is one. Raises `ModelError` where there is no such model,
    `PluginError` where the plugin of its family is not installed.
    """
    from voxcli.models.open import open_model

    return open_model(name, device=device, dtype=dtype)


def as_learned(text: str, opened: OpenModel) -> str:
    """A text after the `[text]` rules that the model has learned with: for a task that takes text in."""
    from voxcli.text.normalize import normalize

    return normalize(text, opened.text)


def source_of(checkpoint: str) -> dict[str, Any]:
    """Keyword arguments with which a family calls every `from_pretrained` of a checkpoint, a local folder or a hub id.

    The hub is not asked where none answers: transformers would try for half a minute. Raises `ModelError` at once where
    there is no such checkpoint.
    """
    from voxcli.models.checkpoint import read_config, source

    read_config(checkpoint)
    return source(checkpoint)


def save_without_weights(opened: OpenModel, out: Path) -> Path:
    """Write all of an opened model but its weights into `out`, a new or empty folder, and return it.

    Config, tokenizer, feature extractor (preprocessor_config.json), classes, and vox.json: for a format that keeps the
    weights in a file of its own. `open_without_weights` reads it back.
    """
    import json

    from voxcli.models.checkpoint import quietly, read_json
    from voxcli.models.settings import FILE
    from voxcli.tasks.wrapped import unwrapped

    out.mkdir(parents=True, exist_ok=True)
    model, processor = unwrapped(opened.bundle.model), opened.bundle.processor
    model.config.architectures = [type(model).__name__]  # of an adapter's base it names what the base was
    with quietly():
        model.config.save_pretrained(out)
        processor.save_pretrained(out)
        processor.feature_extractor.save_pretrained(out)
    stored = read_json(str(opened.folder), FILE) if opened.folder is not None else None
    if stored is not None:
        text = json.dumps({**stored, "base": None}, ensure_ascii=False, indent=2)
        (out / FILE).write_text(text + "\n", encoding="utf-8")
    return out


def open_without_weights(folder: str | Path) -> OpenModel:
    """The same as `open_checkpoint` of a folder that has no weights: the model is on the meta device.

    A runtime puts its own in: `opened.bundle.replace(model=...)`, a torch module with `config`, `dtype` and one
    parameter, that is called with what `opened.task.prepared` returns and answers with an object that has `logits`.
    Raises `ModelError` as `open_checkpoint`.
    """
    from voxcli.memory.shapes import without_weights
    from voxcli.models.open import open_model

    with without_weights(device="cpu"):
        return open_model(folder, device="meta")


def engine_around(opened: OpenModel, *, batch_duration: float = 120.0) -> TransformersEngine:
    """The engine `transformers` around an opened model: batches by length, recordings of any length, halves where the
    memory does not suffice (the model then raises `MemoryError`). `batch_duration` is s of padded audio.
    """
    from voxcli.engines.transformers import TransformersEngine

    return TransformersEngine(opened, batch_duration=batch_duration)


def save_encoder(opened: OpenModel, out: Path, *, dtype: Literal["float32", "float16"] = "float16") -> Path:
    """Write the encoder of a Whisper into the folder `out` as encoder.safetensors, for `merged_encoder`; its path."""
    from voxcli.models import merged_encoder
    from voxcli.tasks.wrapped import unwrapped

    return merged_encoder.save(unwrapped(opened.bundle.model), out, dtype=dtype)


def merged_encoder(folder: Path, *, device: str = "cpu") -> Callable[[np.ndarray], np.ndarray] | None:
    """What `save_encoder` has written, or None where it has not: log-mels (B, C, T) float32 of clips -> (B, W, D).

    T is even and as long as the longest clip and half a second, at least one; W are the positions of the whole window,
    whose silence the encoder does not compute (`encoder_context = "merged"`). Raises `ModelError` for a broken file.
    """
    from voxcli.models.merged_encoder import FILE, MergedEncoder

    return MergedEncoder.open(folder, device=device) if (folder / FILE).is_file() else None


def pack(
    durations: Sequence[float], batch_duration: float, *, shortest: float = 0.0, most: int | None = None
) -> list[list[int]]:
    """Clips of these durations (s) -> indices, longest first, in the batches of voxcli's own engine.

    At most `batch_duration` s with padding; `shortest` is what the model pads every clip to at least, s; `most` clips,
    where that is less than the engine's own limit. What shares a batch is padded to its longest: with a clip context
    another batch might bring another text.
    """
    from voxcli.engines import batching

    limit = batching.MAX_CLIPS if most is None else min(most, batching.MAX_CLIPS)
    return batching.pack(durations, batch_duration, shortest=shortest, most=limit)
