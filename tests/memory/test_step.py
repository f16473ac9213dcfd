"""A traced step takes what a real one takes, for every architecture, and for families and tasks of plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from plugin_families import Ast, Classification, Contrastive, Pretraining, save_ast

from voxcli.api import Bundle, Corpus, Decoding, config
from voxcli.errors import ModelError, VoxError
from voxcli.memory.counted import count_evaluation, count_step
from voxcli.memory.setup import PARTS, Setup, Shape
from voxcli.memory.step import bundle_of, record, trace_evaluation, trace_step
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Adapter, Train
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing_models import tiny_ctc, tiny_whisper

CORPUS = Corpus("abc d", ("dog", "cat", "cow"), 0, 0.0)
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
FRONT = {"conv_dim": (32,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "wav2vec2": {**SMALL, **FRONT},
    "hubert": {**SMALL, **FRONT, "feat_extract_norm": "layer"},
    "wavlm": {**SMALL, **FRONT},
    "data2vec-audio": SMALL | {"conv_dim": (32,) * 7},
    "sew": SMALL,
    "sew-d": SMALL,
    "unispeech": {**SMALL, **FRONT},
    "unispeech-sat": {**SMALL, **FRONT},
    "wav2vec2-conformer": {**SMALL, **FRONT},
    "wav2vec2-bert": SMALL,
    "parakeet_ctc": SMALL | {"subsampling_conv_channels": 16},
    "lasr_ctc": SMALL,
}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> str:
    sizes = {"d_model": 64, "encoder_ffn_dim": 256, "decoder_ffn_dim": 256}
    return str(tiny_whisper(tmp_path_factory.mktemp("whisper"), **sizes))


def _whisper(checkpoint: str, train: Train | None = None, device: Any = "cpu", **more: Any) -> Setup:
    keys = {key: more.pop(key) for key in ("encoder_context", "apply_spec_augment", "mask_time_prob") if key in more}
    return Setup(Whisper(checkpoint=checkpoint, **keys), Seq2Seq(), CORPUS, train or Train(), device=device, **more)


def _agree(setup: Setup, shape: Shape, *, within: float = 0.002) -> None:
    predicted, real = trace_step(setup, shape).peaks, count_step(setup, shape)
    assert predicted.first.total == pytest.approx(real.first.total, rel=within)
    assert predicted.steady.total == pytest.approx(real.steady.total, rel=within)
    assert sum(predicted.steady.parts.values()) == predicted.steady.total
    for part in ("weights", "trained weights"):
        assert predicted.steady.parts[part] == real.steady.parts[part]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_ctc_architecture_is_predicted(architecture: str) -> None:
    family = CTC(architecture=architecture, config=ARCHITECTURES[architecture])
    _agree(Setup(family, CTCTask(), CORPUS, Train(), device="cpu"), Shape(3, 1.5, 15))


@pytest.mark.parametrize(
    ("train", "more"),
    [
        ({}, {"encoder_context": "clip"}),
        ({}, {"encoder_context": "merged"}),
        ({"attn_implementation": "eager"}, {}),
        ({"gradient_accumulation_steps": 3}, {}),
        ({}, {"apply_spec_augment": True, "mask_time_prob": 0.3}),
        ({"optim": "sgd"}, {}),
    ],
    ids=["clip", "merged", "eager", "accumulation", "masks", "sgd"],
)
def test_whisper_is_predicted(whisper: str, train: dict[str, Any], more: dict[str, Any]) -> None:
    _agree(_whisper(whisper, Train(**train), **more), Shape(3, 2.0, 20))


def test_one_utterance_alone_is_predicted(whisper: str) -> None:
    _agree(_whisper(whisper), Shape(1, 2.0, 20))
    family = CTC(architecture="hubert", config=ARCHITECTURES["hubert"], attention_dropout=0.0)
    _agree(Setup(family, CTCTask(), CORPUS, Train(), device="cpu"), Shape(1, 3.0, 15), within=0.005)


def test_a_plugins_classifier_is_predicted(tmp_path: Path) -> None:
    family = Ast(checkpoint=str(save_ast(tmp_path)))
    setup = Setup(family, Classification(), CORPUS, Train(), device="cpu")
    _agree(setup, Shape(3, 1.0, 0))
    assert bundle_of(setup).model.classifier.dense.out_features == 3


def test_a_plugins_pretraining_is_predicted() -> None:
    _agree(Setup(Pretraining(), Contrastive(), CORPUS, Train(), device="cpu"), Shape(4, 1.5, 0), within=0.01)


@pytest.mark.parametrize("beams", [1, 3])
def test_evaluation_is_predicted(whisper: str, beams: int) -> None:
    setup, decoding = _whisper(whisper), Decoding(num_beams=beams, language="en", max_new_tokens=30)
    predicted = trace_evaluation(setup, Shape(3, 2.0, 20), decoding, training=False)
    real = count_evaluation(setup, Shape(3, 2.0, 20), decoding)
    assert predicted.total == pytest.approx(real.total, rel=0.02)
    assert predicted.phase == "decoding"


def test_an_evaluation_that_makes_no_text_is_its_loss_alone(whisper: str) -> None:
    @config
    class LossAlone(Seq2Seq):
        """A task of a plugin whose metrics are figures of its loss: nothing is decoded, though the model could."""

        metrics = ("share",)
        figures = ("share",)

    setup, decoding = replace(_whisper(whisper), task=LossAlone()), Decoding(num_beams=3)
    predicted = trace_evaluation(setup, Shape(3, 2.0, 20), decoding, training=False)
    assert predicted.total == pytest.approx(count_evaluation(setup, Shape(3, 2.0, 20), decoding).total, rel=0.02)
    assert predicted.total < trace_evaluation(_whisper(whisper), Shape(3, 2.0, 20), decoding, training=False).total


def test_evaluation_within_training_keeps_gradients_and_states(whisper: str) -> None:
    setup = _whisper(whisper)
    beside = trace_evaluation(setup, Shape(2, 2.0, 10), Decoding())
    alone = trace_evaluation(setup, Shape(2, 2.0, 10), Decoding(), training=False)
    n_bytes = beside.parts["trained weights"]
    assert beside.total == pytest.approx(alone.total + 3 * n_bytes, rel=0.01)


@pytest.mark.parametrize(
    ("device", "optim", "backend"),
    [
        ("cpu", "adamw_torch", "accelerate"),
        ("cuda", "adamw_torch", "transformers"),
        ("cuda", "adafactor", "accelerate"),
        ("cuda", "adamw_bnb_8bit", "accelerate"),
    ],
)
def test_the_steady_step_is_that_of_two_whole_steps(whisper: str, device: str, optim: str, backend: str) -> None:
    setup = _whisper(whisper, Train(optim=optim), device, backend=backend)
    short, whole = (trace_step(setup, Shape(2, 2.0, 20), events=events) for events in (False, True))
    assert short.peaks.first == whole.peaks.first
    assert short.peaks.steady.total == pytest.approx(whole.peaks.steady.total, abs=4096)
    assert short.events is None
    assert short.n_ops == whole.n_ops
    alive = highest = 0
    for _, n_bytes in whole.events or ():
        alive += n_bytes
        highest = max(highest, alive)
    assert highest == whole.peaks.worst.total


def test_a_recording_follows_a_step_without_its_optimizer(whisper: str) -> None:
    setup = _whisper(whisper, device="cuda")
    made = record(setup, Shape(2, 2.0, 20))
    peak = trace_step(setup, Shape(2, 2.0, 20)).peaks.first
    assert max(made.curve) == peak.total
    assert made.places[made.curve.index(peak.total)] == (peak.phase, peak.where)
    assert made.flops > 0


def test_checkpointing_costs_flops_and_saves_memory(whisper: str) -> None:
    plain, checkpointed = (
        trace_step(_whisper(whisper, Train(gradient_checkpointing=on), "cuda"), Shape(4, 2.0, 20))
        for on in (False, True)
    )
    assert 1.1 < checkpointed.flops / plain.flops < 1.4
    assert checkpointed.peaks.steady.total < plain.peaks.steady.total


def test_nothing_is_left_behind(whisper: str) -> None:
    setup = _whisper(whisper, adapter=Adapter(r=4))
    first = trace_step(setup, Shape(2, 2.0, 20)).peaks
    trace_evaluation(setup, Shape(2, 2.0, 20), Decoding(num_beams=2))
    assert trace_step(setup, Shape(2, 2.0, 20)).peaks == first
    model = bundle_of(setup).model
    assert all(one.grad is None for one in model.parameters())
    assert model.training


def test_parts_of_a_low_rank_adapter(whisper: str) -> None:
    peak = trace_step(_whisper(whisper, adapter=Adapter(r=4)), Shape(2, 2.0, 20)).peaks.steady
    assert tuple(peak.parts) == PARTS
    assert 0 < peak.parts["trained weights"] < 0.1 * peak.parts["weights"]
    assert peak.parts["optimizer"] == pytest.approx(2 * peak.parts["trained weights"], rel=0.05)


@config
class Peeking(CTCTask):
    """A task that looks at the numbers."""

    def loss(self, bundle: Bundle, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        total, count = CTCTask.loss(self, bundle, batch)
        return total * float(total.detach().numpy()), count


def test_what_cannot_be_traced_is_one_clear_error(tmp_path: Path) -> None:
    setup = Setup(CTC(checkpoint=str(tiny_ctc(tmp_path))), Peeking(), CORPUS, Train(), device="cpu")
    with pytest.raises(ModelError, match="memory of Wav2Vec2ForCTC cannot be predicted") as caught:
        trace_step(setup, Shape(2, 1.0, 5))
    assert "--measure" in (caught.value.help or "")
    assert "numpy" in caught.value.message


def test_an_impossible_shape_is_refused_by_name(tmp_path: Path, whisper: str) -> None:
    setup = Setup(CTC(checkpoint=str(tiny_ctc(tmp_path))), CTCTask(), CORPUS, Train(), device="cpu")
    with pytest.raises(VoxError, match="needs 400 frames"):
        trace_step(setup, Shape(2, 1.0, 400))
    with pytest.raises(VoxError, match="window"):
        trace_step(_whisper(whisper), Shape(2, 5.0, 10))
