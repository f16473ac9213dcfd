"""A classifier's config -> model, feature extractor and classes; and one clip -> what the model takes of it."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Corpus
from voxcli.errors import DataError, ModelError
from voxcli.models import classifier_config, ctc_frames
from voxcli.models.checkpoint import explained, only_config, quietly, source
from voxcli.models.labels import Labels, counted, listed, names_in
from voxcli.models.precision import in_float32
from voxcli.models.stand_in import lacks_extractor, whisper_extractor

if TYPE_CHECKING:
    import numpy as np

    from voxcli.models.classifier import Classifier

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listener:
    """What stands beside the weights: it goes to the processes that prepare batches."""

    feature_extractor: Any
    labels: Labels
    weights: tuple[float, ...] | None = None
    """Of each class in the loss; None: all alike."""
    masked: bool = False
    """Whether the model takes an attention mask."""
    alone: bool = False
    """Whether padding changes what the model says of a clip: clips of one length only are then scored together."""

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """The feature extractor, and the classes: beside an adapter nothing else names them."""
        self.feature_extractor.save_pretrained(folder)
        self.labels.write(Path(folder))


def build(family: Classifier, config: Any, corpus: Corpus, loading: dict[str, Any]) -> Bundle:
    """See `Classifier.build`. Freezing is left to the caller."""
    import torch
    from transformers import AutoModelForAudioClassification

    loading.setdefault("dtype", torch.float32)
    labels = _labels(family, config, corpus)
    config.problem_type = "multi_label_classification" if family.multi_label else "single_label_classification"
    if family.checkpoint is None:
        if {"quantization_config", "device_map"} & set(loading):
            raise ModelError(
                "random weights cannot be quantised: nothing would be left to learn",
                help="remove [quantization], or start from a checkpoint",
            )
        _name(config, labels)
        with explained(config.model_type, "model"):
            model = AutoModelForAudioClassification.from_config(config, **loading)
    else:
        old = _own_names(config)
        with quietly(), explained(family.checkpoint, "model"):
            model, report = AutoModelForAudioClassification.from_pretrained(
                family.checkpoint, config=config, output_loading_info=True, **source(family.checkpoint), **loading
            )
        trained = not any(name.startswith("classifier.") for name in report["missing_keys"])
        if family.labels == "checkpoint" and not trained and not only_config():
            raise ModelError(
                f"{family.checkpoint} is no trained classifier: it has no classes of its own",
                help='labels = "data" takes those of the training split',
            )
        if family.labels != "checkpoint":
            kept = _new_head(model, labels, old if trained else ())
            log.info("output layer of %d classes, %d of them from the checkpoint", len(labels.names), kept)
        _name(model.config, labels)
    if config.model_type == classifier_config.WHISPER:
        model.encoder.embed_positions.requires_grad_(False)  # sinusoids; from_pretrained forgets that they are frozen
        if family.encoder_context == "clip":
            from voxcli.models import classifier_context

            classifier_context.enable(model)
    listener = Listener(
        feature_extractor(family.checkpoint, config),
        labels,
        _weights(family, corpus, labels),
        classifier_config.attends_to_mask(config),
        classifier_config.hears_padding(config),
    )
    return Bundle(model=model, processor=listener, family=family)


def feature_extractor(checkpoint: str | None, config: Any) -> Any:
    """The checkpoint's feature extractor, or the one that a new model of this architecture needs."""
    import transformers

    from voxcli.models import ctc_build

    if checkpoint is None or lacks_extractor(checkpoint):
        if config.model_type == classifier_config.WHISPER:
            return whisper_extractor(config)
        if config.model_type == classifier_config.AST:
            return transformers.ASTFeatureExtractor(num_mel_bins=config.num_mel_bins, max_length=config.max_length)
    return ctc_build.feature_extractor(checkpoint, config)


