"""A setup and the size of a batch -> the peak memory of evaluating it: its loss, and its text.

Text of models with a decoder comes from transformers' `generate`, which looks at every token and cannot run on fake
tensors. What needs memory in it can: the encoder, the prefix, and one token more when the cache is full.
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from voxcli.api import Decoding
from voxcli.memory import batch as batches
from voxcli.memory import optimizers
from voxcli.memory.bundles import built
from voxcli.memory.environment import autocast, environment
from voxcli.memory.setup import Peak, Setup, Shape
from voxcli.memory.tracker import BLOCK, Tracker
from voxcli.tasks.wrapped import decoding_mode, unwrapped
from voxcli.train import ema
from voxcli.train.measured import predicts
from voxcli.train.optimizer import groups

PREFIX = 4
"""Tokens that Whisper's decoder is given: start, language, task, no timestamps."""


def trace_evaluation(setup: Setup, shape: Shape, decoding: Decoding, *, training: bool = True) -> Peak:
    """The peak of an evaluation batch of that shape: of its loss or its decoding, whichever needs more.

    `training`: evaluated during training, while gradients and the optimizer's states lie beside it. Raises `ModelError`
    for a model that cannot run without values.
    """
    made = built(setup)
    model = made.bundle.model
    blank = batches.Blank(setup, made.bundle, shape)
    tracker = Tracker(model, rounding=BLOCK if setup.device == "cuda" else 1, run=made.replay)
    with environment(setup, made, tracker, blank.chosen):
        tracker.hold_model(model)
        if training:
            _hold_training(setup, model, tracker)
        tracker.start()
        tracker.phase = "decoding"
        with decoding_mode(model), autocast(setup):
            with tracker.part("batch"):
                batch = blank.tensors()
            setup.task.loss(made.bundle, batch)
            if not predicts(setup.task):
                pass  # its loss is all that is evaluated
            elif _has_decoder(unwrapped(model)):
                _generate(unwrapped(model), batch, decoding, tracker)
            else:
                with contextlib.suppress(Exception):  # it ends where it looks at values: its peak lies before that
                    setup.task.predict(made.bundle, batch, decoding)
        return tracker.peak()


def _hold_training(setup: Setup, model: torch.nn.Module, tracker: Tracker) -> None:
    trained = [one for group in groups(model.named_parameters(), weight_decay=0.0) for one in group["params"]]
    rounding = BLOCK if setup.device == "cuda" else 1
    bytes_of = [one.nbytes for one in trained]
    tracker.add("gradients", sum(n + -n % rounding for n in bytes_of))
    tracker.add("averages", ema.n_bytes(bytes_of, setup.train.ema_decay, rounding=rounding))
    sizes = [tuple(one.shape) for one in trained]
    tracker.add("optimizer", optimizers.state_bytes(sizes, setup.train.optim, setup.device))


def _has_decoder(model: Any) -> bool:
    can = getattr(model, "can_generate", None)
    return callable(can) and bool(can()) and bool(getattr(model.config, "is_encoder_decoder", False))


def _generate(model: Any, batch: dict[str, Any], decoding: Decoding, tracker: Tracker) -> None:
    """The memory of `generate`: encoder outputs and caches once for every beam, and the scores of one token."""
    from transformers import DynamicCache, EncoderDecoderCache

    name = next(one for one in (model.main_input_name, "input_values", "input_features") if one in batch)
    features = batch[name].to(model.dtype)
    with tracker.part("batch"):
        segment = features.clone()  # generate of Whisper cuts its segments out of the recording
    beams = decoding.num_beams
    encoded = model.get_encoder()(segment, return_dict=True)
    if beams > 1:
        encoded["last_hidden_state"] = encoded.last_hidden_state.repeat_interleave(beams, dim=0)
    sizes = getattr(model.config, "decoder", None) or model.config  # a decoder may have a config of its own
    room = int(getattr(sizes, "max_target_positions", None) or getattr(sizes, "max_position_embeddings", None) or 448)
    new = room - PREFIX if decoding.max_new_tokens is None else min(decoding.max_new_tokens, room - PREFIX)
    cache = EncoderDecoderCache(DynamicCache(config=sizes), DynamicCache(config=sizes))
    tokens = torch.zeros(features.shape[0] * beams, PREFIX, dtype=torch.int64)
    _next(model, tokens, encoded, cache, beams)
    for layer in cache.self_attention_cache.layers:
        for name in ("keys", "values"):
            n_rows, n_heads, _, size = getattr(layer, name).shape
            setattr(layer, name, getattr(layer, name).new_empty(n_rows, n_heads, PREFIX + new - 1, size))
    _next(model, tokens[:, :1], encoded, cache, beams)


def _next(model: Any, tokens: torch.Tensor, encoded: Any, cache: Any, beams: int) -> None:
    """One call of the decoder, and what chooses the next token."""
    logits = model(decoder_input_ids=tokens, encoder_outputs=encoded, past_key_values=cache, use_cache=True).logits
    scores = logits[:, -1, :].to(copy=True, dtype=torch.float32)
    if beams > 1:
        scores = torch.log_softmax(scores, dim=-1)
        scores.view(-1, beams * scores.shape[-1]).topk(2 * beams)
        cache.reorder_cache(torch.zeros(tokens.shape[0], dtype=torch.int64))
    else:
        scores.argmax(dim=-1)
