"""Pre-training: the loss is that of transformers, and the one of a whole step however the step is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from voxcli.api import Bundle, Corpus, Utterance
from voxcli.errors import DataError
from voxcli.models.pretraining import Pretraining
from voxcli.pretraining.loss import Use, contrastive, diversity
from voxcli.pretraining.masks import distractors, least_frames, spans
from voxcli.pretraining.parts import ClipNorm, Quantizer, tell_lengths
from voxcli.tasks.pretraining import FIGURES, PretrainingTask

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 8, 8],
    "conv_stride": [5, 8, 8],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
    "num_codevectors_per_group": 6,
}
STILL = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}
TASK = PretrainingTask()


def family(norm: str = "layer", architecture: str = "wav2vec2", **keys: Any) -> Pretraining:
    sizes = {**SIZES, "feat_extract_norm": norm}
    if architecture == "wav2vec2":
        sizes["do_stable_layer_norm"] = norm == "layer"
    given = {**STILL, "layerdrop": 0.0, "mask_time_length": 4, "num_negatives": 10, **keys}
    return Pretraining(architecture=architecture, config=sizes, **given)


def built(norm: str = "layer", **keys: Any) -> Bundle:
    torch.manual_seed(0)
    return family(norm, **keys).build(Corpus("", (), 0, 0.0))


def item(bundle: Bundle, seconds: float, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    audio = rng.normal(0.0, 0.1, round(seconds * 16000)).astype(np.float32)
    return TASK.drawn_features(Utterance(id=str(seed), audio=Path("none")), audio, bundle, rng)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return built()


# --------------------------------------------------------------------------------------------------------------- masks


def test_masks_hide_their_share_and_leave_something_to_hear() -> None:
    rng = np.random.default_rng(0)
    drawn = [spans(200, share=0.65, length=10, rng=rng) for _ in range(50)]
    assert 0.4 < np.mean(drawn) < 0.55, "0.65 with overlaps: wav2vec 2.0 says about 0.49"
    for n_frames in range(least_frames(4), 30):
        hidden = spans(n_frames, share=1.0, length=4, rng=rng)
        assert 4 <= hidden.sum() < n_frames
    with pytest.raises(ValueError, match="10 frames cannot be hidden"):
        spans(10, share=0.65, length=10, rng=rng)


def test_distractors_are_other_hidden_frames_of_the_utterance() -> None:
    rng = np.random.default_rng(0)
    hidden = spans(40, share=0.5, length=4, rng=rng)
    found = distractors(hidden, 500, rng=rng)
    for frame in np.flatnonzero(hidden):
        assert set(found[frame]) == set(np.flatnonzero(hidden)) - {frame}, "all of them, never the frame itself"
    assert not found[~hidden].any()


# ---------------------------------------------------------------------------------------------------------------- loss


def test_the_loss_is_that_of_transformers(bundle: Bundle) -> None:
    batch = TASK.collate([item(bundle, 2.0, 1), item(bundle, 1.4, 2)], bundle)
    bundle.model.eval()
    with torch.no_grad():
        total, count, values = TASK.measured_loss(bundle, batch)
    theirs: Any = bundle.model
    frames = batch["hidden"].shape[1]
    flat = batch["distractors"].long() + torch.arange(2)[:, None, None] * frames
    mask = torch.arange(batch["input_values"].shape[1])[None] < batch["n_samples"][:, None]
    ours = theirs.quantizer
    theirs.quantizer = original(theirs)
    try:
        with torch.no_grad():
            out = theirs(
                batch["input_values"],
                attention_mask=mask.long(),
                mask_time_indices=batch["hidden"],
                sampled_negative_indices=flat,
            )
    finally:
        theirs.quantizer = ours
    assert int(count) == int(batch["hidden"].sum())
    figures = dict(zip(FIGURES, values.tolist(), strict=True))
    assert float(total) == pytest.approx(float(out.loss), rel=1e-5)
    assert figures["contrastive_loss"][0] == pytest.approx(float(out.contrastive_loss), rel=1e-5)
    assert figures["diversity_loss"][0] == pytest.approx(float(out.diversity_loss), rel=1e-5)
    assert figures["codevector_perplexity"][0] / figures["codevector_perplexity"][1] == pytest.approx(
        float(out.codevector_perplexity), rel=1e-5
    )
    assert figures["share_masked"] == [float(count), float(batch["n_frames"].sum())]
    assert figures["gumbel_temperature"][1] == 0, "no choice is drawn in evaluation"


def original(model: Any) -> Any:
    """transformers' own quantiser, with the same weights."""
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer

    made = Wav2Vec2GumbelVectorQuantizer(model.config)
    made.load_state_dict(model.quantizer.state_dict())
    return made.eval()


def test_the_quantiser_draws_what_that_of_transformers_draws(bundle: Bundle) -> None:
    ours: Any = bundle.model.quantizer
    theirs = original(bundle.model).train()
    ours.train()
    theirs.temperature = ours.temperature = 0.7
    frames = torch.randn(2, 5, 8)
    torch.manual_seed(3)
    expected, _ = theirs(frames)
    torch.manual_seed(3)
    made, _ = ours(frames)
    torch.testing.assert_close(made, expected)
    codes, probabilities = ours.taken()
    assert codes.shape == (2, 5, 2)
    assert probabilities.shape == (2, 5, 2, 6)
    assert probabilities.requires_grad
    with pytest.raises(AssertionError, match="no forward pass"):
        ours.taken()


