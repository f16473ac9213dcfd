"""The config of both halves -> one model and its processor: the halves' own weights, or a trained whole."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Corpus
from voxcli.errors import ModelError
from voxcli.models import encoder_decoder_config
from voxcli.models.checkpoint import explained, has_file, only_config, quietly, source
from voxcli.models.ctc_build import feature_extractor, processor_of
from voxcli.models.processors import opened

if TYPE_CHECKING:
    from voxcli.models.encoder_decoder import EncoderDecoder

log = logging.getLogger(__name__)

_TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model", "source.spm")
_FOREIGN = 0.3  # share of the letters that the decoder cannot write, from which on it is of another script


def build(family: EncoderDecoder, config: Any, corpus: Corpus, loading: dict[str, Any]) -> Bundle:
    """See `EncoderDecoder.build`."""
    import torch

    loading.setdefault("dtype", torch.float32)
    config = copy.deepcopy(config)
    tokenizer = _tokenizer(str(family.checkpoint or family.decoder))
    model = _joined(family, config, loading) if family.checkpoint is None else _whole(family, config, loading)
    start, end, pad = encoder_decoder_config.tokens(config, tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)
    _check_letters(str(family.checkpoint or family.decoder), tokenizer, corpus.characters)
    if len(tokenizer) > config.decoder.vocab_size:
        raise ModelError(
            f"the tokenizer has {len(tokenizer)} tokens, the decoder {config.decoder.vocab_size} classes",
            help="take the tokenizer's files from the checkpoint that the decoder comes from",
        )
    settings = model.generation_config
    for one in (model.config, settings):
        one.decoder_start_token_id, one.eos_token_id, one.pad_token_id, one.bos_token_id = start, end, pad, start
    settings.forced_bos_token_id = settings.forced_eos_token_id = None  # BART's, for summaries
    settings.max_length = encoder_decoder_config.positions(config.decoder)
    settings._from_model_config = False
    extractor = feature_extractor(family.checkpoint or family.encoder, config.encoder)
    if family.freeze_encoder:
        model.encoder.requires_grad_(False)
        if getattr(model.encoder, "adapter", None) is not None and family.checkpoint is None:
            model.encoder.adapter.requires_grad_(True)  # new
    elif family.freeze_feature_encoder:
        from voxcli.models.freezing import freeze

        freeze(model, ["feature_encoder"])
    return Bundle(model=model, processor=processor_of(config.encoder.model_type, extractor, tokenizer), family=family)


def _joined(family: EncoderDecoder, config: Any, loading: dict[str, Any]) -> Any:
    """Both halves' weights; cross attention, projection and the encoder's adapter are new where a half has none."""
    from transformers import AutoModel, AutoModelForCausalLM, SpeechEncoderDecoderModel

    if "quantization_config" in loading:
        raise ModelError(
            "layers that are new cannot be quantised, and the decoder's attention to the encoder is new",
            help="remove [quantization]; a trained encoder-decoder (checkpoint) can be quantised",
        )
    encoder_name, decoder_name = str(family.encoder), str(family.decoder)
    with quietly(), explained(encoder_name, "encoder"):
        encoder = AutoModel.from_pretrained(encoder_name, config=config.encoder, **source(encoder_name), **loading)
    with quietly(), explained(decoder_name, "decoder"):
        decoder = AutoModelForCausalLM.from_pretrained(
            decoder_name, config=config.decoder, **source(decoder_name), **loading
        )
    with quietly(), explained(f"{encoder_name} and {decoder_name}", "model"):
        return SpeechEncoderDecoderModel(config=config, encoder=encoder, decoder=decoder)


def _whole(family: EncoderDecoder, config: Any, loading: dict[str, Any]) -> Any:
    from transformers import SpeechEncoderDecoderModel

    name = str(family.checkpoint)
    with quietly(), explained(name, "model"):
        return SpeechEncoderDecoderModel.from_pretrained(name, config=config, **source(name), **loading)


def _tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    if not only_config() and not any(has_file(name, file) for file in _TOKENIZERS):
        raise ModelError(
            f"{name} has no tokenizer: the decoder's tokens have no letters",
            help="copy tokenizer.json and tokenizer_config.json from where the decoder comes from into its folder",
        )
    with quietly(), explained(name, "tokenizer"):
        return opened(AutoTokenizer, name, **source(name))


def _check_letters(name: str, tokenizer: Any, characters: str) -> None:
    """Characters of the training texts that the decoder has no token for: it would learn to write "unknown"."""
    letters = [one for one in characters if not one.isspace()]
    unknown = tokenizer.unk_token_id
    if unknown is None or not letters:
        return
    missing = [one for one in letters if unknown in tokenizer(one, add_special_tokens=False).input_ids]
    if not missing:
        return
    shown = " ".join(missing[:12]) + (" …" if len(missing) > 12 else "")
    if len(missing) > _FOREIGN * len(letters):
        raise ModelError(
            f"the decoder {name} cannot write {len(missing)} of the {len(letters)} characters of the training "
            f"transcripts: {shown}",
            help="take a text model of the language, or a multilingual one; or [text] that spells with what it has",
        )
    log.warning("the decoder has no token for %s: texts are learned with its unknown token there", shown)
