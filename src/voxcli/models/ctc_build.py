"""A CTC config -> model and processor: weights from a checkpoint or at random, the vocabulary kept, built or given."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from voxcli.api import Bundle, Corpus
from voxcli.errors import ModelError
from voxcli.models.checkpoint import explained, has_file, only_config, quietly, source
from voxcli.models.ctc_head import replace_head
from voxcli.models.processors import opened
from voxcli.models.stand_in import lacks_extractor

if TYPE_CHECKING:
    from voxcli.models.ctc import CTC

log = logging.getLogger(__name__)

_TOKENIZER_FILES = ("tokenizer_config.json", "vocab.json", "tokenizer.json")


def build(family: CTC, config: Any, corpus: Corpus, loading: dict[str, Any]) -> Bundle:
    """See `CTC.build`. Freezing is left to the caller."""
    import torch
    from transformers import AutoModelForCTC

    loading.setdefault("dtype", torch.float32)
    old = tokenizer_of(family.checkpoint) if family.checkpoint is not None else None
    chosen = family.vocabulary or ("data" if old is None else "checkpoint")
    if chosen == "checkpoint" and old is None and only_config():
        chosen = "data"  # about as many classes: what a plan needs to know
    if chosen == "checkpoint" and old is None:
        raise ModelError(
            f"{family.checkpoint} has no vocabulary: it was trained without transcripts",
            help='vocabulary = "data" builds one from the training transcripts',
        )
    if family.checkpoint is None:
        if {"quantization_config", "device_map"} & set(loading):
            raise ModelError(
                "random weights cannot be quantised: nothing would be left to learn",
                help="remove [quantization], or start from a checkpoint",
            )
        with explained(config.model_type, "model"):
            model = AutoModelForCTC.from_config(config, **loading)
        trained_head = False
    else:
        where = source(family.checkpoint)
        with quietly(), explained(family.checkpoint, "model"):
            model, report = AutoModelForCTC.from_pretrained(
                family.checkpoint, config=config, output_loading_info=True, **where, **loading
            )
        trained_head = not any(name.startswith(("lm_head", "ctc_head")) for name in report["missing_keys"])
    if chosen == "checkpoint":
        tokenizer = old
        if not trained_head:
            raise ModelError(
                f"{family.checkpoint} has a tokenizer but no trained output layer",
                help='vocabulary = "data" builds both from the training transcripts',
            )
    else:
        tokenizer = _new_vocabulary(model, chosen, corpus, old if trained_head else None)
    extractor = feature_extractor(family.checkpoint, config)
    return Bundle(model=model, processor=processor_of(model.config.model_type, extractor, tokenizer), family=family)


def tokenizer_of(checkpoint: str) -> Any:
    """The checkpoint's tokenizer, or None where it was trained without transcripts."""
    from transformers import AutoTokenizer

    if not any(has_file(checkpoint, file) for file in _TOKENIZER_FILES):
        return None
    with quietly(), explained(checkpoint, "tokenizer"):
        return opened(AutoTokenizer, checkpoint, **source(checkpoint))


def feature_extractor(checkpoint: str | None, config: Any) -> Any:
    """The checkpoint's feature extractor, or the one that a new model of this architecture needs."""
    import transformers
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES

    if checkpoint is not None and not lacks_extractor(checkpoint):
        with quietly(), explained(checkpoint, "feature extractor"):
            return transformers.AutoFeatureExtractor.from_pretrained(checkpoint, **source(checkpoint))
    kind = config.model_type
    if kind == "wav2vec2-bert":  # two log-mel frames side by side
        bins = config.feature_projection_input_dim // 2
        return transformers.SeamlessM4TFeatureExtractor(feature_size=bins, num_mel_bins=bins, stride=2)
    name = FEATURE_EXTRACTOR_MAPPING_NAMES.get(kind, "Wav2Vec2FeatureExtractor")
    if name != "Wav2Vec2FeatureExtractor":
        with explained(kind, "feature extractor"):
            return getattr(transformers, name)(feature_size=config.encoder_config.num_mel_bins)
    # Models whose convolutions are normalised over the group of all frames were trained without attention mask, on
    # audio padded with zeros; the others need the mask (transformers, Wav2Vec2FeatureExtractor.return_attention_mask)
    masked = getattr(config, "feat_extract_norm", "layer") == "layer"
    return transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=masked)


def _new_vocabulary(model: Any, chosen: str, corpus: Corpus, old: Any) -> Any:
    """Replace the head by one for the chosen characters; return their tokenizer."""
    from voxcli.text.vocabulary import BLANK, SPACE, Vocabulary

    vocabulary = Vocabulary.of(corpus.characters if chosen == "data" else chosen)
    known = None if old is None else old.get_vocab()
    kept = replace_head(model, vocabulary.classes, blank=BLANK, space=SPACE, old=known)
    log.info("output layer of %d classes, %d of them from the checkpoint", len(vocabulary), kept)
    return vocabulary.tokenizer()


def processor_of(model_type: str, extractor: Any, tokenizer: Any) -> Any:
    """A feature extractor and a tokenizer as the processor of an architecture."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    return getattr(transformers, PROCESSOR_MAPPING_NAMES.get(model_type) or "Wav2Vec2Processor")(extractor, tokenizer)
