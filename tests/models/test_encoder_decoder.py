"""An acoustic encoder and a text decoder: warm start, training, decoding, and halves that cannot be one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoModel, SpeechEncoderDecoderModel

from voxcli.api import Bundle, Corpus, Decoding, Utterance
from voxcli.errors import ModelError
from voxcli.models.encoder_decoder import EncoderDecoder
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing import Project, write_speech
from voxcli.testing_models import tiny_ctc, tiny_text_model
from voxcli.train.loading import save_pretrained

TASK = Seq2Seq()
CORPUS = Corpus(characters=" abc", labels=(), n_utterances=4, duration=4.0)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("halves"))
    tiny_ctc(made.path / "encoder")
    tiny_text_model(made.path / "decoder")
    write_speech(made.path / "data", n=4)
    made.write({"r.toml": RECIPE})
    made.run("train", "r.toml").assert_ok()
    return made


RECIPE = """
[[data]]
type = "manifest"
path = "data/manifest.csv"

[model]
type = "encoder-decoder"
encoder = "encoder"
decoder = "decoder"
encoder_add_adapter = true
freeze_feature_encoder = true

[train]
max_steps = 2
per_device_train_batch_size = 4
label_smoothing_factor = 0.1
use_cpu = true
"""


def family(project: Project, **keys: Any) -> EncoderDecoder:
    halves = {"encoder": str(project.path / "encoder"), "decoder": str(project.path / "decoder")}
    return EncoderDecoder(**{**halves, **keys})


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * 16_000))).astype(np.float32)


def batch_of(bundle: Bundle, *texts: str) -> dict[str, Any]:
    items = [
        TASK.features(Utterance(id=text, audio=Path("a"), text=text), noise(0.5 + 0.3 * number, number), bundle)
        for number, text in enumerate(texts)
    ]
    return TASK.collate(items, bundle)


def test_both_halves_keep_their_weights(project: Project) -> None:
    bundle = family(project).build(CORPUS)
    encoder = AutoModel.from_pretrained(project.path / "encoder").state_dict()
    assert all(torch.equal(one, bundle.model.encoder.state_dict()[name]) for name, one in encoder.items())
    config = bundle.model.generation_config
    assert (config.decoder_start_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 0)
    batch = batch_of(bundle, "ab", "c")
    assert batch["decoder_input_ids"][1].tolist() == [1, bundle.processor.tokenizer.convert_tokens_to_ids("c"), 0]
    assert batch["labels"][1].tolist() == [batch["decoder_input_ids"][1, 1].item(), 2, -100]


@pytest.mark.parametrize("kind", ["gpt2", "bert", "roberta"])
def test_other_text_models(project: Project, kind: str) -> None:
    folder = tiny_text_model(project.path / kind, kind)
    made = family(project, decoder=str(folder))
    assert made.limits().max_label_length == (47 if kind == "roberta" else 48)
    bundle = made.build(CORPUS)
    longest = batch_of(bundle, "a" * (made.positions - 1))
    total, count = TASK.loss(bundle, longest)
    assert torch.isfinite(total)
    assert int(count) == made.positions
    text = TASK.predict(bundle, batch_of(bundle, "a"), Decoding(max_new_tokens=3))[0].text
    assert isinstance(text, str)


@pytest.mark.parametrize("adapter", [False, True])
def test_the_shortest_clip_can_be_trained_on(project: Project, adapter: bool) -> None:
    made = family(project, encoder_add_adapter=adapter, mask_time_prob=0.3, mask_time_length=4)
    bundle, limits = made.build(CORPUS), made.limits()
    bundle.model.train()
    audio = noise(limits.min_duration)
    item = TASK.features(Utterance(id="a", audio=Path("a"), text="a"), audio, bundle)
    total, _ = TASK.loss(bundle, TASK.collate([item], bundle))
    assert torch.isfinite(total)
    assert "shorter than" in str(TASK.problem(Utterance(id="a", audio=Path("a"), duration=0.01), limits, bundle))
    with torch.no_grad():
        frames = [len(bundle.model.encoder(torch.randn(1, n)).last_hidden_state[0]) for n in (32_000, 64_000)]
    assert 32_000 / (frames[1] - frames[0]) == pytest.approx(limits.stride, rel=0.05)


def test_widths_that_differ_meet(project: Project) -> None:
    """A wider decoder: by a projection, and behind the encoder's adapter by the adapter's own."""
    folder = tiny_text_model(project.path / "wide", d_model=32)
    assert hasattr(family(project, decoder=str(folder)).build(CORPUS).model, "enc_to_dec_proj")
    keys = {"encoder_add_adapter": True, "encoder_config": {"output_hidden_size": 24}}
    bundle = family(project, decoder=str(folder), **keys).build(CORPUS)
    assert bundle.model.config.encoder.output_hidden_size == 32
    assert torch.isfinite(TASK.loss(bundle, batch_of(bundle, "ab"))[0])


def test_smoothed_labels_are_summed_exactly(project: Project) -> None:
    """(1 - e) of the label and e spread over all classes, per token, however the batch is cut; none in evaluation."""
    none = dict.fromkeys(
        ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "layerdrop"), 0.0
    )
    bundle = family(project, **none).build(CORPUS)
    smoothed, batch = Seq2Seq(label_smoothing_factor=0.2), batch_of(bundle, "abc")
    bundle.model.train()
    total, count = smoothed.loss(bundle, batch)
    bundle.model.eval()
    plain, _ = smoothed.loss(bundle, batch)
    with torch.no_grad():
        inputs = {name: batch[name] for name in ("input_values", "attention_mask", "decoder_input_ids")}
        logs = functional.log_softmax(bundle.model(**inputs).logits.double()[0], -1)
    own = -logs[torch.arange(4), batch["labels"][0]]
    assert int(count) == 4
    assert plain.item() == pytest.approx(float(own.sum()), rel=1e-5)
    assert total.item() == pytest.approx(float((0.8 * own - 0.2 * logs.mean(-1)).sum()), rel=1e-4)


def test_a_run_is_one_model_that_transformers_reads(project: Project) -> None:
    folder = project.path / "runs/r/best"
    model = SpeechEncoderDecoderModel.from_pretrained(folder)
    generation = json.loads((folder / "generation_config.json").read_text())
    assert (generation["decoder_start_token_id"], generation["eos_token_id"]) == (1, 2)
    again = EncoderDecoder(checkpoint=str(folder)).build(CORPUS)
    save_pretrained(again, project.path / "again")
    for name, one in SpeechEncoderDecoderModel.from_pretrained(project.path / "again").state_dict().items():
        assert torch.equal(one, model.state_dict()[name]), name
    frozen = AutoModel.from_pretrained(project.path / "encoder").feature_extractor.state_dict()
    assert all(torch.equal(one, model.encoder.feature_extractor.state_dict()[name]) for name, one in frozen.items())


def test_what_a_person_does_with_it(project: Project) -> None:
    clip = "data/audio/test-000.wav"
    text = project.run("transcribe", clip, "--model", "runs/r").assert_ok().out
    project.run("evaluate", "runs/r", "--split", "test").assert_ok()
    project.run("export", "runs/r", "--to", "merged", "--out", "merged").assert_ok()
    (project.path / "merged" / "vox.json").unlink(missing_ok=True)
    assert project.run("transcribe", clip, "--model", "merged").assert_ok().out == text
    times = project.run("transcribe", clip, "--model", "runs/r", "--word-timestamps")
    assert "no times of words" in times.err
    project.run("plan", "r.toml").assert_ok()


def test_a_long_recording_is_cut(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.tasks import text_decoder

    monkeypatch.setattr(text_decoder, "WINDOW", 1.0)
    bundle = family(project).build(CORPUS)
    found = TASK.transcribe(bundle, noise(2.5), Decoding(max_new_tokens=3, timestamps="segment"))
    assert found.duration == 2.5
    assert len(found.segments) >= 2
    assert found.text == " ".join(segment.text for segment in found.segments)


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        (["model.checkpoint=runs/r/best"], 2, "checkpoint and encoder are both set"),
        (["~model.decoder"], 2, "decoder is missing"),
        (["~model.encoder", "~model.decoder"], 2, "encoder and decoder are missing"),
        (["model.encoder=decoder"], 1, "which cannot be the encoder"),
        (["model.decoder=encoder"], 1, "which writes no text"),
        (["model.decoder=llama"], 1, "no cross attention: it cannot listen"),
        (["model.decoder=greek"], 1, "characters of the training transcripts: "),
        (["model.decoder=nowhere"], 1, "there is no checkpoint 'nowhere'"),
        (["model.decoder_config={layers=3}"], 1, "has no key 'layers' in its config"),
        (["model.activation_dropout=2.0"], 1, "activation_dropout is 2, expected a share"),
    ],
)
def test_what_cannot_be(project: Project, changes: list[str], code: int, said: str) -> None:
    if "llama" in str(changes):
        tiny_text_model(project.path / "llama", "llama")
    if "greek" in str(changes):
        tiny_text_model(project.path / "greek", characters="αβγδ ")
    result = project.run("train", "r.toml", *changes, "--dry-run", "--no-doctor").assert_code(code)
    assert said in result.err


def test_a_decoder_without_a_tokenizer(project: Project) -> None:
    folder = Path(shutil.copytree(project.path / "decoder", project.path / "mute"))
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="mute has no tokenizer"):
        family(project, decoder=str(folder)).build(CORPUS)
