"""Every CTC architecture of transformers: `[model] type = "ctc"` -> model, processor, limits and frames per clip.

From a checkpoint (wav2vec 2.0, HuBERT, WavLM, data2vec, SEW, UniSpeech, Wav2Vec2-BERT, Parakeet …) or from random
weights, with the sizes in the recipe:

    [model]
    type = "ctc"
    architecture = "parakeet_ctc"
    [model.config]
    hidden_size = 144
    num_hidden_layers = 6
    subsampling_factor = 4       # 40 ms a frame: characters need more frames than word pieces
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
from voxcli.models import ctc_config, ctc_frames, dropouts
from voxcli.models.checkpoint import explained, quietly

if TYPE_CHECKING:
    import numpy as np

_LONG = 16_000  # samples from which the number of frames is counted in periods
_MASKS = ("mask_time_prob", "mask_time_length", "mask_feature_prob", "mask_feature_length")


@config
class CTC:
    """Speech to characters or word pieces, frame by frame (CTC)."""

    task: ClassVar[str] = "ctc"

    checkpoint: str | None = None
    """A local folder or a hub id, for example facebook/wav2vec2-xls-r-300m. One of this and architecture."""
    architecture: str | None = None
    """A model_type of transformers to begin from random weights: parakeet_ctc, wav2vec2, wav2vec2-bert …"""
    config: dict[str, Any] = field(default_factory=dict)
    """Sizes for random weights, or changes of a checkpoint's config; keys of the architecture's transformers config."""
    vocabulary: str | None = None
    """`checkpoint` keeps the checkpoint's output classes, `data` takes the characters of the training transcripts, any
    other string is the characters themselves. None is `checkpoint` where the checkpoint has classes, else `data`."""
    freeze_feature_encoder: bool = False
    """Keep the convolutions (or the subsampling) before the transformer as they are: usual for small data."""
    freeze_layers: int = 0
    """Keep the first layers of the transformer as they are: less memory, less to forget."""
    attention_dropout: float | None = None
    """Dropout of the attention weights. None leaves the checkpoint's."""
    hidden_dropout: float | None = None
    """Dropout of the residual branches."""
    activation_dropout: float | None = None
    """Dropout inside the feed-forward layers."""
    feat_proj_dropout: float | None = None
    """Dropout of the projected features (wav2vec 2.0 and its like)."""
    final_dropout: float | None = None
    """Dropout before the output layer (wav2vec 2.0 and its like)."""
    conformer_conv_dropout: float | None = None
    """Dropout after the convolutions inside the layers (conformers: wav2vec2-conformer, Wav2Vec2-BERT)."""
    layerdrop: float | None = None
    """Share of layers skipped in a training step. Set it to 0 with several devices."""
    mask_time_prob: float | None = None
    """Share of the frames that are masked in training (SpecAugment, arXiv 1904.08779)."""
    mask_time_length: int | None = None
    """Length of one mask in frames; clips with fewer frames cannot be trained on."""
    mask_feature_prob: float | None = None
    """Share of the feature channels that are masked in training."""
    mask_feature_length: int | None = None
    """Height of one mask in channels."""

    def findings(self) -> Iterator[Finding]:
        """Keys that exclude or need each other."""
        if (self.checkpoint is None) == (self.architecture is None):
            said = "neither checkpoint nor architecture is" if self.checkpoint is None else "both are"
            yield Finding(
                level="error",
                message=f"checkpoint, architecture: {said} set, exactly one has to be",
                help="checkpoint starts from trained weights, architecture from random ones",
                path=("checkpoint",),
            )
        if self.vocabulary == "checkpoint" and self.architecture is not None:
            yield Finding(
                level="error",
                message="vocabulary is 'checkpoint', but random weights have none",
                help='vocabulary = "data", or the characters themselves',
                path=("vocabulary",),
            )
        if self.freeze_layers and self.architecture is not None:
            yield Finding(
                level="warning",
                message="freeze_layers keeps random weights as they are",
                help="remove freeze_layers",
                path=("freeze_layers",),
            )

    def limits(self) -> Limits:
        """Least clip, stride and size, from the config alone. Raises `ModelError`."""
        return _limits(self._key())

    def frames(self, n_samples: int) -> int:
        """Frames of the logits for a clip of N samples, exactly, from the config alone."""
        return _frames(self._key(), n_samples)

    @functools.cached_property
    def _cache_key(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    def features(self, audio: np.ndarray, processor: Any) -> np.ndarray:
        """Audio (N,) -> (N,) normalised samples or (T, C) log-mel, float32, without padding."""
        made: np.ndarray = ctc_frames.features(processor.feature_extractor, audio)
        return made

    def feature_masks(self) -> dict[str, float] | None:
        """Masks the task has to draw on log-mel, because the architecture draws none itself; None: it does, or none."""
        asked = {key: getattr(self, key) for key in _MASKS if getattr(self, key) is not None}
        if not asked or ctc_config.has_own_masks(_config(self._key())):
            return None
        return {"mask_time_length": 10, "mask_feature_length": 10, **asked}

    def saved_in(self, checkpoint: str) -> CTC:
        """The same keys for a checkpoint that was trained with them: sizes and vocabulary are the checkpoint's now."""
        return dataclasses.replace(self, checkpoint=checkpoint, architecture=None, config={}, vocabulary=None)

    def frozen_names(self) -> str | None:
        """Pattern of the layers that stay as they are, for an adapter to leave alone."""
        first = "|".join(map(str, range(self.freeze_layers)))
        return rf".*\.layers?\.({first})\..*" if self.freeze_layers else None

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        """Load or initialise model and processor; `loading` goes to `from_pretrained`, dtype is float32 by default.

        Raises `ModelError` where the checkpoint is missing, has no CTC head, or has no vocabulary of its own.
        """
        from voxcli.models import ctc_build
        from voxcli.models.freezing import freeze_feature_encoder, freeze_layers

        made = ctc_build.build(self, copy.deepcopy(_config(self._key())), corpus, loading)
        if self.freeze_feature_encoder:
            freeze_feature_encoder(made.model)
        if self.freeze_layers:
            freeze_layers(made.model, self.freeze_layers)
        return made

    def _key(self) -> str:
        return self._cache_key


@functools.lru_cache(maxsize=16)
def _config(key: str) -> Any:
    keys = json.loads(key)
    masks = {name: keys[name] for name in _MASKS if keys[name] is not None}
    if keys["checkpoint"] is not None:
        made = ctc_config.from_checkpoint(keys["checkpoint"], keys["config"])
    elif keys["architecture"] is not None:
        made = ctc_config.from_sizes(keys["architecture"], keys["config"])
    else:
        raise ModelError("[model] names neither a checkpoint nor an architecture", help="set one of the two")
    set_here = {name: keys[name] for name in dropouts.DROPOUTS if keys.get(name) is not None}
    dropouts.apply(made, set_here, keys["checkpoint"] or made.model_type)
    if masks and ctc_config.has_own_masks(made):
        for name, value in masks.items():
            setattr(made, name, value)
        if hasattr(made, "apply_spec_augment"):
            made.apply_spec_augment = True
    return made


@functools.lru_cache(maxsize=16)
def _extractor(key: str) -> Any:
    from voxcli.models.ctc_build import feature_extractor

    return feature_extractor(json.loads(key)["checkpoint"], _config(key))


def _frames(key: str, n_samples: int) -> int:
    """Every layer adds one frame for a fixed number of samples more, so a long clip is answered by a shorter one."""
    stride = _stride(key)
    periods = max(0, (n_samples - _LONG) // stride)
    return _exact_frames(key, n_samples - periods * stride) + periods


@functools.lru_cache(maxsize=65_536)
def _exact_frames(key: str, n_samples: int) -> int:
    return ctc_frames.output_frames(_config(key), ctc_frames.feature_frames(_extractor(key), n_samples))


@functools.lru_cache(maxsize=16)
def _stride(key: str) -> int:
    """Samples per frame of the logits."""
    far, near = ctc_frames.HORIZON, ctc_frames.HORIZON // 2
    return round((far - near) / (_exact_frames(key, far) - _exact_frames(key, near)))


@functools.lru_cache(maxsize=16)
def _limits(key: str) -> Limits:
    from voxcli.models.sizes import meta_model

    made, extractor = _config(key), _extractor(key)
    masked = ctc_config.has_own_masks(made) and getattr(made, "apply_spec_augment", True) and made.mask_time_prob > 0
    # transformers refuses to mask a batch that has fewer frames than one mask; means and variances (of log-mel, and of
    # batch normalisation in Conformers) need two frames
    needed = max(made.mask_time_length if masked else 2, 2)
    low, high = 0, ctc_frames.HORIZON
    while high - low > 1:
        middle = (low + high) // 2
        enough = _exact_frames(key, middle) >= needed and ctc_frames.feature_frames(extractor, middle) >= 2
        low, high = (low, middle) if enough else (middle, high)
    rate = int(extractor.sampling_rate)
    with quietly(), explained(json.loads(key)["checkpoint"] or made.model_type, "config"):
        n_parameters = sum(parameter.numel() for parameter in meta_model(made, "AutoModelForCTC").parameters())
    return Limits(
        sampling_rate=rate,
        min_duration=high / rate,
        max_duration=float("inf"),
        stride=_stride(key),
        max_label_length=None,
        n_parameters=n_parameters,
    )