@in_float32
def features(family: Classifier, audio: np.ndarray, listener: Listener) -> np.ndarray:
    """See `Classifier.features`."""
    import math

    import numpy as np

    from voxcli.models import clip_context

    extractor = listener.feature_extractor
    rate = extractor.sampling_rate
    most = family.limits().max_duration
    if most == float("inf") and family.crop != "none":
        most = max(family.stretch, 30.0)
    if math.isfinite(most) and len(audio) > (length := round(most * rate)):
        begin = (len(audio) - length) // 2
        audio = audio[begin : begin + length]
    missing = math.ceil(family.needed() * rate) - len(audio)
    if missing > 0:
        audio = np.pad(audio, (0, missing))
    kind = type(extractor).__name__
    if kind == "WhisperFeatureExtractor" and family.encoder_context == "clip":
        return clip_context.features(audio, extractor)
    if kind in ("WhisperFeatureExtractor", "ASTFeatureExtractor"):
        out = extractor(audio, sampling_rate=rate, return_tensors="np")
        return np.asarray(out[extractor.model_input_names[0]][0], dtype=np.float32)
    return np.asarray(ctc_frames.features(extractor, audio))


def _labels(family: Classifier, config: Any, corpus: Corpus) -> Labels:
    """The classes that the recipe asks for. Raises `DataError` where the data have none, `ModelError` for too few."""
    options = {"multi_label": family.multi_label, "separator": family.label_separator}
    if family.labels == "checkpoint":
        return Labels(_own_names(config), **options)  # type: ignore[arg-type]
    if isinstance(family.labels, tuple):
        names = family.labels
    else:
        names = names_in(corpus.labels, **options)  # type: ignore[arg-type]
        if not names and (only_config() or corpus.n_utterances == 0):
            names = _own_names(config)  # a plan without data
        elif not names:
            raise DataError(
                "no training utterance has a label",
                help="a column `label` (`label_column` names another), or folders named by class",
            )
    if len(names) < (1 if family.multi_label else 2):
        raise DataError(
            f"there is one class only: {listed(names)}" if names else "there are no classes",
            help="a classifier needs two at least; multi_label = true decides whether a single one holds",
        )
    return Labels(tuple(names), **options)  # type: ignore[arg-type]


def _own_names(config: Any) -> tuple[str, ...]:
    """The names of a config's classes in their order."""
    return tuple(str(config.id2label[number]) for number in sorted(config.id2label))


def _name(config: Any, labels: Labels) -> None:
    config.id2label = dict(enumerate(labels.names))
    config.label2id = {name: number for number, name in enumerate(labels.names)}


def _new_head(model: Any, labels: Labels, old: tuple[str, ...]) -> int:
    """Give the model an output layer for these classes, in place; return how many rows were kept.

    `old`: the names of the present rows, empty where that layer is untrained.
    """
    import torch
    from torch import nn

    owner, name = (model.classifier, "dense") if hasattr(model.classifier, "dense") else (model, "classifier")
    before = getattr(owner, name)
    after = nn.Linear(before.in_features, len(labels.names)).to(before.weight.device)
    if before.weight.is_floating_point():  # quantised layers hold integers; output layers stay as they are
        after = after.to(before.weight.dtype)
    model._init_weights(after)
    rows = {one: row for row, one in enumerate(old) if row < before.weight.shape[0]}
    shared = [(rows[one], row) for row, one in enumerate(labels.names) if one in rows]
    with torch.no_grad():
        for source_row, row in shared:
            after.weight[row] = before.weight[source_row]
            after.bias[row] = before.bias[source_row]
    setattr(owner, name, after)
    model.num_labels = len(labels.names)
    return len(shared)


def _weights(family: Classifier, corpus: Corpus, labels: Labels) -> tuple[float, ...] | None:
    """The weight of each class. Raises `ModelError` for a name that is none of them."""
    asked = family.class_weights
    if asked == "none":
        return None
    if isinstance(asked, dict):
        if unknown := [name for name in asked if name not in labels.names]:
            raise ModelError(
                f"class_weights names '{unknown[0]}', which is no class", help=f"they are {listed(labels.names)}"
            )
        return tuple(asked.get(name, 1.0) for name in labels.names)
    if not corpus.label_counts:
        return None  # a model that is opened, or planned without data
    found = counted(dict(zip(corpus.labels, corpus.label_counts, strict=True)), labels)
    whole = sum(corpus.label_counts)
    if family.multi_label:
        return tuple((whole - count) / count if count else 1.0 for count in found)
    present = sum(count > 0 for count in found)
    return tuple(whole / (present * count) if count else 1.0 for count in found)
