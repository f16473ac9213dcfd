"""Self-supervised pre-training (wav2vec 2.0, arXiv 2006.11477): audio -> hidden frames, distractors, loss. No text.

The loss is summed over hidden frames and counted in them: the contrastive loss, in nats, plus the diversity loss times
its weight. Which frames are hidden and what they are told apart from follows from (seed, epoch, utterance), so it is
the same however a step is cut, in however many processes, and after a resume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Bundle, Decoding, Limits, Transcript, Utterance, config
from voxcli.errors import DataError, ModelError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from voxcli.data.table import Table

FIGURES = (
    "contrastive_loss",
    "diversity_loss",
    "codevector_perplexity",
    "contrastive_accuracy",
    "share_masked",
    "gumbel_temperature",
)


@config
class PretrainingTask:
    """An encoder from audio alone."""

    metrics: ClassVar[tuple[str, ...]] = (
        "contrastive_loss",
        "contrastive_accuracy",
        "codevector_perplexity",
        "diversity_loss",
    )
    figures: ClassVar[tuple[str, ...]] = FIGURES
    transcripts: ClassVar[bool] = False
    next_commands: ClassVar[tuple[str, ...]] = (
        'fine-tune it: [model] type = "ctc", checkpoint = "{run}/best", vocabulary = "data"',
    )
    trained_with_adapter: ClassVar[tuple[str, ...]] = ("project_hid", "project_q")

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        """As `drawn_features`, with what is drawn following from the utterance's id alone."""
        import zlib

        import numpy as np

        rng = np.random.default_rng(zlib.crc32(utterance.id.encode("utf-8", "surrogatepass")))
        return self.drawn_features(utterance, audio, bundle, rng)

    def drawn_features(
        self, utterance: Utterance, audio: np.ndarray, bundle: Bundle, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Audio (N,) -> the network's input (N,), which of its T frames are hidden (T,), and their distractors (T, K).

        Raises `DataError` for a clip that is no longer than one mask.
        """
        from voxcli.pretraining.masks import distractors, spans

        family = _family(bundle)
        n_frames = family.frames(len(audio))
        if reason := _too_short(n_frames, family.mask_time_length, len(audio), bundle):
            raise DataError(f"{utterance.id}: {reason}", help="leave it out: [filter] min_duration")
        hidden = spans(n_frames, share=family.mask_time_prob, length=family.mask_time_length, rng=rng)
        return {
            "features": family.features(audio, bundle.processor),
            "hidden": hidden,
            "distractors": distractors(hidden, family.num_negatives, rng=rng),
        }

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        """Items -> input_values (B, N) float32 padded with zeros, n_samples (B,), n_frames (B,), hidden (B, T) bool and
        distractors (B, T, K) int32, frames of the same row."""
        import torch

        n_samples = torch.tensor([len(item["features"]) for item in items])
        frames = torch.tensor([len(item["hidden"]) for item in items])
        inputs = torch.zeros(len(items), int(n_samples.max()))
        hidden = torch.zeros(len(items), int(frames.max()), dtype=torch.bool)
        distractors = torch.zeros(*hidden.shape, items[0]["distractors"].shape[1], dtype=torch.int32)
        for row, item in enumerate(items):
            inputs[row, : len(item["features"])] = torch.from_numpy(item["features"])
            hidden[row, : len(item["hidden"])] = torch.from_numpy(item["hidden"])
            distractors[row, : len(item["hidden"])] = torch.from_numpy(item["distractors"])
        return {
            "input_values": inputs,
            "n_samples": n_samples,
            "n_frames": frames,
            "hidden": hidden,
            "distractors": distractors,
        }

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of contrastive and weighted diversity loss in float32, and the number of hidden frames."""
        total, count, _ = self.measured_loss(bundle, batch)
        return total, count

    def measured_loss(
        self, bundle: Bundle, batch: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As `loss`, and sum and weight of each of `FIGURES`, (figures, 2).

        `batch["overview"]`, where it is there, is the sum of `overview` over the whole step.
        """
        import torch

        from voxcli.pretraining.loss import Use, contrastive, diversity
        from voxcli.tasks.wrapped import unwrapped

        inner = unwrapped(bundle.model)
        inputs, hidden = _inputs(batch, inner)
        out = bundle.model(**inputs, mask_time_indices=hidden)
        codes, probabilities = inner.quantizer.taken()
        with torch.autocast(hidden.device.type, enabled=False):
            contrast, told = contrastive(
                out.projected_states,
                out.projected_quantized_states,
                codes,
                batch["distractors"].to(hidden.device),
                hidden,
                temperature=inner.config.contrastive_logits_temperature,
            )
            part = Use.of(probabilities, hidden)
            whole = batch.get("overview")
            unused, perplexity = diversity(part, None if whole is None else Use.unflat(whole.to(hidden.device), part))
        count = part.frames
        total = contrast + inner.config.diversity_loss_weight * unused
        temperature = count * (float(inner.quantizer.temperature) if bundle.model.training else 0.0)
        rows = (
            (contrast, count),
            (unused, count),
            (perplexity * count, count),
            (told, count),
            (count, batch["n_frames"].to(hidden.device).sum()),
            (temperature, count if bundle.model.training else torch.zeros_like(count)),
        )
        return total, count, torch.stack([torch.stack([one.float() for one in row]) for row in rows]).detach()

    def overview(self, bundle: Bundle, batch: Mapping[str, Any]) -> torch.Tensor:
        """What the diversity loss has to know of a batch, added up over a step: see `voxcli.pretraining.loss.Use`.

        Without gradient, and from the convolutions alone: the transformer has no part in it.
        """
        import torch

        from voxcli.pretraining.loss import Use
        from voxcli.tasks.wrapped import unwrapped

        inner = unwrapped(bundle.model)
        with torch.no_grad():
            inputs, hidden = _inputs(batch, inner)
            base = inner.base_model
            heard = base.feature_projection.layer_norm(base.feature_extractor(inputs["input_values"]).transpose(1, 2))
            logits = inner.quantizer.weight_proj(heard)
            groups = (inner.quantizer.num_groups, inner.quantizer.num_vars)
            return Use.of(torch.softmax(logits.float().view(*hidden.shape, *groups), dim=-1), hidden).flat()

    def before_step(self, bundle: Bundle, step: int, total_steps: int) -> None:
        """Set the temperature of the choice of codevectors."""
        from voxcli.tasks.wrapped import unwrapped

        unwrapped(bundle.model).set_gumbel_temperature(_family(bundle).gumbel_temperature(step, total_steps))

    def predict(self, bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> Sequence[Any]:
        """Raises `ModelError`: there is nothing to say."""
        raise _no_text(bundle)

    def transcribe(self, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
        """Raises `ModelError`: there is no text."""
        raise _no_text(bundle)

    def problem(self, utterance: Utterance, limits: Limits, bundle: Bundle | None) -> str | None:
        """A clip that is no longer than one mask."""
        if utterance.duration is None or bundle is None:
            return None
        n_samples = round(utterance.duration * limits.sampling_rate)
        family = _family(bundle)
        return _too_short(family.frames(n_samples), family.mask_time_length, n_samples, bundle)

    def candidates(self, table: Table, limits: Limits, bundle: Bundle) -> np.ndarray:
        """Which rows `problem` may refuse, shape (rows,)."""
        import numpy as np

        longest = (_family(bundle).mask_time_length + 3) * limits.stride / limits.sampling_rate
        found: np.ndarray = table.durations.astype(np.float64) < longest
        return found

    def label_length(self, utterance: Utterance, bundle: Bundle) -> int:
        """0: there are no labels."""
        return 0


def _inputs(batch: Mapping[str, Any], model: Any) -> tuple[dict[str, Any], torch.Tensor]:
    """What the model is called with, on its device, and the hidden frames (B, T)."""
    import torch

    from voxcli.pretraining.parts import tell_lengths
    from voxcli.tasks.wrapped import device_of

    device = device_of(model)
    values = batch["input_values"].to(device, non_blocking=True)
    n_samples = batch["n_samples"].to(device)
    tell_lengths(model, n_samples)
    heard = torch.arange(values.shape[1], device=device)[None] < n_samples[:, None]
    return {"input_values": values, "attention_mask": heard.long()}, batch["hidden"].to(device, non_blocking=True)


def _too_short(n_frames: int, length: int, n_samples: int, bundle: Bundle) -> str | None:
    from voxcli.pretraining.masks import least_frames

    needed = least_frames(length)
    if n_frames >= needed:
        return None
    duration = n_samples / bundle.processor.feature_extractor.sampling_rate
    return f"its {duration:.2f} s make {n_frames} frames, and a mask of mask_time_length = {length} needs {needed}"


def _no_text(bundle: Bundle) -> ModelError:
    return ModelError(
        f"{_family(bundle).checkpoint or 'this model'} was pre-trained on audio alone and makes no text",
        help='fine-tune it: [model] type = "ctc", checkpoint = that folder, vocabulary = "data"',
    )


def _family(bundle: Bundle) -> Any:
    """A family of this task has the keys and methods of `voxcli.models.pretraining.Pretraining`."""
    return bundle.family
