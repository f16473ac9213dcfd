"""Keys of `[model] type = "encoder-decoder"` -> the config of both halves, checked before a weight is read."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from voxcli.errors import ModelError
from voxcli.models import ctc_config, dropouts
from voxcli.models.checkpoint import explained, quietly, read_config, source

MODEL_TYPE = "speech-encoder-decoder"
_MASKS = ("mask_time_prob", "mask_time_length", "mask_feature_prob", "mask_feature_length")
_OFFSET = (
    "roberta",
    "xlm-roberta",
    "xlm-roberta-xl",
    "camembert",
    "roberta-prelayernorm",
)  # positions begin behind pad
_ATTENDING = ("bart", "bert", "gpt2", "mbart", "roberta", "xlm-roberta", "electra", "marian")


def made(keys: Mapping[str, Any]) -> Any:
    """A SpeechEncoderDecoderConfig. Raises `ModelError` for what cannot be one of the halves, and for unknown keys."""
    from transformers import AutoConfig, SpeechEncoderDecoderConfig

    if keys["checkpoint"] is not None:
        name = keys["checkpoint"]
        model_type = read_config(name)["model_type"]
        if model_type != MODEL_TYPE:
            raise ModelError(
                f"{name} is a {model_type} model, no encoder-decoder of two",
                help='name the halves: encoder and decoder; a Whisper is type = "whisper"',
            )
        with quietly(), explained(name, "config"):
            whole = AutoConfig.from_pretrained(name, **source(name))
    elif keys["encoder"] is None or keys["decoder"] is None:
        raise ModelError("[model] names neither a checkpoint nor both halves", help="set encoder and decoder")
    else:
        encoder, decoder = _encoder(keys["encoder"]), _decoder(keys["decoder"])
        whole = SpeechEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    _change(whole.encoder, keys["encoder_config"], "encoder")
    _change(whole.decoder, keys["decoder_config"], "decoder")
    if keys["encoder_add_adapter"] is not None:
        _change(whole.encoder, {"add_adapter": keys["encoder_add_adapter"]}, "encoder")
    masks = {name: keys[name] for name in _MASKS if keys[name] is not None}
    _change(whole.encoder, masks | ({"apply_spec_augment": True} if masks else {}), "encoder")
    set_here = {name: keys[name] for name in dropouts.DROPOUTS if keys.get(name) is not None}
    dropouts.apply(whole, set_here, keys["checkpoint"] or f"{keys['encoder']} with {keys['decoder']}")
    _meet(whole)
    whole.tie_word_embeddings = False  # the halves tie their own
    return whole


def positions(decoder: Any) -> int:
    """Tokens that a decoder takes."""
    given = int(getattr(decoder, "max_position_embeddings", None) or 512)
    return given - int(decoder.pad_token_id) - 1 if decoder.model_type in _OFFSET else given


def tokens(whole: Any, tokenizer: Any) -> tuple[int, int, int]:
    """Start, end and padding: the checkpoint's, else those of the decoder's tokenizer.

    Raises `ModelError` for a tokenizer that has no token to begin or end a text with.
    """

    def first(*names: str) -> int | None:
        return next((one for name in names if (one := getattr(tokenizer, name, None)) is not None), None)

    own: int | None = getattr(whole, "decoder_start_token_id", None)
    trained: int | None = getattr(whole, "eos_token_id", None)
    end = trained if own is not None and trained is not None else first("eos_token_id", "sep_token_id")
    if end is None:
        raise ModelError(
            "the decoder's tokenizer has no token that ends a text",
            help="eos_token (or sep_token) in its tokenizer_config.json",
        )
    start = own if own is not None and trained is not None else first("bos_token_id", "cls_token_id")
    pad = first("pad_token_id")
    return end if start is None else start, end, end if pad is None else pad


def _encoder(name: str) -> Any:
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_MAPPING

    model_type = read_config(name)["model_type"]
    with quietly(), explained(name, "config"):
        found = AutoConfig.from_pretrained(name, **source(name))
    classes = MODEL_MAPPING.get(type(found), None)
    if model_type not in ctc_config.architectures() or not hasattr(classes, "_get_feature_vector_attention_mask"):
        raise ModelError(
            f"{name} is a {model_type} model, which cannot be the encoder",
            help="encoders: wav2vec2, hubert, wavlm, data2vec-audio, unispeech, sew, wav2vec2-conformer, wav2vec2-bert",
        )
    return found


def _decoder(name: str) -> Any:
    """The config of a text model as a decoder whose layers attend to the encoder's frames."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    model_type = read_config(name)["model_type"]
    with quietly(), explained(name, "config"):
        found = AutoConfig.from_pretrained(name, **source(name))
    classes = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(found), None)
    if classes is None:
        raise ModelError(
            f"{name} is a {model_type} model, which writes no text: it cannot be the decoder",
            help=f"decoders: {', '.join(_ATTENDING)} and others of their kind",
        )
    if "encoder_hidden_states" not in inspect.signature(classes.forward).parameters:
        raise ModelError(
            f"{name} is a {model_type} model, whose layers have no cross attention: it cannot listen to an encoder",
            help=f"decoders that can: {', '.join(_ATTENDING)} and others of their kind",
        )
    found.is_decoder, found.add_cross_attention = True, True
    return found


def _meet(whole: Any) -> None:
    """One width of the encoder's frames for both halves.

    transformers projects them where the widths differ, but by the width of the encoder's layers: of an encoder whose
    last layers (add_adapter) have another one, that projection does not fit. These layers then take the decoder's.
    """
    encoder, decoder = whole.encoder, whole.decoder
    inside = encoder.hidden_size
    outside = getattr(encoder, "output_hidden_size", inside)
    if getattr(encoder, "add_adapter", False):
        if outside not in (inside, decoder.hidden_size):
            encoder.output_hidden_size = decoder.hidden_size
    elif outside != inside:
        encoder.output_hidden_size = inside


def _change(part: Any, changes: Mapping[str, Any], which: str) -> None:
    for key, value in changes.items():
        if not hasattr(part, key):
            known = [name for name in part.to_dict() if not name.startswith("_")]
            close = difflib.get_close_matches(key, known, n=1)
            raise ModelError(
                f"the {which}, a {part.model_type}, has no key '{key}' in its config",
                help=f"did you mean `{close[0]}`?" if close else "see its config in transformers' documentation",
            )
        setattr(part, key, value)
