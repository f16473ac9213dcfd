"""Text to speech: utterances -> letters and log-mel frames -> loss. Nothing is transcribed.

The loss is summed over frames and counted in them, see `loss`. Figures, each a mean over the frames: `mel_l1`, the
distance of the log10-mel that the model says from that of the recording, given the recording's frames so far (1 is a
factor of ten in every bin), `mel_l1_before` the postnet, `stop_loss`, `attention_loss`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Bundle, Decoding, Limits, Transcript, Utterance, config
from voxcli.errors import DataError, ModelError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from vox_speecht5.processing import Processor

_ROUNDING = 1e-6  # s


@config
class TextToSpeech:
    """A text to speech."""

    metrics: ClassVar[tuple[str, ...]] = ("mel_l1", "stop_loss")
    figures: ClassVar[tuple[str, ...]] = ("mel_l1", "mel_l1_before", "stop_loss", "attention_loss")
    next_commands: ClassVar[tuple[str, ...]] = ('vox speak "TEXT" --model {run} -o out.wav',)

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        """Audio (N,) and its text -> letters (S,), log-mel (T, C) float32 and the speaker's vector (D,) float32.

        Raises `DataError` for a speaker without a vector and a clip of no frames; `ModelError` without a text, because
        only what would transcribe comes without one.
        """
        processor: Processor = bundle.processor
        if utterance.text is None:
            raise _speaks()
        reason = _misfit(utterance, processor)
        mel = processor.mel(audio) if reason is None else None
        if reason is None and (mel is None or not len(mel)):
            reason = f"its {len(audio)} samples make no frames"
        if reason is not None:
            raise DataError(f"{utterance.id}: {reason}", help="leave it out: [filter]")
        return {
            "letters": processor.tokens(utterance.text),
            "mel": mel,
            "voice": processor.voice(utterance.speaker),
        }

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        """Items -> letters (B, S) int64 padded with <pad>, n_letters (B,), mel (B, T, C) float32 padded with zeros,
        n_frames (B,), voice (B, D) float32."""
        import torch

        n_letters = torch.tensor([len(item["letters"]) for item in items])
        n_frames = torch.tensor([len(item["mel"]) for item in items])
        letters = torch.full((len(items), int(n_letters.max())), int(bundle.processor.tokenizer.pad_token_id))
        mel = torch.zeros(len(items), int(n_frames.max()), items[0]["mel"].shape[1])
        for row, item in enumerate(items):
            letters[row, : len(item["letters"])] = torch.tensor(item["letters"])
            mel[row, : len(item["mel"])] = torch.from_numpy(item["mel"])
        voice = torch.stack([torch.from_numpy(item["voice"]) for item in items])
        return {"letters": letters, "n_letters": n_letters, "mel": mel, "n_frames": n_frames, "voice": voice}

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the frames' losses in float32, and the number of frames."""
        total, count, _ = self.measured_loss(bundle, batch)
        return total, count

    def measured_loss(
        self, bundle: Bundle, batch: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As `loss`, and sum and weight of each of `figures`, (figures, 2)."""
        import torch

        from vox_speecht5 import layers, loss

        model = bundle.model
        device = next(model.parameters()).device
        postnet = layers.postnet_of(model)
        settings = postnet.config
        reduction = settings.reduction_factor
        moved = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        wanted, frames = moved["mel"], moved["n_frames"]
        steps = frames // reduction
        newest = wanted[:, reduction - 1 :: reduction]  # the last frame of each step of the decoder
        given = torch.nn.functional.pad(newest, (0, 0, 1, 0))[:, :-1]  # which is told the step before
        guided = settings.use_guided_attention_loss
        with postnet.hearing(frames), layers.repeatable(model, device):
            out = model(
                input_ids=moved["letters"],
                attention_mask=_real(moved["n_letters"], moved["letters"].shape[1]).long(),
                decoder_input_values=given,
                decoder_attention_mask=_real(steps, given.shape[1]).long(),
                speaker_embeddings=moved["voice"],
                output_attentions=guided,
                use_cache=False,
                return_dict=True,
            )
        before, logits = postnet.taken()
        real = _real(frames, wanted.shape[1])
        with torch.autocast(device.type, enabled=False):
            after_l1 = loss.distance(out.spectrogram, wanted, real)
            before_l1 = loss.distance(before, wanted, real)
            stopping = loss.stop(logits, frames, real)
            attention = torch.zeros((), device=device)
            if guided:
                heads = settings.guided_attention_loss_num_heads
                attention = reduction * loss.guided_attention(
                    [one[:, :heads] for one in out.cross_attentions],
                    moved["n_letters"],
                    steps,
                    sigma=settings.guided_attention_loss_sigma,
                )
        total = after_l1 + before_l1 + stopping + settings.guided_attention_loss_scale * attention
        count = frames.sum()
        weights = (count, count, count, count if guided else torch.zeros_like(count))
        sums = (after_l1, before_l1, stopping, attention)
        rows = [torch.stack([one.float(), weight.float()]) for one, weight in zip(sums, weights, strict=True)]
        return total, count, torch.stack(rows).detach()

    def predict(self, bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> Sequence[Any]:
        """Raises `ModelError`: it speaks, and transcribes nothing."""
        raise _speaks()

    def transcribe(self, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
        """Raises `ModelError`: it speaks, and transcribes nothing."""
        raise _speaks()

    def problem(self, utterance: Utterance, limits: Limits, bundle: Bundle | None) -> str | None:
        """No text or too many letters, too long or too short a clip, a speaker without a vector."""
        if utterance.duration is not None and utterance.duration > limits.max_duration + _ROUNDING:
            return f"{utterance.duration:.1f} s is longer than the {limits.max_duration:.1f} s the model can say"
        if utterance.duration is not None and utterance.duration < limits.min_duration - _ROUNDING:
            return f"{utterance.duration:.3f} s is shorter than the {limits.min_duration:.3f} s the model needs"
        if utterance.text is None:
            return "it has no text"
        if bundle is None:
            return None
        n_letters = self.label_length(utterance, bundle)
        if limits.max_label_length is not None and n_letters > limits.max_label_length:
            return f"its text has {n_letters} tokens, the model reads {limits.max_label_length}"
        return _misfit(utterance, bundle.processor)

    def label_length(self, utterance: Utterance, bundle: Bundle) -> int:
        """Tokens of its text; 0 without one."""
        return len(bundle.processor.tokens(utterance.text)) if utterance.text is not None else 0


def _real(lengths: torch.Tensor, size: int) -> torch.Tensor:
    """Lengths (B,) -> which of `size` places are within them, bool (B, size)."""
    import torch

    return torch.arange(size, device=lengths.device)[None] < lengths[:, None]


def _misfit(utterance: Utterance, processor: Processor) -> str | None:
    """Why there is no vector for its speaker, or None."""
    if processor.voice(utterance.speaker) is not None:
        return None
    who = f"its speaker '{utterance.speaker}'" if utterance.speaker is not None else "it names no speaker, and so it"
    return f"{who} has no vector; there are those of {', '.join(sorted(processor.voices)[:5])}"


def _speaks() -> ModelError:
    return ModelError(
        "a text-to-speech model transcribes nothing, and is not scored by its texts",
        help='say something with it: vox speak "TEXT" --model RUN -o out.wav; its figures are in the log of the run',
    )
