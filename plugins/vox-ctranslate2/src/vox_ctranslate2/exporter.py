"""A Whisper checkpoint, an adapter merged, -> a CTranslate2 folder, as faster-whisper opens it too.

model.bin                  weights, quantised
config.json                CTranslate2's: suppressed tokens, language tokens, alignment heads
encoder.safetensors        the encoder once more, which the engine takes for short clips
vocabulary.json, tokenizer.json, preprocessor_config.json
vox.json                   what voxcli knows of the model, and under `whisper` what the files above do not say
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voxcli.api import config
from voxcli.errors import ModelError

if TYPE_CHECKING:
    from voxcli.api import Bundle

Quantization = Literal[
    "float32", "float16", "bfloat16", "int16", "int8", "int8_float32", "int8_float16", "int8_bfloat16"
]


@config
class CTranslate2:
    """A Whisper for CTranslate2 and faster-whisper."""

    engine: ClassVar[str] = "ctranslate2"
    repair: ClassVar[str] = "quantization=float32 computes what the checkpoint does"

    quantization: Quantization = "float16"
    """Type of the weights that are stored, in CTranslate2's words. `float16`: half the room and the same texts; a GPU
    computes in it, a processor in float32. `int8_float32`: the large matrices in 8 bits, a quarter of the room and the
    quickest on a processor; a few words may change, and the check says how many."""

    short_clips: bool = True
    """Keep the encoder a second time, in 16 bits (32 beside float32), with which clips much shorter than 30 s are heard
    several times as quickly where `encoder_context` asks for it. It is 22 % (tiny) to 41 % (large) of the weights."""

    def export(self, checkpoint: Path, out: Path) -> Path:
        """Write the model into `out`. Raises `ModelError` where it is no Whisper or its base is missing."""
        from voxcli.checkpoints import open_checkpoint, save_encoder

        _require_whisper(checkpoint)
        opened = open_checkpoint(checkpoint, device="cpu")
        bundle = opened.bundle
        if getattr(bundle.model.config, "quantization_config", None) is not None:
            raise ModelError(
                f"the base of {checkpoint} is itself stored in 8 or 4 bits, which cannot be converted",
                help="write the place of the full-precision base into vox.json (base) of the checkpoint",
            )
        _convert(bundle, checkpoint, out, self.quantization)
        _mend(out / "config.json", bundle)
        if self.short_clips and bundle.family.encoder_context != "clip":  # type: ignore[attr-defined]
            save_encoder(opened, out, dtype="float32" if self.quantization == "float32" else "float16")
        bundle.processor.tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
        bundle.processor.feature_extractor.save_pretrained(out)  # preprocessor_config.json
        _write_json(out / "vox.json", {**_read_json(checkpoint / "vox.json"), "whisper": _facts(bundle)})
        return out


def _convert(bundle: Bundle, checkpoint: Path, out: Path, quantization: str) -> None:
    """Weights, vocabulary and config.json of a model in memory: what TransformersConverter does with one on the disk.

    That one reads the checkpoint itself: it would need the merged model as a folder, and has the config without what
    voxcli completes in it.
    """
    from ctranslate2.converters.converter import Converter
    from ctranslate2.converters.transformers import WhisperLoader

    class InMemory(Converter):
        def _load(self) -> Any:
            return WhisperLoader()(bundle.model, bundle.processor.tokenizer)

    try:
        InMemory().convert(str(out), quantization=quantization, force=True)
    except (ValueError, RuntimeError, NotImplementedError, AttributeError, TypeError) as error:
        raise ModelError(
            f"CTranslate2 cannot convert {checkpoint}: {error}",
            help="its vocabulary has to be the tokenizer's: `vox doctor` looks at both",
        ) from error


def _mend(path: Path, bundle: Bundle) -> None:
    """Complete CTranslate2's config.json.

    The converter (4.8) reads language tokens that the generation config does not list off
    `tokenizer.additional_special_tokens`, which tokenizers of transformers 5 no longer have, and writes an empty list:
    no language could be heard then. `null` stands where a checkpoint suppresses nothing, and faster-whisper's own
    lists are taken for it.
    """
    content = _read_json(path)
    languages = getattr(bundle.model.generation_config, "lang_to_id", None) or {}
    content["lang_ids"] = sorted(languages.values())
    for key in ("suppress_ids", "suppress_ids_begin"):
        content[key] = content.get(key) or []
    _write_json(path, content)


def _facts(bundle: Bundle) -> dict[str, Any]:
    """What the engine has to know and no file of CTranslate2 says."""
    model: Any = bundle.model
    generation = model.generation_config
    return {
        "multilingual": bool(generation.is_multilingual),  # CTranslate2 goes by the size of the vocabulary
        "language": getattr(generation, "language", None),
        "task": getattr(generation, "task", None),
        "positions": int(model.config.max_target_positions),
        "encoder_context": bundle.family.encoder_context,  # type: ignore[attr-defined]
        "alignment_heads": bool(getattr(generation, "alignment_heads", None)),  # the checkpoint's own, or guessed
    }


def _require_whisper(checkpoint: Path) -> None:
    """Refuse another architecture before its weights are read."""
    settings, sizes = _read_json(checkpoint / "vox.json"), _read_json(checkpoint / "config.json")
    kind = sizes.get("model_type") or (settings.get("model") or {}).get("type")
    if any("ForAudioClassification" in str(name) for name in sizes.get("architectures") or ()):
        kind = "classification"
    if kind not in (None, "whisper"):
        raise ModelError(
            f"{checkpoint} is a {kind} model, and this exporter writes Whisper models",
            help="CTC and classification models: vox export RUN --to onnx",
        )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
