"""Speech to text with a decoder (Whisper): utterances -> log-mel and labels -> loss; log-mel -> transcripts.

The loss is the cross entropy of every label token in float32, summed, with the number of tokens as its count: language,
task and end token count, the start token is given. Labels are padded by their length, never by their id: Whisper's
padding token is its end token, and a model whose end token is masked never learns to stop.
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

IGNORED = -100  # label that counts nothing
_AROUND = 6  # tokens around a text, at most: language, task, no times or two of them, end
_TOLERANCE = 0.01  # s by which a clip may pass the window: resampling rounds


@config
class Seq2Seq:
    """Speech to text with a decoder."""

    metrics: ClassVar[tuple[str, ...]] = ("wer", "cer")

    def features(self, utterance: Utterance, audio: np.ndarray, bundle: Bundle) -> dict[str, Any]:
        """Audio (N,) -> log-mel (C, T), and the tokens of the transcript where there is one.

        Raises `DataError` for audio longer than the window: it would be cut while its transcript is not.
        """
        extractor = bundle.processor.feature_extractor
        duration = len(audio) / extractor.sampling_rate
        window = extractor.n_samples / extractor.sampling_rate
        if duration > window + _TOLERANCE:
            raise DataError(
                f"{utterance.id}: {duration:.2f} s of audio, and the model's window is {window:g} s",
                help=f"leave it out with [filter] max_duration = {window:g}, or cut it where nobody speaks",
            )
        item: dict[str, Any] = {
            "input_features": _family(bundle).features(audio, bundle.processor),
            "n_samples": len(audio),
        }
        tokens = self._tokens(utterance, bundle, duration)
        if tokens is not None:
            item["tokens"] = tokens
        return item

    def collate(self, items: Sequence[dict[str, Any]], bundle: Bundle) -> dict[str, Any]:
        """Items -> input_features (B, C, T) float32, n_samples (B,), decoder_input_ids and labels (B, L) int64.

        The last two are left out where an item has no transcript.
        """
        import torch

        from voxcli.models import clip_context

        mels = [item["input_features"] for item in items]
        batch: dict[str, Any] = {
            "input_features": torch.from_numpy(clip_context.stack(mels)),
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
        return batch | {"decoder_input_ids": given, "labels": wanted}

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of the token losses in float32, and the number of tokens."""
        from torch.nn import functional

        from voxcli.tasks.wrapped import device_of

        model = bundle.model
        device = device_of(model)
        features = batch["input_features"].to(device, non_blocking=True)
        if model.training:
            features = features.clone()  # SpecAugment of transformers masks in place
        logits = model(
            input_features=features,
            decoder_input_ids=batch["decoder_input_ids"].to(device, non_blocking=True),
            use_cache=False,
        ).logits
        labels = batch["labels"].to(device, non_blocking=True)
        total = functional.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return total, (labels != IGNORED).sum()

    def predict(self, bundle: Bundle, batch: Mapping[str, Any], decoding: Decoding) -> list[Transcript]:
        """B transcripts by `generate`: greedy or beams, the language given, the checkpoint's own, or detected."""
        from voxcli.tasks.whisper_decoding import decode

        rate = bundle.processor.feature_extractor.sampling_rate
        return decode(bundle, batch["input_features"], [int(n) / rate for n in batch["n_samples"]], decoding)

    def transcribe(self, bundle: Bundle, audio: np.ndarray, decoding: Decoding) -> Transcript:
        """One recording of any length: in one piece up to the window, beyond it as `decoding.long_audio` says."""
        from voxcli.tasks import whisper_long

        extractor = bundle.processor.feature_extractor
        if len(audio) <= extractor.n_samples:
            item = self.features(Utterance(id="recording", audio=_unread), audio, bundle)
            return self.predict(bundle, self.collate([item], bundle), decoding)[0]
        if decoding.long_audio == "windows":
            return whisper_long.in_windows(self, bundle, audio, decoding)
        return whisper_long.sequential(bundle, audio, decoding)

    def problem(self, utterance: Utterance, limits: Limits, bundle: Bundle | None) -> str | None:
        """Label longer than the decoder, audio longer than the window, or a language that nobody names."""
        if utterance.duration is not None and utterance.duration > limits.max_duration + _TOLERANCE:
            return f"{utterance.duration:.2f} s is longer than the model's window of {limits.max_duration:g} s"
        if bundle is None or utterance.text is None or limits.max_label_length is None:
            return None
        try:
            tokens = self._tokens(utterance, bundle, utterance.duration or 0.0)
        except ModelError as error:
            return error.message
        if tokens is None:
            return "its language is not known: set `language` in [model], or a language column in the data"
        length = len(tokens) - 1  # the end token is predicted, never read
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
        if limits.max_label_length is None:
            return found
        texts, languages = table.texts.array, table.column("language").array
        long = most_tokens(texts, bundle.processor.tokenizer) + _AROUND > limits.max_label_length
        refused = [one for one in pc.unique(languages).to_pylist() if not self._speaks(one, bundle)]
        foreign = np.asarray(pc.is_in(languages, value_set=pa.array(refused, pa.string())).to_numpy(), np.bool_)
        return found | ((long | foreign) & np.asarray(pc.is_valid(texts).to_numpy(), np.bool_))

    def _speaks(self, language: str | None, bundle: Bundle) -> bool:
        """Whether a label in a language has all the tokens that stand before its text."""
        from voxcli.tasks.whisper_prompt import is_multilingual, label_language, prefix

        tokenizer = bundle.processor.tokenizer
        code = label_language(Utterance(id="", audio=_unread, language=language), _family(bundle).language, tokenizer)
        if code is None and is_multilingual(tokenizer):
            return False
        try:
            prefix(tokenizer, code, tokenizer.task)
        except ModelError:
            return False
        return True

    def label_length(self, utterance: Utterance, bundle: Bundle) -> int:
        """Tokens of its label in a batch; 0 without a transcript."""
        tokens = self._tokens(utterance, bundle, utterance.duration or 0.0)
        return len(tokens) - 1 if tokens else 0

    def _tokens(self, utterance: Utterance, bundle: Bundle, duration: float) -> list[int] | None:
        """The label with its prefix; None without a transcript or, for a multilingual model, without a language."""
        from voxcli.tasks.whisper_prompt import is_multilingual, label_language, label_tokens, learns_times, prefix

        if utterance.text is None:
            return None
        tokenizer, family = bundle.processor.tokenizer, _family(bundle)
        language = label_language(utterance, family.language, tokenizer)
        if language is None and is_multilingual(tokenizer):
            return None
        times = learns_times(utterance, family.timestamps)
        before = prefix(tokenizer, language, tokenizer.task, timestamps=times)
        return label_tokens(tokenizer, utterance.text, before, duration=duration if times else None)


def _family(bundle: Bundle) -> Any:
    """A family of this task has `features(audio, processor)` and the keys `language` and `timestamps`, as Whisper."""
    return bundle.family


def _unread() -> tuple[np.ndarray, int]:
    raise RuntimeError("the audio of this utterance is already in memory")