def test_a_distractor_with_the_same_codevectors_does_not_count() -> None:
    frames = torch.randn(1, 4, 3)
    hidden = torch.ones(1, 4, dtype=torch.bool)
    others = torch.tensor([[[1, 2], [0, 2], [0, 1], [0, 1]]])
    same = torch.zeros(1, 4, 2, dtype=torch.int64)
    loss, told = contrastive(frames, frames, same, others, hidden, temperature=0.1)
    assert (float(loss), float(told)) == (0.0, 0.0), "a collapsed quantiser: nothing to tell apart, nothing told"
    apart = torch.arange(4).view(1, 4, 1)
    loss, told = contrastive(frames, frames, apart, others, hidden, temperature=0.1)
    assert float(loss) > 0.0
    assert float(told) == 4.0


def test_parts_of_a_step_make_the_diversity_loss_of_the_whole() -> None:
    logits = torch.randn(4, 6, 2, 5, requires_grad=True)
    hidden = torch.rand(4, 6) < 0.5
    hidden[:, 0] = True
    whole, perplexity = diversity(Use.of(torch.softmax(logits, -1), hidden), None)
    (expected,) = torch.autograd.grad(whole, logits)
    with torch.no_grad():
        uses = [Use.of(torch.softmax(logits[row : row + 1], -1), hidden[row : row + 1]) for row in range(4)]
    step = Use.unflat(torch.stack([use.flat() for use in uses]).sum(0), uses[0])
    parts = [Use.of(torch.softmax(logits[row : row + 1], -1), hidden[row : row + 1]) for row in range(4)]
    made = [diversity(part, step) for part in parts]
    (found,) = torch.autograd.grad(sum(loss for loss, _ in made), logits)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(sum(loss for loss, _ in made), whole)
    assert all(float(one) == pytest.approx(float(perplexity)) for _, one in made)
    again = [Use.of(torch.softmax(logits[row : row + 1], -1), hidden[row : row + 1]) for row in range(4)]
    (alone,) = torch.autograd.grad(sum(diversity(part, None)[0] for part in again), logits)
    assert not torch.allclose(alone, expected, rtol=0.1), "the parts by themselves do not"


# -------------------------------------------------------------------------------------------------- both normalisations


@pytest.mark.parametrize(
    ("architecture", "norm", "shorter"),
    [("wav2vec2", "layer", 1.1), ("wav2vec2", "group", 1.1), ("wav2vec2-conformer", "layer", 2.0)],
)
def test_a_clip_has_the_same_loss_beside_others(architecture: str, norm: str, shorter: float) -> None:
    """The conformer of transformers convolves over padding, so that only clips of one length are as if alone."""
    made = built(norm, architecture=architecture)
    made.model.eval()
    clips = [item(made, 2.0, 1), item(made, shorter, 2)]
    both = TASK.measured_loss(made, TASK.collate(clips, made))[2]
    apart = sum(TASK.measured_loss(made, TASK.collate([clip], made))[2] for clip in clips)
    assert float(both[0, 0]) == pytest.approx(float(apart[0, 0]), rel=1e-4), "the contrastive loss"
    assert float(both[0, 1]) == sum(int(clip["hidden"].sum()) for clip in clips)


def test_group_normalisation_does_not_see_the_padding() -> None:
    made = built("group")
    convolutions: Any = made.model.base_model.feature_extractor
    assert isinstance(convolutions.conv_layers[0].layer_norm, ClipNorm)
    samples = torch.randn(1, 12_000)
    alone = functional.pad(samples, (0, 8_000))
    expected = convolutions(samples)
    n_frames = expected.shape[2]
    ordinary = convolutions(alone)[:, :, :n_frames]
    tell_lengths(made.model, torch.tensor([12_000]))
    torch.testing.assert_close(convolutions(alone)[:, :, :n_frames], expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ordinary, expected, rtol=0.05), "the ordinary one does"
    assert isinstance(made.model.quantizer, Quantizer)
    assert isinstance(convolutions.conv_layers[0].layer_norm, nn.GroupNorm)


# ---------------------------------------------------------------------------------------------------------------- clips


def test_a_clip_no_longer_than_a_mask_is_named_with_the_reason(bundle: Bundle) -> None:
    limits = bundle.family.limits()
    short = Utterance(id="short", audio=Path("none"), duration=0.09)
    said = TASK.problem(short, limits, bundle)
    assert said == "its 0.09 s make 4 frames, and a mask of mask_time_length = 4 needs 5"
    assert TASK.problem(short.replace(duration=0.12), limits, bundle) is None
    with pytest.raises(DataError, match=r"short: its 0\.09 s make 4 frames"):
        TASK.features(short, np.zeros(1440, dtype=np.float32), bundle)


def test_what_is_drawn_follows_from_the_generator(bundle: Bundle) -> None:
    audio = np.zeros(16_000, dtype=np.float32)
    one = Utterance(id="a", audio=Path("none"))

    def drawn(seed: int) -> dict[str, Any]:
        return TASK.drawn_features(one, audio, bundle, np.random.default_rng(seed))

    assert np.array_equal(drawn(1)["hidden"], drawn(1)["hidden"])
    assert np.array_equal(drawn(1)["distractors"], drawn(1)["distractors"])
    assert any(not np.array_equal(drawn(1)["hidden"], drawn(seed)["hidden"]) for seed in range(2, 6))


def test_the_temperature_falls_over_the_first_part_of_a_run() -> None:
    by_length = family()
    assert by_length.gumbel_temperature(0, 1000) == 2.0
    assert 0.5 < by_length.gumbel_temperature(690, 1000) < 0.52
    assert by_length.gumbel_temperature(701, 1000) == 0.5
    by_step = family(gumbel_temperature_decay=0.999995)
    assert by_step.gumbel_temperature(1000, 1000) == pytest.approx(1.99, abs=0.001)
