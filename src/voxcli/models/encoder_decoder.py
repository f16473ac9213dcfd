"""An acoustic encoder and a text decoder in one model: `[model] type = "encoder-decoder"`.

A warm start (arXiv 1907.12461, for speech arXiv 2104.06678) joins two models that know one half each: wav2vec 2.0 and
its like, and any text model of transformers whose layers can attend to another sequence (BART, BERT, GPT-2 …):

    [model]
    type = "encoder-decoder"
    encoder = "facebook/wav2vec2-large-lv60"
    decoder = "facebook/bart-large"
    encoder_add_adapter = true         # an eighth of the frames

What is trained is one model, transformers' SpeechEncoderDecoderModel, and a `checkpoint` from then on.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Bundle, Corpus, Finding, Limits, config, field
from voxcli.models import ctc_frames

if TYPE_CHECKING:
    import numpy as np

_FINE = 16  # samples: how exactly the least clip is looked for


@config
class EncoderDecoder:
    """Speech to text by an acoustic encoder and a text decoder that were trained apart."""

    task: ClassVar[str] = "seq2seq"
    form: ClassVar[str] = "text"

    checkpoint: str | None = None
    """A trained encoder-decoder (SpeechEncoderDecoderModel): a local folder or a hub id. One of this, or encoder and
    decoder."""
    encoder: str | None = None
    """Acoustic model to begin with, for example facebook/wav2vec2-base."""
    decoder: str | None = None
    """Text model to begin with, for example facebook/bart-base; its tokenizer is the model's."""
    encoder_add_adapter: bool | None = None
    """Put convolutions behind the encoder that leave an eighth of its frames: cheaper attention, and frames as long as
    tokens. None leaves it as the checkpoint has it."""
    encoder_config: dict[str, Any] = field(default_factory=dict)
    """Other changes of the encoder's config; keys of its transformers config."""
    decoder_config: dict[str, Any] = field(default_factory=dict)
    """Other changes of the decoder's config."""
    freeze_feature_encoder: bool = False
    """Keep the convolutions before the encoder's transformer as they are: usual for small data."""
    freeze_encoder: bool = False
    """Keep the whole encoder as it is, without the layers that encoder_add_adapter brings."""
    hidden_dropout: float | None = None
    """Dropout of the residual branches, in both halves. None leaves the checkpoints' own."""
    attention_dropout: float | None = None
    """Dropout of the attention weights, in both halves."""
    activation_dropout: float | None = None
    """Dropout inside the feed-forward layers, in both halves where they have one."""
    feat_proj_dropout: float | None = None
    """Dropout of the encoder's projected features."""
    layerdrop: float | None = None
    """Share of the encoder's layers skipped in a training step."""
    decoder_layerdrop: float | None = None
    """Share of the decoder's layers skipped in a training step (BART and its like)."""
    mask_time_prob: float | None = None
    """Share of the encoder's frames that are masked in training (SpecAugment, arXiv 1904.08779)."""
    mask_time_length: int | None = None
    """Length of one mask in frames; clips with fewer frames cannot be trained on."""
    mask_feature_prob: float | None = None
    """Share of the encoder's channels that are masked in training."""
    mask_feature_length: int | None = None
    """Height of one mask in channels."""

    def findings(self) -> Iterator[Finding]:
        """Keys that exclude or need each other."""
        parts = {"encoder": self.encoder, "decoder": self.decoder}
        missing = [name for name, value in parts.items() if value is None]
        if self.checkpoint is not None and len(missing) < 2:
            named = next(name for name in parts if name not in missing)
            yield Finding(
                level="error",
                message=f"checkpoint and {named} are both set",
                help="checkpoint is a whole model; encoder and decoder begin one from two",
                path=(named,),
            )
        elif self.checkpoint is None and missing:
            yield Finding(
                level="error",
                message=f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
                help='encoder = "facebook/wav2vec2-base" and decoder = "facebook/bart-base", for example; '
                "or checkpoint, where both are one model already",
                path=(missing[0],),
            )

    def limits(self) -> Limits:
        """Least clip, stride, longest label and size, from the configs alone. Raises `ModelError`."""
        return _limits(self._key)

    @property
    def positions(self) -> int:
        """Tokens that the decoder takes."""
        from voxcli.models import encoder_decoder_config

        return encoder_decoder_config.positions(_config(self._key).decoder)

    def start_and_end(self, tokenizer: Any) -> tuple[int, int]:
        """The tokens that a label begins and ends with: the checkpoint's, else those of the decoder's tokenizer."""
        from voxcli.models import encoder_decoder_config

        start, end, _ = encoder_decoder_config.tokens(_config(self._key), tokenizer)
        return start, end

    def features(self, audio: np.ndarray, processor: Any) -> np.ndarray:
        """Audio (N,) -> (N,) normalised samples or (T, C) log-mel, float32, without padding."""
        made: np.ndarray = ctc_frames.features(processor.feature_extractor, audio)
        return made

    def saved_in(self, checkpoint: str) -> EncoderDecoder:
        """The same keys for a checkpoint that was trained with them."""
        changes: dict[str, Any] = {"encoder_add_adapter": None, "encoder_config": {}, "decoder_config": {}}
        return dataclasses.replace(self, checkpoint=checkpoint, encoder=None, decoder=None, **changes)

    def frozen_names(self) -> str | None:
        """Pattern of the layers that stay as they are, for an adapter to leave alone."""
        return r"encoder\..*" if self.freeze_encoder else None

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        """Load both halves, or the whole; `loading` goes to `from_pretrained`, dtype is float32 by default.

        Raises `ModelError` where a checkpoint is missing, cannot be that half, or writes another language.
        """
        from voxcli.models import encoder_decoder_build

        return encoder_decoder_build.build(self, _config(self._key), corpus, loading)

    @functools.cached_property
    def _key(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


@functools.lru_cache(maxsize=16)
def _config(key: str) -> Any:
    from voxcli.models import encoder_decoder_config

    return encoder_decoder_config.made(json.loads(key))


@functools.lru_cache(maxsize=16)
def _limits(key: str) -> Limits:
    import copy

    import torch
    from transformers import SpeechEncoderDecoderModel

    from voxcli.models import encoder_decoder_config
    from voxcli.models.checkpoint import explained, quietly
    from voxcli.models.ctc_build import feature_extractor

    keys, whole = json.loads(key), _config(key)
    encoder = whole.encoder
    extractor = feature_extractor(keys["checkpoint"] or keys["encoder"], encoder)
    before = copy.deepcopy(encoder)  # masks are drawn before the layers that leave out frames
    before.add_adapter = False
    masked = getattr(encoder, "apply_spec_augment", False) and encoder.mask_time_prob > 0
    needed = max(encoder.mask_time_length if masked else 2, 2)

    def frames(config: Any, n_samples: int) -> int:
        return ctc_frames.output_frames(config, ctc_frames.feature_frames(extractor, n_samples))

    low, high = 0, ctc_frames.HORIZON
    while high - low > _FINE:
        middle = (low + high) // 2
        enough = frames(before, middle) >= needed and frames(encoder, middle) >= 1
        low, high = (low, middle) if enough else (middle, high)
    far, near = ctc_frames.HORIZON, ctc_frames.HORIZON // 2
    with quietly(), explained(keys["checkpoint"] or keys["decoder"], "config"), torch.device("meta"):
        model = SpeechEncoderDecoderModel(config=copy.deepcopy(whole))
    rate = int(extractor.sampling_rate)
    return Limits(
        sampling_rate=rate,
        min_duration=high / rate,
        max_duration=float("inf"),
        stride=round((far - near) / (frames(encoder, far) - frames(encoder, near))),
        max_label_length=encoder_decoder_config.positions(whole.decoder),
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
