"""Whisper (arXiv 2212.04356) from a checkpoint: `[model] type = "whisper"` -> model, processor and limits.

What a fine-tuned Whisper is usually broken by is set right here: weights in float32 (many checkpoints are stored in
half precision, which cannot be trained), language and task both in the tokenizer's prefix and in the generation config,
no legacy forced_decoder_ids beside them, and a generation config that keeps its own keys (language table, alignment
heads) when it is saved and read back.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voxcli.api import Bundle, Corpus, Limits, config
from voxcli.errors import ModelError
from voxcli.models import dropouts, generation
from voxcli.models.checkpoint import explained, quietly, read_config, read_json, source
from voxcli.models.languages import language_code
from voxcli.models.precision import in_float32
from voxcli.models.sizes import count_parameters

if TYPE_CHECKING:
    import numpy as np

SAMPLING_RATE = 16_000
MEL_RATE = 100  # log-mel frames a second
FRAMES_PER_POSITION = 2  # stride of the encoder's second convolution

_MASKS = ("apply_spec_augment", "mask_time_prob", "mask_time_length", "mask_feature_prob", "mask_feature_length")


@config
class Whisper:
    """Speech to text in 30 s windows, in 99 languages."""

    task: ClassVar[str] = "seq2seq"

    checkpoint: str
    """A local folder or a hub id, for example openai/whisper-small."""
    language: str | None = None
    """Language of the transcripts: a code or an English name. None takes each utterance's own, else the
    checkpoint's. Not for .en checkpoints."""
    generation_task: Literal["transcribe", "translate"] | None = None
    """`translate` where the transcripts are English translations. None is `transcribe`. Not for .en checkpoints."""
    timestamps: float = 0.0
    """Share of the training utterances that are learned with timestamp tokens, of their segments where the data have
    them, else of begin and end; a model that never sees them forgets how to set them. Whisper itself was trained with
    about 0.5."""
    previous_text: float = 0.0
    """Share of the training utterances that are learned with what was said just before them as a prompt, where they
    are stretches of one recording. The prompt is given, not learned."""
    freeze_encoder: bool = False
    """Train the decoder only: less memory, and the acoustic model stays as it is."""
    encoder_context: Literal["window", "merged", "clip"] = "window"
    """`window` pads each clip to 30 s. `merged` does nearly the same at a fraction of the cost on short clips: the
    silence stands as 100 positions instead of up to 1500. `clip` leaves it away: the fastest, but it needs a few
    hundred clips of training before it decodes well."""
    apply_spec_augment: bool | None = None
    """Mask stretches of the log-mel in training (SpecAugment, arXiv 1904.08779)."""
    mask_time_prob: float | None = None
    """Share of the frames that are masked; needs apply_spec_augment."""
    mask_time_length: int | None = None
    """Length of one mask in frames of 10 ms."""
    mask_feature_prob: float | None = None
    """Share of the mel bins that are masked; needs apply_spec_augment."""
    mask_feature_length: int | None = None
    """Height of one mask in mel bins."""
    dropout: float | None = None
    """Dropout of the residual branches. None leaves the checkpoint's."""
    attention_dropout: float | None = None
    """Dropout of the attention weights."""
    activation_dropout: float | None = None
    """Dropout inside the feed-forward layers."""
    encoder_layerdrop: float | None = None
    """Share of encoder layers skipped in a training step."""
    decoder_layerdrop: float | None = None
    """Share of decoder layers skipped in a training step."""

    @functools.cached_property
    def positions(self) -> int:
        """Tokens that the decoder takes, a prompt included."""
        return int(read_config(self.checkpoint).get("max_target_positions", 448))

    def limits(self) -> Limits:
        """Positions and window of the checkpoint, from its config.json. Raises `ModelError`."""
        sizes = read_config(self.checkpoint)
        self._check_architecture(sizes)
        if self.language is not None or self.generation_task is not None:
            self.check_language()
        positions = int(sizes.get("max_source_positions", 1500))
        return Limits(
            sampling_rate=SAMPLING_RATE,
            min_duration=0.0,  # every clip is filled up with silence
            max_duration=positions * FRAMES_PER_POSITION / MEL_RATE,
            stride=FRAMES_PER_POSITION * SAMPLING_RATE // MEL_RATE,
            max_label_length=self.positions,
            n_parameters=count_parameters(self.checkpoint, "AutoModelForSpeechSeq2Seq"),
        )

    def padded_duration(self, duration: float, window: float = 30.0) -> float:
        """What the encoder sees, and pays for, of a clip of `duration` s: the window, or the clip and its margin."""
        from voxcli.models import clip_context, merged_silence

        if self.encoder_context == "merged":
            return merged_silence.padded_duration(duration, window)
        return clip_context.padded_duration(duration, window) if self.encoder_context == "clip" else window

    def frozen_names(self) -> str | None:
        """Pattern of the layers that stay as they are, for an adapter to leave alone."""
        return r"model\.encoder\..*" if self.freeze_encoder else None

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        """Load the checkpoint; `loading` goes to `from_pretrained`, and dtype is float32 unless it says otherwise.

        Raises `ModelError` where the checkpoint is missing, is no Whisper, or does not know the language.
        """
        import torch
        from transformers import WhisperConfig, WhisperForConditionalGeneration

        sizes = read_config(self.checkpoint)
        self._check_architecture(sizes)
        if self.encoder_context == "merged":
            self._check_attention(loading.get("attn_implementation"))
        where = source(self.checkpoint)
        loading.setdefault("dtype", torch.float32)
        with quietly(), explained(self.checkpoint, "config"):
            config = WhisperConfig.from_pretrained(self.checkpoint, **where)
        for key in _MASKS:
            if getattr(self, key) is not None:
                setattr(config, key, getattr(self, key))
        dropouts.apply(config, dropouts.chosen(self), self.checkpoint)
        with quietly(), explained(self.checkpoint, "model"):
            model = WhisperForConditionalGeneration.from_pretrained(self.checkpoint, config=config, **where, **loading)
        with quietly(), explained(self.checkpoint, "processor"):
            processor = self._processor(model.config, where)
        self._check_features(processor, model.config.num_mel_bins)
        generation.mend(model, processor.tokenizer)
        if generation.is_multilingual(model):
            self._choose_language(model, processor)
        elif self.language is not None or self.generation_task is not None:
            raise self._english_only()
        else:
            processor.tokenizer.language = processor.tokenizer.task = None
            processor.tokenizer.set_prefix_tokens(predict_timestamps=False)
        # sinusoids, which are not learned; from_pretrained of transformers 5 forgets that they are frozen
        model.model.encoder.embed_positions.requires_grad_(False)
        if self.freeze_encoder:
            model.freeze_encoder()
        if self.encoder_context != "window":
            from voxcli.models import clip_context, merged_silence

            (merged_silence if self.encoder_context == "merged" else clip_context).enable(model)
        return Bundle(model=model, processor=processor, family=self)

    @in_float32
    def features(self, audio: np.ndarray, processor: Any) -> np.ndarray:
        """Audio (N,) -> log-mel (C, T) float32: T is 3000 for 30 s windows, else the clip's own (even) with its margin.

        Audio beyond the window is cut off: callers that must not lose any check the length first.
        """
        extractor = processor.feature_extractor
        if self.encoder_context != "window":
            from voxcli.models import clip_context

            return clip_context.features(audio, extractor)
        mel: np.ndarray = extractor(audio, sampling_rate=extractor.sampling_rate, return_tensors="np")["input_features"]
        return mel[0]

    def _processor(self, sizes: Any, where: dict[str, Any]) -> Any:
        """The checkpoint's own; a plan made from config.json stands in for what is missing."""
        from transformers import WhisperFeatureExtractor, WhisperProcessor, WhisperTokenizer

        from voxcli.models import stand_in
        from voxcli.models.processors import opened

        no_tokenizer, no_extractor = (
            stand_in.lacks_tokenizer(self.checkpoint),
            stand_in.lacks_extractor(self.checkpoint),
        )
        if not (no_tokenizer or no_extractor):
            return opened(WhisperProcessor, self.checkpoint, **where)
        return WhisperProcessor(
            stand_in.whisper_extractor(sizes)
            if no_extractor
            else opened(WhisperFeatureExtractor, self.checkpoint, **where),
            stand_in.whisper_tokenizer(sizes) if no_tokenizer else opened(WhisperTokenizer, self.checkpoint, **where),
        )

    def _choose_language(self, model: Any, processor: Any) -> None:
        """Language and task, in the generation config (decoding) and in the tokenizer (what a label begins with)."""
        settings, tokenizer = model.generation_config, processor.tokenizer
        wanted = self.language or tokenizer.language or getattr(settings, "language", None)
        code = (
            None if wanted is None else language_code(wanted, generation.languages(model), checkpoint=self.checkpoint)
        )
        task = self.generation_task or tokenizer.task or getattr(settings, "task", None) or "transcribe"
        if code is not None:
            settings.language = code
            settings.task = task
        elif self.generation_task is not None:
            settings.task = task
        tokenizer.set_prefix_tokens(language=code, task=task, predict_timestamps=False)

    def _check_architecture(self, sizes: dict[str, Any]) -> None:
        if sizes["model_type"] != "whisper":
            raise ModelError(
                f"{self.checkpoint} is a {sizes['model_type']} model, not a Whisper",
                help='choose a Whisper checkpoint, or another family: type = "ctc" for wav2vec 2.0 and its like',
            )

    def _check_attention(self, name: str | None) -> None:
        if name not in (None, "sdpa", "eager"):
            raise ModelError(
                f'encoder_context = "merged" weighs what the encoder attends to, and the attention {name} cannot',
                help='attn_implementation = "sdpa" in [train], or encoder_context = "window" in [model]',
            )

    def check_language(self) -> None:
        """Language and task against the checkpoint's own tables: the answer that `build` gives, from small files.

        Raises `ModelError`.
        """
        sizes = read_config(self.checkpoint)
        stored = read_json(self.checkpoint, "generation_config.json") or {}
        by_size = (
            int(sizes.get("vocab_size", generation.MULTILINGUAL_VOCABULARY)) != generation.MULTILINGUAL_VOCABULARY - 1
        )
        if not stored.get("is_multilingual", by_size):
            if self.language is not None or self.generation_task is not None:
                raise self._english_only()
            return
        tasks = stored.get("task_to_id")
        if self.generation_task is not None and tasks and self.generation_task not in tasks:
            raise ModelError(
                f"{self.checkpoint} has no task '{self.generation_task}', only {', '.join(sorted(tasks))}",
                help="remove `generation_task` from [model], or take another checkpoint",
            )
        if self.language is not None:
            codes = {token.strip("<|>") for token in stored.get("lang_to_id") or ()} or generation.known_languages()
            language_code(self.language, codes, checkpoint=self.checkpoint)

    def _english_only(self) -> ModelError:
        key = "language" if self.language is not None else "generation_task"
        return ModelError(
            f"{self.checkpoint} knows English only, so `{key}` cannot be set",
            help=f"remove `{key}` from [model], or take the multilingual checkpoint (without .en)",
        )

    def _check_features(self, processor: Any, num_mel_bins: int) -> None:
        found = processor.feature_extractor.feature_size
        if found != num_mel_bins:
            raise ModelError(
                f"the processor of {self.checkpoint} computes {found} mel bins, its model takes {num_mel_bins}",
                help="the processor is another checkpoint's (large-v3 and turbo have 128): copy the model's own",
            )
