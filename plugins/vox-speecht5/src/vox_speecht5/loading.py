"""A family's keys -> the config, the model, the tokenizer and the feature extractor of transformers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Corpus
from voxcli.checkpoints import source_of
from voxcli.errors import ModelError

if TYPE_CHECKING:
    from vox_speecht5.family import SpeechT5

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # at the places where SpeechT5's config expects them


@contextlib.contextmanager
def explained(checkpoint: str, what: str) -> Iterator[None]:
    """Turn what `from_pretrained` raises for missing and misfitting files into a `ModelError`; keep its bars silent."""
    from transformers.utils import logging as told

    verbosity, bars = told.get_verbosity(), told.is_progress_bar_enabled()
    told.set_verbosity_error()
    told.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"the {what} of {checkpoint} cannot be loaded: {reason}",
            help="give a folder or hub id of a SpeechT5 for text to speech, for example microsoft/speecht5_tts",
        ) from error
    finally:
        told.set_verbosity(verbosity)
        if bars:
            told.enable_progress_bar()


def read_config(checkpoint: str | None, changes: dict[str, Any]) -> Any:
    """A SpeechT5Config: the checkpoint's or the usual one, with changes. Raises `ModelError`."""
    from transformers import AutoConfig, SpeechT5Config

    if checkpoint is None:
        made = SpeechT5Config()
    else:
        source = source_of(checkpoint)
        with explained(checkpoint, "config"):
            made = AutoConfig.from_pretrained(checkpoint, **source)
        if not isinstance(made, SpeechT5Config):
            raise ModelError(f"{checkpoint} is a {made.model_type} model, expected speecht5", help="name another one")
    if unknown := [key for key in changes if not hasattr(made, key)]:
        raise ModelError(
            f"[model.config]: SpeechT5 has no {', '.join(unknown)}",
            help="keys are those of transformers.SpeechT5Config",
        )
    with explained(checkpoint or "speecht5", "config"):
        for key, value in changes.items():
            setattr(made, key, value)
    return made


def read_extractor(checkpoint: str | None, config: Any) -> Any:
    """What turns audio into log-mel frames: the checkpoint's, or 80 bins of 64 ms every 16 ms at 16 kHz."""
    from transformers import SpeechT5FeatureExtractor

    if checkpoint is not None:
        with contextlib.suppress(OSError):  # a checkpoint without one was trained with the usual one
            return SpeechT5FeatureExtractor.from_pretrained(checkpoint, **source_of(checkpoint))
    return SpeechT5FeatureExtractor(num_mel_bins=config.num_mel_bins)


def count(config: Any) -> int:
    """Parameters of a model of these sizes."""
    import copy

    import torch
    from transformers import SpeechT5ForTextToSpeech

    config = copy.deepcopy(config)
    config.vocab_size = config.vocab_size or len(SPECIAL)
    with torch.device("meta"), explained("speecht5", "sizes"):
        return sum(one.numel() for one in SpeechT5ForTextToSpeech(config).parameters())


def build(family: SpeechT5, config: Any, corpus: Corpus, loading: dict[str, Any]) -> Bundle:
    """See `SpeechT5.build`."""
    import torch
    from transformers import AutoModelForTextToSpectrogram, SpeechT5ForTextToSpeech

    from vox_speecht5 import layers, speakers
    from vox_speecht5.processing import Processor

    loading.setdefault("dtype", torch.float32)
    name = family.checkpoint
    tokenizer = letters(corpus.characters) if name is None else _tokenizer(name)
    if name is None:
        config.vocab_size = len(tokenizer)
        with explained("speecht5", "model"):
            model = AutoModelForTextToSpectrogram.from_config(config, **loading)
    else:
        with explained(name, "model"):
            model, report = SpeechT5ForTextToSpeech.from_pretrained(
                name, config=config, output_loading_info=True, **source_of(name), **loading
            )
        if missing := [key for key in report["missing_keys"] if key.startswith("speech_decoder_postnet")]:
            logging.getLogger(__name__).warning(
                "%s was not trained to speak: %d weights of its output begin at random", name, len(missing)
            )
    layers.fit(model)
    if family.freeze_encoder:
        model.speecht5.encoder.requires_grad_(False)
    voices = speakers.read(family.speakers) if family.speakers is not None else speakers.saved(name)
    speakers.check(voices, config.speaker_embedding_dim, family.speakers or name)
    return Bundle(
        model=model, processor=Processor(read_extractor(name, config), tokenizer, voices, config), family=family
    )


def letters(characters: str) -> Any:
    """A tokenizer of letters: a token for each, the end of the text behind them. What it does not know is <unk>."""
    from tokenizers import Regex, Tokenizer, decoders
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    known = {token: index for index, token in enumerate((*SPECIAL, *sorted(set(characters) | {" "})))}
    made = Tokenizer(WordLevel(known, unk_token="<unk>"))
    made.pre_tokenizer = Split(Regex(r"[\s\S]"), "isolated")
    made.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", known["</s>"])])
    made.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def _tokenizer(checkpoint: str) -> Any:
    from transformers import AutoTokenizer

    with explained(checkpoint, "tokenizer"):
        return AutoTokenizer.from_pretrained(checkpoint, **source_of(checkpoint))
