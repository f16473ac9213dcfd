"""What a person does: train, resume, speak. A new task with its own command, and nothing of it in voxcli."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_speecht5 import SIZES, tiny_speecht5, tiny_vocoder

from vox_speecht5 import speakers
from vox_speecht5.commands import _as_it_is
from vox_speecht5.family import SpeechT5
from vox_speecht5.task import TextToSpeech
from vox_speecht5.writing import write
from voxcli.api import Corpus, Utterance
from voxcli.errors import DataError, ModelError

RECIPE = """
name = "voice"
[[data]]
type = "manifest"
path = "data/manifest.csv"
[model]
type = "speecht5"
checkpoint = "tiny"
[text]
lowercase = true
[train]
max_steps = 4
per_device_train_batch_size = 2
learning_rate = 1e-3
logging_steps = 1
eval_steps = 2
save_steps = 2
save_total_limit = 9
dataloader_num_workers = 0
"""


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    monkeypatch.delenv("VOX_DISABLE_PLUGINS", raising=False)
    monkeypatch.setenv("VOX_PREDICT_MEMORY", "0")


@pytest.fixture
def project(vox_project):
    made = vox_project({"voice.toml": RECIPE})
    made.speech("data", n=4)
    tiny_speecht5(made.path / "tiny")
    return made


def logged(folder: Path):
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {one["step"]: one["loss"] for one in entries if "loss" in one and "grad_norm" in one}


def weights(folder: Path):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_train_resume_and_speak(project):
    done = project.run("train", "voice.toml").assert_ok()
    assert re.search(r'next +vox speak "TEXT" --model runs/voice -o out.wav', done.out)
    assert "vox transcribe" not in done.out
    assert re.search(r"validation +mel_l1 \d\.\d+, stop_loss \d\.\d+, attention_loss", done.out)
    losses = logged(project.path / "runs/voice")
    assert list(losses) == [1, 2, 3, 4]
    assert losses[4] < losses[1]
    whole = weights(project.path / "runs/voice/checkpoints/step-000004")

    shutil.copytree(project.path / "runs/voice", project.path / "cut", symlinks=True)
    shutil.rmtree(project.path / "cut/checkpoints/step-000004")  # as if it had been killed after step 2
    (project.path / "cut/best").unlink()
    (project.path / "cut/best").symlink_to("checkpoints/step-000002")
    project.run("train", "voice.toml", "--run-dir", "cut", "--resume").assert_ok()
    again = weights(project.path / "cut/checkpoints/step-000004")
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert logged(project.path / "cut") == losses

    speak = ["speak", "--model", "runs/voice", "--longest", "4", "--threshold", "9"]  # on to the limit
    said = project.run(*speak, "Hello THERE.", "-o", "a.wav", "--json").assert_ok()
    told = json.loads(said.out)
    audio, rate = soundfile.read(project.path / "a.wav")
    assert told["lines"][0]["text"] == "hello there."  # the [text] rules of the run
    assert (rate, told["vocoder"]) == (16000, "griffin-lim")
    assert len(audio) / rate == pytest.approx(told["duration"], abs=1e-3)
    assert len(audio) == 256 * (told["lines"][0]["frames"] - 1) > 0
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() > 1e-5

    refused = project.run(*speak, "again", "-o", "a.wav").assert_code(2)
    assert "a.wav exists already" in refused.err
    project.run(*speak, "-", "-o", "b.wav", "--seed", "1", input="Hello THERE.\n\nSecond line").assert_ok()
    project.run(*speak, "hello there.", "-o", "a.wav", "--overwrite").assert_ok()
    assert np.array_equal(soundfile.read(project.path / "a.wav")[0], audio)  # the same seed
    two, _ = soundfile.read(project.path / "b.wav")
    assert len(two) > len(audio) + 0.3 * 16000
    assert not np.array_equal(two[: len(audio)], audio)  # another seed
    shown = project.run(*speak, "hello", "-o", "c.flac", "--vocoder", tiny_vocoder(project.path / "gan"), "--json")
    frames = json.loads(shown.assert_ok().out)["lines"][0]["frames"]
    assert len(soundfile.read(project.path / "c.flac")[0]) == 256 * frames

    project.write({"long.txt": "one\n\n" + "a" * 500})
    (project.path / "folder.wav").mkdir()
    for wrong, message in (
        (["hello", "-o", "d.mp3"], "speech is written as .wav, .flac, .ogg"),
        (["-o", "d.wav"], "say what to say"),
        ([" ", "-o", "d.wav"], "there is nothing to say"),
        (["hello", "-o", "d.wav", "--speaker", "eve"], "no speaker called 'eve'"),
        (["hello", "-o", "d.wav", "--model", "nowhere"], "nowhere"),
        (["hello", "-o", "d.wav", "--vocoder", "tiny"], "tiny is no SpeechT5HifiGan: it lacks"),
        (["a" * 500, "-o", "d.wav"], "has 501 tokens"),
        (["--file", "long.txt", "-o", "d.wav"], "line 3: 'aaa"),
        (["hello", "-o", "d.wav", "--device", "nonsense"], "there is no device 'nonsense' here"),
        (["hello", "-o", "d.wav", "--model", "tiny", "--device", "cuda:99"], "there is no device 'cuda:99' here"),
        (["hello", "-o", "folder.wav", "--overwrite"], "folder.wav is a folder"),
        (["hello", "-o", "d.wav", "--seed", str(2**70)], "--seed"),
    ):
        refused = project.run(*speak, *wrong)
        assert refused.code in (1, 2)
        assert message in refused.err
    assert not (project.path / "d.wav").exists()

    # it neither transcribes nor is scored by texts, and says what to do instead
    for command in (["transcribe", "a.wav"], ["evaluate", "--data", "voice.toml", "--split", "test"]):
        told = project.run(command[0], *(["runs/voice"] if command[0] == "evaluate" else []), *command[1:],
                           *(["--model", "runs/voice"] if command[0] == "transcribe" else []))  # fmt: skip
        assert told.code != 0
        assert "a text-to-speech model transcribes nothing" in told.err
    project.run("speak", "plain folder", "--model", "tiny", "-o", "e.wav", "--longest", "3").assert_ok()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_five_minutes_are_written_whole_or_not_at_all(tmp_path, suffix, monkeypatch):
    """libsndfile 1.2.2 crashes on an .ogg of four minutes that is written at once."""
    audio = np.sin(np.arange(300 * 16000) / 9).astype(np.float32) / 2
    out = tmp_path / f"long{suffix}"
    write(out, audio, 16000)
    assert soundfile.info(out).frames == len(audio)
    assert soundfile.info(out).samplerate == 16000

    before = out.read_bytes()
    monkeypatch.setattr(soundfile.SoundFile, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(DataError, match="cannot be written: No space left"):
        write(out, audio, 16000)
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_model_that_vox_has_not_trained_is_where_others_are(tmp_path, monkeypatch):
    monkeypatch.setattr("voxcli.models.open.default_device", lambda: torch.device("meta"))
    assert _as_it_is(str(tiny_speecht5(tmp_path)), None).model.device.type == "meta"


def test_an_adapter_trains_and_speaks(project):
    more = ["adapter.type=lora", "adapter.r=2", "train.max_steps=2"]
    project.run("train", "voice.toml", "--run-dir", "lora", *more).assert_ok()
    assert (project.path / "lora/best/adapter_config.json").is_file()
    assert not (project.path / "lora/best/model.safetensors").exists()
    project.run("speak", "hello", "--model", "lora", "-o", "a.wav", "--longest", "3").assert_ok()
    project.run("export", "lora", "--to", "merged", "--out", "whole").assert_ok()

    from transformers import SpeechT5ForTextToSpeech, SpeechT5Processor

    processor = SpeechT5Processor.from_pretrained(project.path / "whole")
    model, report = SpeechT5ForTextToSpeech.from_pretrained(project.path / "whole", output_loading_info=True)
    assert not report["missing_keys"]
    letters = processor(text="hello", return_tensors="pt").input_ids
    assert model.generate_speech(letters, torch.zeros(1, 8), maxlenratio=3.0).shape[1] == 80


def test_random_weights_learn_the_letters_of_the_data(project):
    sizes = "\n".join(f"{key} = {value}" for key, value in SIZES.items())
    recipe = RECIPE.replace('checkpoint = "tiny"', f"[model.config]\n{sizes}")
    project.write({"new.toml": recipe})
    assert "no problems" in project.run("recipe", "check", "new.toml").assert_ok().out
    project.run("train", "new.toml", "train.max_steps=1", "train.eval_steps=1", "--no-doctor").assert_ok()
    vocabulary = json.loads((project.path / "runs/voice/best/tokenizer.json").read_text())["model"]["vocab"]
    assert set("onetwhr ") <= set(vocabulary)
    assert "q" not in vocabulary


def test_voices_come_from_files_and_stay_with_the_model(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    vectors = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    names = ["ada", "bob", "ada"]
    parquet.write_table(pa.table({"speaker": names, "values": [list(one) for one in vectors]}), tmp_path / "v.parquet")
    folder = tiny_speecht5(tmp_path / "tiny")
    bundle = SpeechT5(checkpoint=str(folder), speakers=tmp_path / "v.parquet").build(Corpus("", (), 0, 0.0))
    np.testing.assert_allclose(bundle.processor.voice("ada"), (vectors[0] + vectors[2]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(bundle.processor.voice("bob"), vectors[1])
    assert bundle.processor.voice("eve") is bundle.processor.voice(None) is None

    task, limits = TextToSpeech(), bundle.family.limits()
    eve = Utterance(id="1", audio="x.wav", duration=1.0, text="hello", speaker="eve")
    assert "its speaker 'eve' has no vector; there are those of ada, bob" in task.problem(eve, limits, bundle)
    assert task.problem(eve.replace(speaker="ada"), limits, bundle) is None
    assert "501 tokens" in task.problem(eve.replace(text="a" * 500), limits, bundle)
    assert "longer than the 128.0 s" in task.problem(eve.replace(duration=200.0), limits, bundle)

    with torch.no_grad():
        bundle.model.save_pretrained(tmp_path / "saved")
    bundle.processor.save_pretrained(tmp_path / "saved")
    again = bundle.family.saved_in(str(tmp_path / "saved")).build(Corpus("", (), 0, 0.0))
    np.testing.assert_array_equal(again.processor.voice("bob"), vectors[1])

    np.savez(tmp_path / "wrong.npz", ada=np.zeros(512, np.float32))
    with pytest.raises(DataError, match=r"the vector of 'ada' has the shape \(512,\), the model takes \(8,\)"):
        SpeechT5(checkpoint=str(folder), speakers=tmp_path / "wrong.npz").build(Corpus("", (), 0, 0.0))
    (tmp_path / "none.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match="holds no vectors"):
        speakers.read(tmp_path / "none.npz")


def test_vectors_of_one_row_are_taken_and_others_named(tmp_path):
    np.savez(tmp_path / "v.npz", ada=np.ones((1, 8), np.float32), bob=np.ones(8))
    assert {name: one.shape for name, one in speakers.read(tmp_path / "v.npz").items()} == {"ada": (8,), "bob": (8,)}
    np.savez(tmp_path / "w.npz", ada=np.ones((2, 8)))
    with pytest.raises(DataError, match=r"the array 'ada' has the shape \(2, 8\), expected \(D,\) or \(1, D\)"):
        speakers.read(tmp_path / "w.npz")


def test_files_without_vectors_are_errors(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    np.savez(tmp_path / "whole.npz", ada=np.ones(512), bob=np.ones(512))
    whole = (tmp_path / "whole.npz").read_bytes()
    np.savez(tmp_path / "none.npz")
    np.savez(tmp_path / "texts.npz", ada=np.array(["x"] * 8))
    np.save(tmp_path / "one.npy", np.ones(8))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes(whole[:-40])
    (tmp_path / "spoiled.npz").write_bytes(whole[:900] + b"x" * 90 + whole[990:])
    (tmp_path / "empty.parquet").write_bytes(b"")
    for name, values in (("none", []), ("null", [None]), ("ragged", [[1.0], [1.0, 2.0]])):
        column = pa.array(values, pa.list_(pa.float32()))
        table = pa.table({"speaker": pa.array(["a"] * len(values), pa.string()), "values": column})
        parquet.write_table(table, tmp_path / f"{name}.parquet")
    for path in sorted(tmp_path.iterdir()):
        if path.name != "whole.npz":
            with pytest.raises(DataError, match=f"{path.name} holds no vectors of speakers: ."):
                speakers.read(path)


def test_a_speaker_may_have_any_name(tmp_path):
    voices = {name: np.full(8, number, np.float32) for number, name in enumerate(("file", "allow_pickle", "a/b", "ü"))}
    speakers.save(voices, tmp_path)
    again = speakers.read(tmp_path / "speakers.npz")
    assert {name: one.tolist() for name, one in again.items()} == {n: one.tolist() for n, one in voices.items()}


def test_what_is_no_speecht5_is_named(tmp_path):
    from transformers import BertConfig

    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is a bert model, expected speecht5"):
        SpeechT5(checkpoint=str(tmp_path)).limits()
    with pytest.raises(ModelError, match="SpeechT5 has no layers"):
        SpeechT5(config={"layers": 3}).limits()


def test_a_checkpoint_with_microsofts_tokenizer(tmp_path):
    """A sentencepiece of letters, as microsoft/speecht5_tts has it."""
    sentencepiece = pytest.importorskip("sentencepiece")
    texts = ["one two three.", "four five six", "seven eight nine", "zero quick brown fox jumps over the lazy dog"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 20), model_prefix=str(tmp_path / "spm_char"), model_type="char", vocab_size=40,
        bos_id=0, pad_id=1, eos_id=2, unk_id=3, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    from transformers import SpeechT5FeatureExtractor, SpeechT5Processor, SpeechT5Tokenizer

    tokenizer = SpeechT5Tokenizer(str(tmp_path / "spm_char.model"))
    folder = tiny_speecht5(tmp_path / "tiny", vocab_size=len(tokenizer))
    (folder / "tokenizer.json").unlink()
    SpeechT5Processor(SpeechT5FeatureExtractor(), tokenizer).save_pretrained(folder)
    bundle = SpeechT5(checkpoint=str(folder)).build(Corpus("", (), 0, 0.0))
    tokens = bundle.processor.tokens("one two.")
    assert tokens == tokenizer("one two.").input_ids
    assert tokens[-1] == tokenizer.eos_token_id
    assert tokenizer.unk_token_id not in tokens
    bundle.processor.save_pretrained(tmp_path / "again")
    assert SpeechT5Processor.from_pretrained(tmp_path / "again").tokenizer("one two.").input_ids == tokens


def test_the_plugin_keeps_the_contract(tmp_path):
    from voxcli.testing import check_plugin

    folder = tiny_speecht5(tmp_path / "tiny")
    check_plugin("vox_speecht5", examples={"model/speecht5": {"checkpoint": str(folder)}})
