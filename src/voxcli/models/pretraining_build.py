"""A config of wav2vec 2.0 or the conformer -> the model that is pre-trained, and what turns audio into its input."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle
from voxcli.errors import ModelError
from voxcli.models.checkpoint import explained, quietly, source
from voxcli.models.ctc_build import feature_extractor

if TYPE_CHECKING:
    from voxcli.models.pretraining import Pretraining

log = logging.getLogger(__name__)


class AudioProcessor:
    """A feature extractor alone, for models that know no text."""

    tokenizer: None = None

    def __init__(self, feature_extractor: Any) -> None:
        self.feature_extractor = feature_extractor

    def save_pretrained(self, folder: str | Path) -> None:
        """Write preprocessor_config.json."""
        self.feature_extractor.save_pretrained(folder)


def build(family: Pretraining, config: Any, loading: dict[str, Any]) -> Bundle:
    """See `Pretraining.build`."""
    import torch
    from transformers import AutoModelForPreTraining

    from voxcli.models.freezing import freeze_feature_encoder
    from voxcli.pretraining.parts import fit

    loading.setdefault("dtype", torch.float32)
    if "quantization_config" in loading:
        raise ModelError(
            "pre-training changes every weight, and quantised ones cannot be changed", help="remove [quantization]"
        )
    if family.checkpoint is None:
        with explained(config.model_type, "model"):
            model = AutoModelForPreTraining.from_config(config, **loading)
    else:
        with quietly(), explained(family.checkpoint, "model"):
            model, report = AutoModelForPreTraining.from_pretrained(
                family.checkpoint, config=config, output_loading_info=True, **source(family.checkpoint), **loading
            )
        if any(name.startswith("quantizer") for name in report["missing_keys"]):
            log.warning("%s has no quantiser: its encoder is kept, the code books begin at random", family.checkpoint)
    fit(model)
    model.set_gumbel_temperature(family.max_gumbel_temperature)
    if family.freeze_feature_encoder:
        freeze_feature_encoder(model)
    return Bundle(model=model, processor=AudioProcessor(feature_extractor(family.checkpoint, config)), family=family)
