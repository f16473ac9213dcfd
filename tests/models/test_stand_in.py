"""config.json alone gives a processor that is good enough for a plan, and is never used for anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from voxcli.api import Corpus, Utterance
from voxcli.errors import ModelError
from voxcli.memory.bundles import bundle_of
from voxcli.memory.setup import Setup
from voxcli.models import stand_in
from voxcli.models.checkpoint import config_only
from voxcli.models.ctc import CTC
from voxcli.models.whisper import Whisper
from voxcli.recipe.schema import Train
from voxcli.tasks.ctc import CTCTask
from voxcli.tasks.seq2seq import Seq2Seq
from voxcli.testing_models import tiny_ctc, tiny_whisper

CORPUS = Corpus(characters="abc ", labels=(), n_utterances=1, duration=1.0)


def config_alone(folder: Path) -> Path:
    for file in folder.iterdir():
        if file.name != "config.json":
            file.unlink()
    return folder


@pytest.mark.parametrize(
    ("vocab_size", "end", "languages"), [(51865, 50257, 99), (51866, 50257, 100), (51864, 50256, 99)]
)
def test_the_special_tokens_have_the_ids_of_whisper(vocab_size: int, end: int, languages: int) -> None:
    from transformers import WhisperConfig

    config = WhisperConfig(vocab_size=vocab_size, eos_token_id=end, decoder_start_token_id=end + 1)
    tokenizer = stand_in.whisper_tokenizer(config)
    assert len(tokenizer) == vocab_size
    number = tokenizer.convert_tokens_to_ids
    assert (number("<|endoftext|>"), number("<|startoftranscript|>"), number("<|en|>")) == (end, end + 1, end + 2)
    assert number("<|transcribe|>") == end + 2 + languages + 1  # openai/whisper, tokenizer.py: 50359, in v3 50360
    assert number("<|notimestamps|>") == end + 2 + languages + 5
    assert number("<|0.00|>") == number("<|notimestamps|>") + 1
    assert number("<|30.00|>") == vocab_size - 1
    text = "поезд отправляется в полдень"
    assert 0.5 <= len(tokenizer(text, add_special_tokens=False).input_ids) / len(text.encode()) <= 0.7


def test_a_whisper_is_planned_from_its_config(tmp_path: Path) -> None:
    folder = config_alone(tiny_whisper(tmp_path / "base"))
    family = Whisper(checkpoint=str(folder), language="tr")
    setup = Setup(family, Seq2Seq(), CORPUS, Train(per_device_train_batch_size=1, max_steps=1))
    bundle = bundle_of(setup)
    utterance = Utterance(id="a", audio=Path("a.wav"), duration=1.0, text="abc")
    assert setup.task.label_length(utterance, bundle) == 4 + 3, "start is given; the others, three bytes, the end"
    assert bundle.processor.feature_extractor.n_samples == 3 * 16000
    with pytest.raises(ModelError, match="cannot be loaded"):
        family.build(CORPUS)


@pytest.mark.parametrize("architecture", ["wav2vec2", "parakeet_ctc", "wav2vec2-bert"])
@pytest.mark.parametrize("vocabulary", [None, "checkpoint"])
def test_a_ctc_model_is_planned_from_its_config(tmp_path: Path, architecture: str, vocabulary: str | None) -> None:
    folder = config_alone(tiny_ctc(tmp_path / "base", architecture=architecture))
    family = CTC(checkpoint=str(folder), vocabulary=vocabulary)
    with config_only():
        assert family.limits().sampling_rate == 16000
    bundle = bundle_of(Setup(family, CTCTask(), CORPUS, Train(per_device_train_batch_size=1, max_steps=1)))
    assert bundle.processor.feature_extractor.sampling_rate == 16000
    with pytest.raises(ModelError):
        family.build(CORPUS)


def test_what_is_there_is_used(tmp_path: Path) -> None:
    folder = tiny_whisper(tmp_path / "base")
    with config_only():
        assert not stand_in.lacks_tokenizer(str(folder))
        assert not stand_in.lacks_extractor(str(folder))
        (folder / "tokenizer.json").unlink()
        assert stand_in.lacks_tokenizer(str(folder))
        assert not stand_in.lacks_extractor(str(folder))
    assert not stand_in.lacks_tokenizer(str(folder)), "only a plan does without"
