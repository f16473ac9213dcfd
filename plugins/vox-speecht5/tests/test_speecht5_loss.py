"""The loss is that of transformers where that is right, and adds up; the model's answer does not know its batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_speecht5 import STILL, tiny_speecht5

from vox_speecht5 import griffin_lim
from vox_speecht5.family import SpeechT5
from vox_speecht5.task import TextToSpeech
from voxcli.api import Corpus, Utterance
from voxcli.testing import tones

TEXTS = ("one two.", "a", "three four five")


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A bundle in which nothing is drawn."""
    folder = tiny_speecht5(tmp_path_factory.mktemp("still"), **STILL)
    return SpeechT5(checkpoint=str(folder)).build(Corpus("", (), 0, 0.0))


@pytest.fixture(scope="module")
def items(still):
    task = TextToSpeech()
    return [task.features(Utterance(id=text, audio="x.wav", text=text), tones(text), still) for text in TEXTS]


def measured(bundle, items):
    task = TextToSpeech()
    bundle.model.train()
    bundle.model.zero_grad()
    total, count, values = task.measured_loss(bundle, task.collate(items, bundle))
    total.backward()
    gradients = torch.cat([one.grad.flatten() for one in bundle.model.parameters() if one.grad is not None])
    return total.item(), count.item(), values, gradients.clone()


def test_one_batch_of_three_is_three_of_one(still, items):
    """Sum, count, figures and gradients: with padding, batch normalisation and a convolution over the frames."""
    whole = measured(still, items)
    parts = [measured(still, [one]) for one in items]
    assert len({len(one["mel"]) for one in items}) == len({len(one["letters"]) for one in items}) == 3
    assert whole[0] == pytest.approx(sum(part[0] for part in parts), rel=1e-5)
    assert whole[1] == sum(part[1] for part in parts) == sum(len(one["mel"]) for one in items)
    torch.testing.assert_close(whole[2], sum(part[2] for part in parts), rtol=1e-4, atol=1e-4)
    together = sum(part[3] for part in parts)
    assert (whole[3] - together).norm() < 1e-4 * together.norm()
    assert together.norm() > 0


def test_a_clip_alone_has_the_loss_of_transformers(still, items, tmp_path):
    """With its own model, untouched, in evaluation: the prenet's dropout is drawn from the same seed."""
    from transformers import SpeechT5ForTextToSpeech

    folder = tiny_speecht5(tmp_path / "usual")  # prenet dropout 0.5, which transformers has in evaluation too
    ours = SpeechT5(checkpoint=str(folder)).build(Corpus("", (), 0, 0.0))
    theirs = SpeechT5ForTextToSpeech.from_pretrained(folder).eval()
    ours.model.eval()
    task = TextToSpeech()
    for item in items:
        batch = task.collate([item], ours)
        with torch.no_grad():
            total, count = task.loss(ours, batch)
            torch.manual_seed(0)
            expected = theirs(
                input_ids=batch["letters"],
                attention_mask=torch.ones_like(batch["letters"]),
                labels=batch["mel"],
                speaker_embeddings=batch["voice"],
            ).loss
        assert float(total / count) == pytest.approx(float(expected), rel=1e-5)


def test_padding_changes_the_loss_of_transformers_and_not_ours(still, items):
    """What the exchange of the postnet is for."""
    from transformers import SpeechT5ForTextToSpeech

    task, folder = TextToSpeech(), still.family.checkpoint
    theirs = SpeechT5ForTextToSpeech.from_pretrained(folder)
    postnet = theirs.speech_decoder_postnet.train()
    states = torch.randn(1, 10, 16)
    padded = torch.cat([states, torch.randn(1, 6, 16)], dim=1)
    assert not torch.allclose(postnet(states)[1], postnet(padded)[1][:, :20], atol=1e-3)
    own = still.model.speech_decoder_postnet.train()
    with own.hearing(torch.tensor([20])):
        torch.testing.assert_close(own(states)[1], own(padded)[1][:, :20])
    before = [layer.batch_norm.running_mean.clone() for layer in own.layers]
    measured(still, items)
    assert all(torch.equal(a, layer.batch_norm.running_mean) for a, layer in zip(before, own.layers, strict=True))
    assert task.collate(items, still)["mel"].shape[1] == max(len(one["mel"]) for one in items)


def test_guided_attention_is_left_out_where_its_weight_is_0(items, still):
    family = SpeechT5(checkpoint=still.family.checkpoint, guided_attention=0.0)
    bundle = family.build(Corpus("", (), 0, 0.0))
    total, count, values, _ = measured(bundle, items)
    with_it = measured(still, items)
    assert values[3].tolist() == [0.0, 0.0]
    assert with_it[0] - total == pytest.approx(10.0 * with_it[2][3, 0].item(), rel=1e-4)
    assert with_it[1] == count


def test_evaluations_draw_the_same(tmp_path, items):
    bundle = SpeechT5(checkpoint=str(tiny_speecht5(tmp_path / "m"))).build(Corpus("", (), 0, 0.0))
    task = TextToSpeech()
    batch = task.collate(items, bundle)
    bundle.model.eval()
    then = torch.get_rng_state()
    first, again = (task.loss(bundle, batch)[0].item() for _ in range(2))
    assert first == again
    assert torch.equal(then, torch.get_rng_state())
    bundle.model.train()
    assert task.loss(bundle, batch)[0].item() != task.loss(bundle, batch)[0].item()


@pytest.mark.parametrize("reduction", [1, 3])
def test_steps_of_several_frames(tmp_path, reduction):
    folder = tiny_speecht5(tmp_path / "m", reduction_factor=reduction, **STILL)
    bundle = SpeechT5(checkpoint=str(folder)).build(Corpus("", (), 0, 0.0))
    task = TextToSpeech()
    made = [task.features(Utterance(id=text, audio="x.wav", text=text), tones(text), bundle) for text in TEXTS]
    assert all(len(one["mel"]) % reduction == 0 for one in made)
    whole = measured(bundle, made)
    assert whole[0] == pytest.approx(sum(measured(bundle, [one])[0] for one in made), rel=1e-5)


def test_griffin_lim_gives_back_the_tone():
    from transformers import SpeechT5FeatureExtractor

    extractor = SpeechT5FeatureExtractor()
    time = np.arange(16000) / 16000
    tone = (0.3 * np.sin(2 * np.pi * 700 * time)).astype(np.float32)
    mel = extractor(audio_target=tone, sampling_rate=16000)["input_values"][0]
    heard = griffin_lim.waveform(torch.from_numpy(mel), extractor).numpy()
    assert heard.shape == (256 * (len(mel) - 1),)
    assert np.argmax(np.abs(np.fft.rfft(heard, 16000))) == pytest.approx(700, abs=12)
    again = extractor(audio_target=heard, sampling_rate=16000)["input_values"][0]
    loud = mel[: len(again)] > 0  # the bins of the tone; those beside it hold what leaks through the window
    assert np.abs(again[loud] - mel[: len(again)][loud]).mean() < 0.1  # a tenth of a decade
    assert np.sqrt(np.mean(heard[2000:-2000] ** 2)) == pytest.approx(np.sqrt(np.mean(tone**2)), rel=0.15)
    assert np.array_equal(heard, griffin_lim.waveform(torch.from_numpy(mel), extractor).numpy())
    assert griffin_lim.waveform(torch.full((2, 80), -10.0), extractor).shape == (256,)
