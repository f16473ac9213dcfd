"""A recording to its class, or to all that hold: utterances with a label -> features -> loss, classifications.

One class: cross entropy, weighted by the class's weight and divided by the sum of the weights. Several (multi-label):
binary cross entropy of every class, divided by their number. Both are sums and counts over the utterances, in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Bundle, Classification, Decoding, Limits, Utterance, config

if TYPE_CHECKING:
    import numpy as np
    import torch

    from voxcli.data.table import Table


@config
class ClassificationTask:
    """A recording to one of several classes, or to all that hold."""

    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1", "mean_average_precision")
    learns: ClassVar[str] = "label"
    transcripts: ClassVar[bool] = False
    next_commands: ClassVar[tuple[str, ...]] = (
        "vox evaluate {run} --data {data} --split test",
        "vox classify FILE --model {run}",
    )
    groups_by_length: ClassVar[bool] = False
    shares_batches: ClassVar[bool] = True
    trained_with_adapter: ClassVar[tuple[str, ...]] = ("projector", "classifier")

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        """Audio (N,) -> the model's input without padding, and its classes where the model knows them all."""
        family, listener = _family(bundle), bundle.processor
        item: dict[str, Any] = {"features": family.features(audio, listener), "n_samples": len(audio)}
        labels = listener.labels
        if labels.problem(utterance.label) is None:
            item["classes"] = [labels.ids[name] for name in labels.said(utterance.label)]
        return item

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        """Items -> the model's input (B, N), (B, T, C) or Whisper's (B, C, T) float32, and n_samples (B,).

        With attention_mask (B, N or T) where the model takes one, n_frames (B,) of Whisper's log-mel; where all are
        known, classes (B,) int64, or targets (B, classes) float32 where several may hold.
        """
        import torch

        from voxcli.models import clip_context

        listener = bundle.processor
        extractor, labels = listener.feature_extractor, listener.labels
        name = extractor.model_input_names[0]
        made = [item["features"] for item in items]
        batch: dict[str, Any] = {"n_samples": torch.tensor([item["n_samples"] for item in items])}
        if name == "input_features" and _mel_first(extractor):
            batch[name] = torch.from_numpy(clip_context.stack(made))
            batch["n_frames"] = torch.tensor([one.shape[1] for one in made])
        else:
            lengths = torch.tensor([len(one) for one in made])
            shape = (len(made), int(lengths.max()), *made[0].shape[1:])
            batch[name] = torch.full(shape, float(extractor.padding_value))
            for row, one in zip(batch[name], made, strict=True):
                row[: len(one)] = torch.from_numpy(one)
            if listener.masked:
                batch["attention_mask"] = (torch.arange(shape[1])[None] < lengths[:, None]).long()
        if listener.alone:
            batch["lengths"] = torch.tensor([len(one) for one in made])
        if all("classes" in item for item in items):
            if labels.multi_label:
                batch["targets"] = torch.zeros(len(items), len(labels.names))
                for row, item in zip(batch["targets"], items, strict=True):
                    row[item["classes"]] = 1.0
            else:
                batch["classes"] = torch.tensor([item["classes"][0] for item in items])
        return batch

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the utterances' losses in float32, and what they weigh together."""
        import torch
        from torch.nn import functional

        logits = self.logits(bundle, batch)
        device = logits.device
        given = bundle.processor.weights
        weights = None if given is None else torch.tensor(given, device=device)
        if "targets" in batch:
            targets = batch["targets"].to(device)
            total = functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights, reduction="sum")
            return total, torch.tensor(float(targets.numel()), device=device)
        classes = batch["classes"].to(device)
        total = functional.cross_entropy(logits, classes, weight=weights, reduction="sum")
        count = torch.tensor(float(len(classes)), device=device) if weights is None else weights[classes].sum()
        return total, count

    def logits(self, bundle: Bundle, batch: Mapping[str, Any]) -> torch.Tensor:
        """A batch -> (B, classes) float32, masked as the family says where the model is in training."""
        from voxcli.tasks.wrapped import device_of

        masked = bundle.model.training
        made: torch.Tensor = bundle.model(**_inputs(batch, bundle, device_of(bundle.model), masked=masked)).logits
        return made.float()

    def predict(self, bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> list[Classification]:
        """B classifications."""
        from voxcli.tasks.wrapped import decoding_mode

        rate = bundle.processor.feature_extractor.sampling_rate
        with decoding_mode(bundle.model):
            scores = self.probabilities(bundle, batch)
        return [
            classification(row, bundle, duration=int(n_samples) / rate)
            for row, n_samples in zip(scores, batch["n_samples"], strict=True)
        ]

    def probabilities(self, bundle: Bundle, batch: Mapping[str, Any]) -> np.ndarray:
        """A batch -> (B, classes) float32: rows sum to 1, or each class is one by itself where several may hold.

        Of a clip the model says the same whatever shares its batch.
        """
        import numpy as np

        found = np.zeros((len(batch["n_samples"]), len(bundle.processor.labels.names)), dtype=np.float32)
        for rows, inputs in _unpadded(self.prepared(bundle, batch), batch):
            logits = bundle.model(**inputs).logits.float()
            scores = logits.sigmoid() if bundle.processor.labels.multi_label else logits.softmax(-1)
            found[rows] = scores.cpu().numpy()
        return found

    def transcribe(self, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Classification:
        """One recording of any length: in windows, whose probabilities are aggregated."""
        from voxcli.tasks.classification_windows import aggregated, scored

        family = _family(bundle)
        rate = bundle.processor.feature_extractor.sampling_rate
        found = [scores for _, _, scores in scored(self, bundle, audio)]
        return classification(aggregated(found, family.aggregate), bundle, duration=len(audio) / rate)

    def reference(self, utterance: Utterance, bundle: Bundle | None = None) -> tuple[str, ...]:
        """The labels that hold of an utterance, by the names of the model's classes where `bundle` is given."""
        if bundle is None:
            return () if utterance.label is None else (utterance.label.strip(),)
        return tuple(bundle.processor.labels.of(utterance.label))

    def problem(self, utterance: Utterance, limits: Limits, bundle: Bundle | None) -> str | None:
        """No label, or one that is none of the model's classes."""
        if bundle is None:
            return "it has no label" if utterance.label is None else None
        found: str | None = bundle.processor.labels.problem(utterance.label)
        return found

    def candidates(self, table: Table, limits: Limits, bundle: Bundle) -> np.ndarray:
        """Which rows `problem` refuses, shape (rows,): it is asked of each different label once."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        column = table.column("label").array
        labels = bundle.processor.labels
        bad = [one for one in pc.unique(column).to_pylist() if labels.problem(one) is not None]
        named = pc.is_in(column, value_set=pa.array([one for one in bad if one is not None], pa.string()))
        return np.asarray(pc.or_(named, pc.is_null(column)).to_numpy(), dtype=np.bool_)

    def label_length(self, utterance: Utterance, bundle: Bundle) -> int:
        """A class is no sequence."""
        return 0

    def prepared(self, bundle: Bundle, batch: Mapping[str, Any]) -> dict[str, Any]:
        """What the model is called with for a batch, on its device, without masks."""
        from voxcli.tasks.wrapped import device_of

        return _inputs(batch, bundle, device_of(bundle.model), masked=False)


def classification(scores: np.ndarray, bundle: Bundle, *, duration: float) -> Classification:
    """Probabilities (classes,) -> the classes by them, and those that are taken to hold."""
    import numpy as np

    labels = bundle.processor.labels
    order = np.argsort(-scores, kind="stable")
    names = tuple(labels.names[int(row)] for row in order)
    ordered = tuple(float(scores[row]) for row in order)
    threshold = _family(bundle).threshold
    chosen = names[:1]
    if labels.multi_label:
        chosen = tuple(name for name, score in zip(names, ordered, strict=True) if score >= threshold)
    return Classification(names, ordered, chosen, duration)


def _unpadded(inputs: Mapping[str, Any], batch: Mapping[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """(rows, the model's input) of the clips of each length, where padding would be heard; else of all at once."""
    if "lengths" not in batch:
        yield slice(None), dict(inputs)
        return
    for length in sorted({int(one) for one in batch["lengths"]}):
        rows = (batch["lengths"] == length).nonzero()[:, 0].cpu()
        yield rows.numpy(), {key: value[rows.to(value.device), :length] for key, value in inputs.items()}


def _inputs(batch: Mapping[str, Any], bundle: Bundle, device: torch.device, *, masked: bool) -> dict[str, Any]:
    """What the model is called with, on its device."""
    family, extractor = _family(bundle), bundle.processor.feature_extractor
    name = extractor.model_input_names[0]
    inputs = {name: batch[name].to(device, non_blocking=True)}
    if "attention_mask" in batch:
        inputs["attention_mask"] = batch["attention_mask"].to(device, non_blocking=True)
    if "n_frames" in batch and family.encoder_context == "clip":
        inputs["n_frames"] = batch["n_frames"].to(device, non_blocking=True)
    masks = family.feature_masks() if masked else None
    if masks is not None and inputs[name].dim() == 3:
        inputs[name] = _masked(inputs[name], batch, extractor, masks)
    return inputs


def _masked(mel: torch.Tensor, batch: Mapping[str, Any], extractor: Any, masks: Mapping[str, float]) -> torch.Tensor:
    """Log-mel with stretches of the clip itself, not of the silence behind it, and bands of bins hidden."""
    from voxcli.tasks.feature_masks import mask

    frames = (batch["n_samples"] // (extractor.sampling_rate // 100)).to(mel.device)
    if _mel_first(extractor):
        return mask(mel.transpose(1, 2), frames.clamp(max=mel.shape[2]), masks).transpose(1, 2)
    return mask(mel, frames.clamp(max=mel.shape[1]), masks)


def _mel_first(extractor: Any) -> bool:
    """Whether log-mel comes as (C, T)."""
    return type(extractor).__name__ == "WhisperFeatureExtractor"


def _family(bundle: Bundle) -> Any:
    """A family of this task has the keys and methods of `Classifier`: `features`, `feature_masks`, `threshold` …"""
    return bundle.family
