"""Every audio classifier of transformers: `[model] type = "classifier"` -> model, feature extractor and limits.

From a checkpoint (wav2vec 2.0, HuBERT, WavLM, SEW, UniSpeech, data2vec, Wav2Vec2-BERT, AST, the encoder of a Whisper),
pre-trained or a classifier already, or from random weights with the sizes in the recipe:

    [model]
    type = "classifier"
    checkpoint = "facebook/wav2vec2-base"
    crop_duration = 1.0              # s; training sees a stretch of so much, drawn anew in each epoch
    freeze_feature_encoder = true
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voxcli.api import Augmentation, Bundle, Corpus, Finding, Limits, config, field
from voxcli.errors import ModelError
from voxcli.models import classifier_config

if TYPE_CHECKING:
    import numpy as np

_MASKS = ("mask_time_prob", "mask_time_length", "mask_feature_prob", "mask_feature_length")
_CROP = 20.0  # s of training, where the architecture has no window of its own
_LONGEST = 160_000  # samples within which every architecture makes the frames that a mask needs


@config
class Classifier:
    """A recording to one of several classes, or to all that hold."""

    task: ClassVar[str] = "classification"
    cuts_long_clips: ClassVar[bool] = True

    checkpoint: str | None = None
    """A local folder or a hub id, for example facebook/wav2vec2-base. One of this and architecture."""
    architecture: str | None = None
    """A model_type of transformers to begin from random weights: wav2vec2, audio-spectrogram-transformer …"""
    config: dict[str, Any] = field(default_factory=dict)
    """Sizes for random weights, or changes of a checkpoint's config; keys of the architecture's transformers config."""
    labels: tuple[str, ...] | Literal["data", "checkpoint"] = "data"
    """The classes. `data`: those of the training split, sorted; `checkpoint`: those it was trained for; or a list, in
    whose order numbers in the data count from 0. What a checkpoint's head knows of a class is kept."""
    multi_label: bool = False
    """Whether several classes may hold of one recording; each is then decided by itself."""
    label_separator: str = ","
    """What stands between the names in a label where several may hold."""
    threshold: float = 0.5
    """Probability from which a class counts as said, where several may hold."""
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    """What an utterance of a class counts in the loss. `balanced`: the less, the more of them there are; a table gives
    weights by name, 1 for classes it leaves out. Where several may hold, the weight of a class where it does."""
    crop: Literal["random", "centre", "none"] = "random"
    """Which stretch of a longer clip training sees. `none`: all of it; clips beyond the model's window are left out."""
    crop_duration: float | None = None
    """s of that stretch. None is the model's window (Whisper 30 s, AST 10.24 s), 20 s where it has none."""
    scored: Literal["whole", "windows"] = "whole"
    """How evaluation and `vox classify` hear a clip: `whole`, up to the model's window or 30 s and beyond that in
    windows of so much; or always in `windows` of `window_duration`."""
    window_duration: float | None = None
    """s. None is crop_duration."""
    window_stride: float | None = None
    """s from the begin of a window to the next. None: they touch. The last one ends with the recording."""
    aggregate: Literal["mean", "max"] = "mean"
    """How the windows' probabilities become those of the recording: `max` finds what is heard once."""
    encoder_context: Literal["window", "clip"] = "window"
    """Whisper only: `window` pads each clip to 30 s. `clip` takes it as long as it is: far quicker on short clips, and
    silence does not dilute them. Read by voxcli; transformers alone hears every clip at 30 s."""
    freeze_feature_encoder: bool = False
    """Keep what turns samples or log-mel into the transformer's input as it is: usual for small data."""
    freeze_encoder: bool = False
    """Train the output layers only: quick, little memory, nothing is forgotten, and less is learned."""
    freeze_layers: int = 0
    """Keep the first layers of the transformer as they are."""
    attention_dropout: float | None = None
    """Dropout of the attention weights. None leaves the checkpoint's."""
    hidden_dropout: float | None = None
    """Dropout of the residual branches."""
    activation_dropout: float | None = None
    """Dropout inside the feed-forward layers."""
    feat_proj_dropout: float | None = None
    """Dropout of the projected features (wav2vec 2.0 and its like)."""
    layerdrop: float | None = None
    """Share of layers skipped in a training step (wav2vec 2.0 and its like)."""
    encoder_layerdrop: float | None = None
    """Share of layers skipped in a training step, of a Whisper."""
    mask_time_prob: float | None = None
    """Share of the frames that are masked in training (SpecAugment, arXiv 1904.08779)."""
    mask_time_length: int | None = None
    """Length of one mask in frames, of 20 ms in waveform models, of 10 ms in those of log-mel."""
    mask_feature_prob: float | None = None
    """Share of the feature channels that are masked in training."""
    mask_feature_length: int | None = None
    """Height of one mask in channels."""

    def findings(self) -> Iterator[Finding]:
        """Keys that exclude or need each other, and values out of range."""
        if (self.checkpoint is None) == (self.architecture is None):
            said = "neither checkpoint nor architecture is" if self.checkpoint is None else "both are"
            message = f"checkpoint, architecture: {said} set, exactly one has to be"
            help = "checkpoint starts from trained weights, architecture from random ones"
            yield Finding("error", message, help, path=("checkpoint",))
        if self.labels == "checkpoint" and self.architecture is not None:
            message = "labels are those of the checkpoint, and there is none"
            yield Finding("error", message, 'labels = "data"', path=("labels",))
        if isinstance(self.labels, tuple) and len(set(self.labels)) != len(self.labels):
            twice = next(name for name in self.labels if self.labels.count(name) > 1)
            yield Finding("error", f"labels name '{twice}' twice", "name each class once", path=("labels",))
        if self.freeze_encoder and self.architecture is not None:
            yield Finding("warning", "freeze_encoder keeps random weights as they are", None, path=("freeze_encoder",))
        for key in ("crop_duration", "window_duration", "window_stride"):
            value = getattr(self, key)
            if value is not None and not 0.0 < value < float("inf"):
                yield Finding("error", f"{key} is {value:g}, expected s above 0", f"{key} = 1.0", path=(key,))
        if not 0.0 < self.threshold < 1.0:
            yield Finding("error", f"threshold is {self.threshold:g}, expected 0 to 1", "0.5", path=("threshold",))
        if self.multi_label and not self.label_separator:
            yield Finding("error", "label_separator is empty", 'label_separator = ","', path=("label_separator",))
        if isinstance(self.class_weights, dict):
            for name, weight in self.class_weights.items():
                if not 0.0 <= weight < float("inf"):
                    message = f"the class '{name}' weighs {weight:g}, expected 0 or more"
                    yield Finding("error", message, None, path=("class_weights", name))

    def limits(self) -> Limits:
        """Sampling rate, window and size, from the config alone. Raises `ModelError`."""
        limits = _limits(self._key)
        longest = self.window if self.scored == "windows" else limits.max_duration
        return dataclasses.replace(limits, max_duration=min(longest, limits.max_duration))

    def augmentations(self) -> tuple[Augmentation, ...]:
        """What happens to training clips after `[[augment]]`."""
        from voxcli.tasks.crops import Crop

        if self.crop == "none":
            return ()
        crop: Any = Crop(of=self._stretch, where=self.crop)
        return (crop,)

    @property
    def stretch(self) -> float:
        """s that training sees of a clip at most."""
        window = classifier_config.window(_config(self._key))
        usual = window if window != float("inf") else _CROP
        return min(self.crop_duration or usual, window)

    def _stretch(self) -> float:
        return self.stretch

    @property
    def window(self) -> float:
        """s of the windows in which a recording is heard that is not heard as a whole."""
        return min(self.window_duration or self.stretch, classifier_config.window(_config(self._key)))

    def padded_duration(self, duration: float, window: float = 30.0) -> float:
        """What the encoder sees, and pays for, of a clip of `duration` s."""
        made = _config(self._key)
        whole = classifier_config.window(made)
        if made.model_type == classifier_config.WHISPER and self.encoder_context == "clip":
            from voxcli.models import clip_context

            return clip_context.padded_duration(duration, whole)
        return whole if whole != float("inf") else max(duration, self.needed())

    def needed(self) -> float:
        """s that the network needs at least; shorter clips are filled up with silence."""
        return _needed(self._key)

    def features(self, audio: np.ndarray, processor: Any) -> np.ndarray:
        """Audio (N,) -> (N,) normalised samples, (T, C) log-mel, or Whisper's (C, T), float32, for one clip.

        Of audio beyond the window the middle is taken.
        """
        from voxcli.models.classifier_build import features

        made: np.ndarray = features(self, audio, processor)
        return made

    def feature_masks(self) -> dict[str, float] | None:
        """Masks the task has to draw on log-mel, because the architecture draws none itself; None: it does, or none."""
        asked = {key: getattr(self, key) for key in _MASKS if getattr(self, key) is not None}
        if not asked or classifier_config.masks_itself(_config(self._key)):
            return None
        return {"mask_time_length": 10, "mask_feature_length": 10, **asked}

    def saved_in(self, checkpoint: str) -> Classifier:
        """The same keys for a checkpoint that was trained with them: sizes and classes are the checkpoint's now."""
        return dataclasses.replace(
            self, checkpoint=checkpoint, architecture=None, config={}, labels="checkpoint", class_weights="none"
        )

    def frozen_names(self) -> str | None:
        """Pattern of the layers that stay as they are, for an adapter to leave alone."""
        first = "|".join(map(str, range(self.freeze_layers)))
        return rf".*\.layers?\.({first})\..*" if self.freeze_layers else None

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        """Load or initialise the model; `loading` goes to `from_pretrained`, dtype is float32 by default.

        Raises `ModelError` where the checkpoint is missing or cannot classify, and where there are no classes.
        """
        from voxcli.models import classifier_build, freezing

        made = classifier_build.build(self, copy.deepcopy(_config(self._key)), corpus, loading)
        if self.freeze_feature_encoder:
            freezing.freeze_feature_encoder(made.model)
        if self.freeze_encoder:
            freezing.freeze(made.model, ["encoder"])
        if self.freeze_layers:
            freezing.freeze_layers(made.model, self.freeze_layers)
        return made

    @functools.cached_property
    def _key(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


@functools.lru_cache(maxsize=16)
def _config(key: str) -> Any:
    from voxcli.models import dropouts

    keys = json.loads(key)
    if keys["checkpoint"] is not None:
        made = classifier_config.from_checkpoint(keys["checkpoint"], keys["config"])
    elif keys["architecture"] is not None:
        made = classifier_config.from_sizes(keys["architecture"], keys["config"])
    else:
        raise ModelError("[model] names neither a checkpoint nor an architecture", help="set one of the two")
    chosen = {name: keys[name] for name in dropouts.DROPOUTS if keys.get(name) is not None}
    dropouts.apply(made, chosen, keys["checkpoint"] or made.model_type)
    if keys["encoder_context"] == "clip" and made.model_type != classifier_config.WHISPER:
        raise ModelError(
            f"encoder_context is for Whisper, and this is a {made.model_type}",
            help="remove encoder_context from [model]",
        )
    masks = {name: keys[name] for name in _MASKS if keys[name] is not None}
    if masks and classifier_config.masks_itself(made):
        for name, value in masks.items():
            setattr(made, name, value)
        made.apply_spec_augment = True
    return made


@functools.lru_cache(maxsize=16)
def _extractor(key: str) -> Any:
    from voxcli.models.classifier_build import feature_extractor

    return feature_extractor(json.loads(key)["checkpoint"], _config(key))


@functools.lru_cache(maxsize=16)
def _needed(key: str) -> float:
    """Two frames, or as many as one mask where the architecture masks: transformers refuses a shorter batch."""
    made, extractor = _config(key), _extractor(key)
    masked = classifier_config.masks_itself(made) and getattr(made, "apply_spec_augment", True)
    wanted = max(made.mask_time_length if masked and made.mask_time_prob > 0 else 2, 2)
    if made.model_type == classifier_config.WHISPER:
        return 0.0
    low, high = 0, _LONGEST
    while high - low > 1:
        middle = (low + high) // 2
        enough = classifier_config.frames(made, extractor, middle) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high / float(extractor.sampling_rate)


@functools.lru_cache(maxsize=16)
def _limits(key: str) -> Limits:
    from voxcli.models.checkpoint import explained, quietly
    from voxcli.models.sizes import meta_model

    made, extractor = _config(key), _extractor(key)
    far, near = 2 * _LONGEST, _LONGEST
    frames = [classifier_config.frames(made, extractor, n_samples) for n_samples in (far, near)]
    with quietly(), explained(json.loads(key)["checkpoint"] or made.model_type, "config"):
        parameters = sum(one.numel() for one in meta_model(made, "AutoModelForAudioClassification").parameters())
    return Limits(
        sampling_rate=int(extractor.sampling_rate),
        min_duration=0.0,  # every clip is filled up with silence
        max_duration=classifier_config.window(made),
        stride=round((far - near) / (frames[0] - frames[1])),
        max_label_length=None,
        n_parameters=parameters,
    )
