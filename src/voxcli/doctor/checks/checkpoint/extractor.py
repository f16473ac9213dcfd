"""C120: the feature extractor of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.checkpoint.folder import CheckpointFolder
    from voxcli.doctor.context import Context

POSITIONS_A_SECOND = 50  # Whisper's encoder: 10 ms mel frames, halved


class FeatureExtractor:
    """The feature extractor is missing, or computes other features than the model takes.

    Why: the model sees only what the extractor computes. One of another checkpoint has 80 mel bins where large-v3 and
    turbo take 128, another window, or another sampling rate, at which speech is slowed down or sped up: the first stops
    with an error of a convolution, the last decodes nonsense without any error.

    Repair: copy preprocessor_config.json and processor_config.json of the checkpoint that training began with.

    Sources: transformers issues 30740 and 27363, whisper-timestamped issue 132; openai/whisper, audio.py.
    """

    code: ClassVar[str] = "C120"
    name: ClassVar[str] = "feature-extractor"
    about: ClassVar[About] = "checkpoint"

    def run(self, context: Context) -> Iterator[Finding]:
        """Of the models that are known to take audio; an adapter's may stand with its base."""
        folder = context.checkpoint
        if folder.kind == "other" or not _takes_audio(folder.config):
            return
        base = folder.base
        help = (
            f"cp {base}/*processor_config.json {folder.path}/"
            if base is not None and any(base.glob("*processor_config.json"))
            else "copy preprocessor_config.json and processor_config.json of the checkpoint that training began with"
        )
        extractor = folder.extractor
        if extractor is None:
            mild = folder.of_trainer or folder.adapter is not None or folder.kind == "encoder"
            yield Finding(
                "note" if mild else "error",
                "there is no feature extractor: neither preprocessor_config.json nor one in processor_config.json",
                help,
                where=str(folder.path),
            )
            return
        for what, found, wanted in _compared(folder, extractor):
            yield Finding(
                "error",
                f"the feature extractor has {what} {found}, the model takes {wanted}",
                help,
                where=str(folder.path),
            )


def _takes_audio(config: Mapping[str, Any]) -> bool:
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES

    return str(config.get("model_type")) in FEATURE_EXTRACTOR_MAPPING_NAMES


def _compared(folder: CheckpointFolder, extractor: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(what, found, wanted) of the settings that differ."""
    config = folder.config
    inner = config.get("encoder_config")
    bins = config.get("num_mel_bins") or (inner.get("num_mel_bins") if isinstance(inner, dict) else None)
    if config.get("model_type") == "audio-spectrogram-transformer":
        found = extractor.get("num_mel_bins")
    else:
        found = extractor.get("feature_size")
    stacked = config.get("feature_projection_input_dim")  # Wav2Vec2-BERT: two frames of 80 bins are one
    if isinstance(stacked, int) and isinstance(extractor.get("stride"), int):
        found, bins = int(extractor.get("num_mel_bins") or found or 0) * int(extractor["stride"]), stacked
    if isinstance(bins, int) and isinstance(found, int) and found != bins:
        yield "mel bins:", found, bins
    rate = extractor.get("sampling_rate")
    wanted = config.get("sampling_rate") or 16_000  # every family that voxcli knows
    if isinstance(rate, int) and rate != wanted:
        yield "a sampling rate of", f"{rate:,} Hz", f"{wanted:,} Hz"
    window, positions = extractor.get("chunk_length"), config.get("max_source_positions")
    if not isinstance(window, int) or not isinstance(positions, int) or folder.kind != "whisper":
        return
    if window * POSITIONS_A_SECOND != positions:
        yield "a window of", f"{window} s", f"{positions / POSITIONS_A_SECOND:g} s"
