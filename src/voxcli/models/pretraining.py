"""Encoders that learn from audio alone: `[model] type = "pretraining"` -> wav2vec 2.0 or its conformer, with quantiser.

From random weights, with the sizes in the recipe, or continued from a checkpoint:

    [model]
    type = "pretraining"
    architecture = "wav2vec2"
    [model.config]
    hidden_size = 256
    num_hidden_layers = 6

The result is an ordinary checkpoint: `checkpoint = "runs/NAME/best"` of a model of type ctc begins from it.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Bundle, Corpus, Finding, Limits, config, field
from voxcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

_FALLING = 0.7  # share of a run in which the temperature falls


@config
class Pretraining:
    """Self-supervised pre-training of wav2vec 2.0 and the conformer (arXiv 2006.11477)."""

    task: ClassVar[str] = "pretraining"

    checkpoint: str | None = None
    """Continue from a local folder or a hub id, for example facebook/wav2vec2-xls-r-300m. One of this and
    architecture."""
    architecture: str | None = None
    """Begin from random weights: wav2vec2 or wav2vec2-conformer."""
    config: dict[str, Any] = field(default_factory=dict)
    """Sizes for random weights, or changes of a checkpoint's config; keys of the architecture's transformers config.
    The code books have num_codevector_groups and num_codevectors_per_group."""
    freeze_feature_encoder: bool = False
    """Keep the convolutions as they are, where pre-training is continued."""
    mask_time_prob: float = 0.65
    """Share of the frames that spans would hide if none overlapped; 0.65 hides about half."""
    mask_time_length: int = 10
    """Frames of a span. Shorter ones are guessed from what is beside them; a clip needs a frame more than this."""
    num_negatives: int = 100
    """Other hidden frames of the clip that each is told apart from. Fewer make it easier."""
    contrastive_logits_temperature: float | None = None
    """Divides the similarities. None leaves the config's, 0.1."""
    diversity_loss_weight: float | None = None
    """Weight of the loss that keeps all codevectors in use. None leaves the config's, 0.1; larger ones prevent a
    collapse, and take from what is learned."""
    max_gumbel_temperature: float = 2.0
    """Where the temperature of the choice of codevectors begins."""
    min_gumbel_temperature: float = 0.5
    """Where it ends: the lower, the more definite the choice."""
    gumbel_temperature_decay: float | None = None
    """The temperature is multiplied by it at each step. None lets it fall over the first 70 % of the run, as 0.999995
    does in wav2vec 2.0's 400,000 steps; that value in a short run never leaves the beginning."""
    attention_dropout: float | None = None
    """Dropout of the attention weights. None leaves the config's."""
    hidden_dropout: float | None = None
    """Dropout of the residual branches."""
    activation_dropout: float | None = None
    """Dropout inside the feed-forward layers."""
    feat_proj_dropout: float | None = None
    """Dropout of the projected features."""
    feat_quantizer_dropout: float | None = None
    """Dropout of what the quantiser sees."""
    layerdrop: float | None = None
    """Share of layers skipped in a training step. Set it to 0 with several devices."""

    def findings(self) -> Iterator[Finding]:
        """Keys that exclude or need each other, and values out of range."""
        if (self.checkpoint is None) == (self.architecture is None):
            said = "neither checkpoint nor architecture is" if self.checkpoint is None else "both are"
            yield _wrong(
                "checkpoint",
                f"checkpoint, architecture: {said} set, exactly one has to be",
                "checkpoint goes on from trained weights, architecture begins from random ones",
            )
        if self.freeze_feature_encoder and self.architecture is not None:
            yield _wrong(
                "freeze_feature_encoder",
                "freeze_feature_encoder keeps random convolutions as they are",
                "remove it; it is for going on from a checkpoint",
            )
        if not 0 < self.mask_time_prob <= 1:
            yield _wrong("mask_time_prob", f"mask_time_prob is {self.mask_time_prob:g}, expected above 0 to 1", "0.65")
        if self.mask_time_length < 2:
            yield _wrong(
                "mask_time_length",
                f"mask_time_length is {self.mask_time_length}, expected at least 2",
                "a frame hidden alone has nothing to be told apart from; 10 is usual",
            )
        if self.num_negatives < 1:
            yield _wrong("num_negatives", f"num_negatives is {self.num_negatives}, expected at least 1", "100 is usual")
        if not 0 < self.min_gumbel_temperature <= self.max_gumbel_temperature:
            yield _wrong(
                "min_gumbel_temperature",
                f"the temperature is to go from {self.max_gumbel_temperature:g} down to "
                f"{self.min_gumbel_temperature:g}",
                "0 < min_gumbel_temperature <= max_gumbel_temperature; 2.0 and 0.5 are usual",
            )
        if self.gumbel_temperature_decay is not None and not 0 < self.gumbel_temperature_decay <= 1:
            yield _wrong(
                "gumbel_temperature_decay",
                f"gumbel_temperature_decay is {self.gumbel_temperature_decay:g}, expected above 0 to 1",
                "1 keeps the temperature where it begins",
            )

    def limits(self) -> Limits:
        """Least clip, stride and size, from the config alone. Raises `ModelError`."""
        return _limits(self._cache_key)

    def frames(self, n_samples: int) -> int:
        """Frames of the encoder for a clip of N samples."""
        from voxcli.models.pretraining_config import frames

        return frames(_config(self._cache_key), n_samples)

    def features(self, audio: np.ndarray, processor: Any) -> np.ndarray:
        """Audio (N,) -> what the network reads, (N,) float32, normalised where the feature extractor does it."""
        from voxcli.models.ctc_frames import features

        made: np.ndarray = features(processor.feature_extractor, audio)
        return made

    def gumbel_temperature(self, step: int, total_steps: int) -> float:
        """Of the choice of codevectors after `step` steps of a run."""
        decay = self.gumbel_temperature_decay
        if decay is None:
            ratio = self.min_gumbel_temperature / self.max_gumbel_temperature
            decay = ratio ** (1.0 / max(_FALLING * total_steps, 1.0))
        return max(self.max_gumbel_temperature * decay**step, self.min_gumbel_temperature)

    def saved_in(self, checkpoint: str) -> Pretraining:
        """The same keys for a checkpoint that was trained with them: the sizes are the checkpoint's now."""
        return dataclasses.replace(self, checkpoint=checkpoint, architecture=None, config={})

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        """Load or initialise the model; `loading` goes to `from_pretrained`, dtype is float32 by default.

        Raises `ModelError` where the checkpoint is missing or of another architecture.
        """
        from voxcli.models.pretraining_build import build

        return build(self, copy.deepcopy(_config(self._cache_key)), loading)

    @functools.cached_property
    def _cache_key(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def _wrong(key: str, message: str, help: str) -> Finding:
    return Finding(level="error", message=message, help=help, path=(key,))


@functools.lru_cache(maxsize=16)
def _config(key: str) -> Any:
    from voxcli.models import dropouts, pretraining_config

    keys = json.loads(key)
    if keys["checkpoint"] is not None:
        made = pretraining_config.from_checkpoint(keys["checkpoint"], keys["config"])
    elif keys["architecture"] is not None:
        made = pretraining_config.from_sizes(keys["architecture"], keys["config"])
    else:
        raise ModelError("[model] names neither a checkpoint nor an architecture", help="set one of the two")
    set_here = {name: keys[name] for name in dropouts.DROPOUTS if keys.get(name) is not None}
    dropouts.apply(made, set_here, keys["checkpoint"] or made.model_type)
    for name in ("contrastive_logits_temperature", "diversity_loss_weight"):
        if keys[name] is not None:
            setattr(made, name, keys[name])
    made.num_negatives = keys["num_negatives"]
    return made


@functools.lru_cache(maxsize=16)
def _limits(key: str) -> Limits:
    import math

    from voxcli.models.checkpoint import explained, quietly
    from voxcli.models.ctc_build import feature_extractor
    from voxcli.models.pretraining_config import samples
    from voxcli.models.sizes import meta_model

    made, name = _config(key), json.loads(key)["checkpoint"]
    rate = int(feature_extractor(name, made).sampling_rate)
    with quietly(), explained(name or made.model_type, "config"):
        n_parameters = sum(one.numel() for one in meta_model(made, "AutoModelForPreTraining").parameters())
    return Limits(
        sampling_rate=rate,
        min_duration=samples(made, 2) / rate,
        max_duration=float("inf"),
        stride=math.prod(made.conv_stride),
        max_label_length=None,
        n_parameters=n_parameters,
    )
