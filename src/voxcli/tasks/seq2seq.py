"""Speech to text with a decoder: utterances -> features and labels -> loss; features -> transcripts.

The loss is the cross entropy of every label token in float32, summed, with the number of tokens as its count. The start
token and a prompt are given, all that follows is learned, the end token too. Labels are padded by their length, never
by their id: Whisper's padding token is its end token, and a model whose end token is masked never learns to stop.

What a clip is, what stands before its text and how it is decoded is Whisper's (`tasks.whisper_clips`) or that of a
model with an acoustic encoder and a text decoder (`tasks.text_decoder`): the family's `form` says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Bundle, Decoding, Limits, Transcript, Utterance, config
from voxcli.errors import ModelError
from voxcli.tasks import text_decoder, whisper_clips

if TYPE_CHECKING:
    import numpy as np
    import torch

    from voxcli.data.table import Table

IGNORED = -100  # label that counts nothing
_TOLERANCE = 0.01  # s by which a clip may pass the window: resampling rounds


@config
class Seq2Seq:
    """Speech to text with a decoder."""

    metrics: ClassVar[tuple[str, ...]] = ("wer", "cer")
    shares_batches: ClassVar[bool] = True

    label_smoothing_factor: float = 0.0
    """See `[train] label_smoothing_factor`."""

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        """Audio (N,) -> the encoder's input, and the tokens of the transcript where there is one.

        Raises `DataError` for audio longer than a model's window: it would be cut while its transcript is not.
        """
        speech = _speech(bundle)
        item: dict[str, Any] = {**speech.features(utterance, audio, bundle), "n_samples": len(audio)}
        label = speech.label(utterance, bundle, len(audio) / bundle.processor.feature_extractor.sampling_rate)
        if label is not None:
            item["tokens"], item["given"] = label
        return item

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        """Items -> the encoder's input, n_samples (B,), decoder_input_ids and labels (B, L) int64.

        The last two are left out where an item has no transcript.
        """
        import torch

        batch: dict[str, Any] = {
            **_speech(bundle).collate(items, bundle),
            "n_samples": torch.tensor([item["n_samples"] for item in items]),
        }
        if not all("tokens" in item for item in items):
            return batch
        length = max(len(item["tokens"]) for item in items) - 1
        given = torch.full((len(items), length), bundle.processor.tokenizer.pad_token_id, dtype=torch.int64)
        wanted = torch.full((len(items), length), IGNORED, dtype=torch.int64)
        for row, item in enumerate(items):
            tokens = torch.tensor(item["tokens"], dtype=torch.int64)
            given[row, : len(tokens) - 1] = tokens[:-1]
            wanted[row, : len(tokens) - 1] = tokens[1:]
            wanted[row, : item["given"] - 1] = IGNORED
        return batch | {"decoder_input_ids": given, "labels": wanted}

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the token losses in float32, and the number of tokens. Labels are smoothed in training only."""
        from torch.nn import functional

        from voxcli.tasks.wrapped import device_of

        model = bundle.model
        device = device_of(model)
        logits = model(
            **_speech(bundle).inputs(batch, device, training=model.training),
            decoder_input_ids=batch["decoder_input_ids"].to(device, non_blocking=True),
            use_cache=False,
        ).logits
        labels = batch["labels"].to(device, non_blocking=True)
        total = functional.cross_entropy(
            logits.float().flatten(0, 1),
            labels.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self.label_smoothing_factor if model.training else 0.0,
        )
        return total, (labels != IGNORED).sum()

    def predict(self, bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> list[Transcript]:
        """B transcripts by `generate`: greedy or beams, the language given, the utterance's own, the checkpoint's own,
        or detected.
        """
        found: list[Transcript] = _speech(bundle).predict(bundle, batch, decoding)
        return found

    def transcribe(self, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
        """One recording of any length: in one piece up to the window, beyond it as `decoding.long_audio` says."""
        found: Transcript = _speech(bundle).transcribe(self, bundle, audio, decoding)
        return found

    def problem(self, utterance: Utterance, limits: Limits, bundle: Bundle | None) -> str | None:
        """Label longer than the decoder, audio longer than the window, or a language that nobody names."""
        if utterance.duration is not None and utterance.duration > limits.max_duration + _TOLERANCE:
            return f"{utterance.duration:.2f} s is longer than the model's window of {limits.max_duration:g} s"
        if utterance.duration is not None and utterance.duration < limits.min_duration - 1e-6:
            return f"{utterance.duration:.3f} s is shorter than the {limits.min_duration:.3f} s the model needs"
        if bundle is None or utterance.text is None or limits.max_label_length is None:
            return None
        try:
            label = _speech(bundle).label(utterance.replace(previous=None), bundle, utterance.duration or 0.0)
        except ModelError as error:
            return error.message
        if label is None:
            return "its language is not known: set `language` in [model], or a language column in the data"
        length = len(label[0]) - 1  # the end token is predicted, never read
        if length > limits.max_label_length:
            return f"its label has {length} tokens, the decoder takes {limits.max_label_length}"
        return None

    def candidates(self, table: Table, limits: Limits, bundle: Bundle) -> np.ndarray:
        """Which rows `problem` may refuse, shape (rows,): all others are certain to be learned."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from voxcli.tasks.bounds import most_tokens

        found: np.ndarray = table.durations > limits.max_duration + _TOLERANCE - 1e-3  # float32 rounds
        found |= table.durations < limits.min_duration + 1e-3
        if limits.max_label_length is None:
            return found
        speech = _speech(bundle)
        texts, languages = table.texts.array, table.column("language").array
        bound = most_tokens(texts, bundle.processor.tokenizer) + speech.around(table, bundle)
        refused = [one for one in pc.unique(languages).to_pylist() if not speech.speaks(one, bundle)]
        foreign = np.asarray(pc.is_in(languages, value_set=pa.array(refused, pa.string())).to_numpy(), np.bool_)
        long = bound > limits.max_label_length
        return found | ((long | foreign) & np.asarray(pc.is_valid(texts).to_numpy(), np.bool_))

    def label_length(self, utterance: Utterance, bundle: Bundle) -> int:
        """Tokens of its label in a batch; 0 without a transcript."""
        label = _speech(bundle).label(utterance, bundle, utterance.duration or 0.0)
        return len(label[0]) - 1 if label else 0


def _speech(bundle: Bundle) -> Any:
    """A family of this task has `features(audio, processor)`; beside it the keys `language`, `timestamps` and
    `previous_text`, as Whisper, or `form = "text"`.
    """
    return text_decoder if getattr(bundle.family, "form", "whisper") == "text" else whisper_clips
