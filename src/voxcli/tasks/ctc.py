"""Speech to text without a decoder (CTC, Graves et al. 2006): utterances -> features and labels -> loss, transcripts.

The loss is summed over the utterances in float32 and counted in label tokens. An utterance can be learned exactly when
frames >= labels + adjacent repeated labels; one that cannot has an infinite loss and never reaches it: `problem` names
it beforehand, `features` refuses it where the audio turns out shorter than its header said.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Bundle, Decoding, Limits, Transcript, Utterance, config
from voxcli.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from voxcli.align.file import Alignment
    from voxcli.data.table import Table

_ROUNDING = 1e-6  # s
_STEPS = 1 << 16  # of the network; longer audio counts as this much where a bound is enough


@config
class CTCTask:
    """Speech to text without a decoder."""

    metrics: ClassVar[tuple[str, ...]] = ("wer", "cer")
    trained_with_adapter: ClassVar[tuple[str, ...]] = ("lm_head", "ctc_head")
    shares_batches: ClassVar[bool] = True

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        """Audio (N,) -> the model's input without padding, its frames, and the label where there is a transcript.

        Raises `DataError` for a transcript that does not fit the frames.
        """
        family = _family(bundle)
        n_frames = family.frames(len(audio))
        item: dict[str, Any] = {
            "features": family.features(audio, bundle.processor),
            "frames": n_frames,
            "n_samples": len(audio),
        }
        if utterance.text is not None:
            labels = _labels(utterance.text, bundle)
            reason = _misfit(labels, n_frames)
            if reason is not None:
                raise DataError(f"{utterance.id}: {reason}", help="leave it out, or choose a model with more frames")
            item["labels"] = labels
        return item

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        """Items -> the model's input (B, N) or (B, T, C) float32, attention_mask where it takes one, frames (B,)
        and n_samples (B,); where all have a transcript, the labels of all items one after the other (sum of L,) with
        their label_lengths (B,).
        """
        import torch

        extractor = bundle.processor.feature_extractor
        lengths = torch.tensor([len(item["features"]) for item in items])
        first = items[0]["features"]
        inputs = torch.full((len(items), int(lengths.max()), *first.shape[1:]), float(extractor.padding_value))
        for row, item in zip(inputs, items, strict=True):
            row[: len(item["features"])] = torch.from_numpy(item["features"])
        batch: dict[str, Any] = {
            extractor.model_input_names[0]: inputs,
            "frames": torch.tensor([item["frames"] for item in items]),
            "n_samples": torch.tensor([item["n_samples"] for item in items]),
        }
        if _takes_mask(extractor):
            batch["attention_mask"] = (torch.arange(inputs.shape[1])[None] < lengths[:, None]).long()
        if all("labels" in item for item in items):
            batch["labels"] = torch.tensor([label for item in items for label in item["labels"]], dtype=torch.int64)
            batch["label_lengths"] = torch.tensor([len(item["labels"]) for item in items])
        return batch

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the utterances' CTC losses in float32, and the number of label tokens.

        In training, log-mel of an architecture without SpecAugment of its own is masked here, with torch's generator of
        the device the features are on.
        """
        import torch
        from torch.nn import functional

        from voxcli.tasks.wrapped import device_of, unwrapped

        model = bundle.model
        device = device_of(model)
        inputs = _inputs(batch, bundle, device, masked=model.training)
        logits = model(**inputs).logits
        if device.type == "mps":  # has no CTC
            device, logits = torch.device("cpu"), logits.cpu()
        log_probabilities = functional.log_softmax(logits.float(), dim=-1).transpose(0, 1)
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN's CTC is not deterministic, and limits the labels
            total = functional.ctc_loss(
                log_probabilities,
                batch["labels"].to(device),
                batch["frames"].to(device),
                batch["label_lengths"].to(device),
                blank=unwrapped(model).config.pad_token_id,
                reduction="sum",
            )
        return total, batch["label_lengths"].sum().to(total.device)

    def predict(self, bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> list[Transcript]:
        """B transcripts: the most probable class of each frame, repeats joined, blanks dropped; or what `[decoder]`
        makes of the probabilities.
        """
        from voxcli.models.attention_adapters import speak
        from voxcli.tasks.ctc_decoding import frames_of, transcript_of

        speak(bundle, decoding.language)
        rate = bundle.processor.feature_extractor.sampling_rate
        durations = [int(n_samples) / rate for n_samples in batch["n_samples"]]
        found = frames_of(bundle, self.prepared(bundle, batch), batch["frames"], decoding)
        return [
            transcript_of(frames, bundle, decoding, duration) for frames, duration in zip(found, durations, strict=True)
        ]

    def check_decoding(self, bundle: Bundle, decoding: Decoding) -> None:
        """Open the decoder before it is needed. Raises `VoxError` where it does not fit the model's alphabet."""
        from voxcli.models.attention_adapters import speak
        from voxcli.tasks.ctc_decoding import check

        speak(bundle, decoding.language)
        check(bundle, decoding)

    def transcribe(self, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
        """One recording of any length, in overlapping windows; memory does not grow with its length."""
        from voxcli.models.attention_adapters import speak
        from voxcli.tasks.ctc_windows import transcribe

        speak(bundle, decoding.language)
        return transcribe(self, bundle, audio, decoding)

    def align(
        self, bundle: Bundle, batch: Mapping[str, Any], utterances: Sequence[Utterance]
    ) -> list[Alignment | None]:
        """Where the texts of B utterances, collated to `batch`, are spoken; None where the model cannot write one."""
        from voxcli.tasks.ctc_forced import alignments

        return alignments(bundle, self.prepared(bundle, batch), batch, utterances)

    def problem(self, utterance: Utterance, limits: Limits, bundle: Bundle | None) -> str | None:
        """Audio shorter than the network's first layers need, or a label that does not fit the frames."""
        if utterance.duration is None:
            return None
        if utterance.duration < limits.min_duration - _ROUNDING:
            return f"{utterance.duration:.3f} s is shorter than the {limits.min_duration:.3f} s the model needs"
        if utterance.text is None:
            return None
        n_samples = round(utterance.duration * limits.sampling_rate)
        if bundle is None:  # neither tokenizer nor frames: refuse only what no character model of this stride can learn
            return _misfit(utterance.text, n_samples // limits.stride + 1)
        return _misfit(_labels(utterance.text, bundle), _family(bundle).frames(n_samples))

    def candidates(self, table: Table, limits: Limits, bundle: Bundle) -> np.ndarray:
        """Which rows `problem` may refuse, shape (rows,): all others are certain to be learned.

        A frame or two less than the audio has, and no fewer tokens than the text can make.
        """
        import numpy as np

        from voxcli.tasks.bounds import too_long

        durations = table.durations.astype(np.float64)
        whole = np.nan_to_num(durations * limits.sampling_rate, nan=0.0).astype(np.int64)
        steps = np.minimum(np.maximum(whole - 2, 0) // limits.stride, _STEPS)  # float32 rounds
        frames = np.zeros(_STEPS + 1, np.int64)  # of each number of steps: a million clips have a thousand different
        for step in np.flatnonzero(np.bincount(steps)).tolist():
            frames[step] = _family(bundle).frames(step * limits.stride)
        found = too_long(table.texts, bundle.processor.tokenizer, frames[steps])
        found |= durations < limits.min_duration + 1e-3
        return found & ~np.isnan(durations)

    def label_length(self, utterance: Utterance, bundle: Bundle) -> int:
        """Tokens of its label in a batch; 0 without a transcript."""
        return len(_labels(utterance.text, bundle)) if utterance.text is not None else 0

    def prepared(self, bundle: Bundle, batch: Mapping[str, Any]) -> dict[str, Any]:
        """What the model is called with for a batch, on its device, without masks."""
        from voxcli.tasks.wrapped import device_of

        return _inputs(batch, bundle, device_of(bundle.model), masked=False)


def _misfit(labels: Sequence[object], n_frames: int) -> str | None:
    """Why a label cannot be learned from that many frames, or None."""
    repeats = sum(one == other for one, other in itertools.pairwise(labels))
    needed = len(labels) + repeats
    if needed <= n_frames:
        return None
    repeated = f" and {repeats} adjacent repeats" if repeats else ""
    return f"its label of {len(labels)} tokens{repeated} needs {needed} frames, its audio has {n_frames}"


def _labels(text: str, bundle: Bundle) -> list[int]:
    labels: list[int] = bundle.processor.tokenizer(text, add_special_tokens=False).input_ids
    return labels


def _takes_mask(extractor: Any) -> bool:
    """Waveform models say in their feature extractor whether they were trained with a mask; log-mel models all were."""
    return type(extractor).__name__ != "Wav2Vec2FeatureExtractor" or bool(extractor.return_attention_mask)


def _inputs(batch: Mapping[str, Any], bundle: Bundle, device: torch.device, *, masked: bool) -> dict[str, Any]:
    """What the model is called with, on its device."""
    name = bundle.processor.feature_extractor.model_input_names[0]
    inputs = {name: batch[name].to(device, non_blocking=True)}
    if "attention_mask" in batch:
        inputs["attention_mask"] = batch["attention_mask"].to(device, non_blocking=True)
    masks = _family(bundle).feature_masks() if masked else None
    if masks is not None and inputs[name].dim() == 3:
        from voxcli.tasks.feature_masks import mask

        inputs[name] = mask(inputs[name], inputs["attention_mask"].sum(1), masks)
    return inputs


def _family(bundle: Bundle) -> Any:
    """A family of this task has `frames(n_samples)`, `features(audio, processor)` and `feature_masks()`, as CTC."""
    return bundle.family
