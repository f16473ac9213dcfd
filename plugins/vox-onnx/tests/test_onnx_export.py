"""Every architecture as a graph: the same logits, texts and classes as the model it was made of."""

from __future__ import annotations

import dataclasses
import difflib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from vox_onnx import graph
from vox_onnx.engine import OnnxEngine
from vox_onnx.exporter import Onnx
from voxcli.api import Classification, Decoding, Transcript
from voxcli.checkpoints import engine_around, open_checkpoint
from voxcli.errors import ModelError
from voxcli.testing_models import tiny_classifier, tiny_ctc, tiny_whisper

LAYER = {"feat_extract_norm": "layer"}  # with an attention mask
GROUP = {"feat_extract_norm": "group", "do_stable_layer_norm": False}  # without
CTC: dict[str, dict[str, Any]] = {
    "wav2vec2": {},
    "wav2vec2-group": {"architecture": "wav2vec2", **GROUP},
    "parakeet_ctc": {},
    "wav2vec2-bert": {},
}
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "wav2vec2": {},
    "wavlm": LAYER,  # gated relative positions
    "sew": LAYER,  # a squeezed time axis
    "data2vec-audio": {},
    "wav2vec2-bert": {},
    "whisper": {},
    "audio-spectrogram-transformer": {},
}
LABELS = ("bark", "rain", "speech")


def noise(*durations: float) -> list[np.ndarray]:
    """Clips of so many s, each with a loudness of its own."""
    rng = np.random.default_rng(3)
    return [(0.1 * rng.random() * rng.standard_normal(round(16_000 * s))).astype(np.float32) for s in durations]


CLIPS = noise(1.1, 0.0, 0.02, 1.1, 2.6)


def exported(checkpoint: Path, **keys: Any) -> Path:
    out = checkpoint.with_name(f"{checkpoint.name}-onnx{len(list(checkpoint.parent.iterdir()))}")
    out.mkdir()
    return Onnx(**keys).export(checkpoint, out)


def both(checkpoint: Path, folder: Path, **loading: Any) -> tuple[OnnxEngine, Any]:
    return OnnxEngine.open(folder, device="cpu", **loading), engine_around(open_checkpoint(checkpoint, device="cpu"))


def described(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "onnx.json").read_text())
    return found


@pytest.mark.parametrize("name", CTC)
def test_ctc_says_the_same_alone_together_and_for_long(name: str, tmp_path: Path) -> None:
    checkpoint = tiny_ctc(tmp_path / "m", **{"architecture": name, **CTC[name]})
    folder = exported(checkpoint)
    assert described(folder)["compared"]["float32"] < 2e-5
    assert not list(folder.glob("*.safetensors"))
    engine, torch_engine = both(checkpoint, folder)
    asked = Decoding(timestamps="word")
    together = engine.transcribe_batch(CLIPS, asked)
    alone = [engine.transcribe_batch([clip], asked)[0] for clip in CLIPS]
    wanted = [torch_engine.transcribe_batch([clip], asked)[0] for clip in CLIPS]
    for one, other, want in zip(together, alone, wanted, strict=True):
        assert isinstance(one, Transcript)
        assert isinstance(other, Transcript)
        assert one.text == other.text == want.text
        assert (one.duration, times(one)) == (want.duration, times(want))
        assert [round(word.probability or 0, 4) for s in one.segments for word in s.words] == [
            round(word.probability or 0, 4) for s in want.segments for word in s.words
        ]
    assert described(folder)["hears_padding"] == (name == "wav2vec2-group")
    assert "".join(one.text for one in wanted)  # it says something at all

    (long,) = noise(45.0)  # two windows
    (said,), (want) = engine.transcribe_batch([long], asked), torch_engine.transcribe_batch([long], asked)[0]
    assert isinstance(said, Transcript)
    assert len(said.text) > 100
    # a tie between two classes may be broken otherwise in a frame of a thousand
    assert difflib.SequenceMatcher(None, said.text, want.text, autojunk=False).ratio() > 0.99
    assert said.segments[-1].end == pytest.approx(want.segments[-1].end, abs=1.0)
    assert said.segments[-1].end > 40.0


def times(one: Transcript) -> list[tuple[float, float]]:
    return [(word.start, word.end) for segment in one.segments for word in segment.words]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_say_the_same(name: str, tmp_path: Path) -> None:
    checkpoint = tiny_classifier(tmp_path / "m", architecture=name, labels=LABELS, **CLASSIFIERS[name])
    folder = exported(checkpoint)
    same_classes(checkpoint, folder, long=name in ("wav2vec2", "whisper"))
    axes = next(iter(described(folder)["inputs"].values()))["axes"]
    assert axes[:2] == (["batch", "time"] if name not in ("whisper", "audio-spectrogram-transformer") else axes[:2])
    assert axes[0] == "batch"


def same_classes(checkpoint: Path, folder: Path, *, apart: float = 1e-5, long: bool = False) -> None:
    engine, torch_engine = both(checkpoint, folder)
    clips = noise(1.1, 0.02, 2.6, *((36.0,) if long else ()))
    together = engine.transcribe_batch(clips, engine.decoding)
    for one, clip in zip(together, clips, strict=True):
        (want,) = torch_engine.transcribe_batch([clip], torch_engine.decoding)
        assert isinstance(one, Classification)
        scores, wanted = (
            dict(zip(one.labels, one.scores, strict=True)),
            dict(zip(want.labels, want.scores, strict=True)),
        )
        assert scores == pytest.approx(wanted, abs=apart)
        assert one.duration == want.duration
        assert one.chosen == want.chosen or max(wanted.values()) - sorted(wanted.values())[-2] < 2 * apart


def settings(checkpoint: Path, **model: Any) -> Path:
    """The checkpoint as voxcli writes it, with keys of [model]."""
    (checkpoint / "vox.json").write_text(json.dumps({"model": model, "text": {}, "decoding": {}, "base": None}))
    return checkpoint


def test_a_whisper_that_hears_clips_at_their_length(tmp_path: Path) -> None:
    checkpoint = tiny_classifier(tmp_path / "m", architecture="whisper", labels=LABELS)
    settings(checkpoint, type="classifier", labels="checkpoint", encoder_context="clip")
    folder = exported(checkpoint)
    assert described(folder)["inputs"]["input_features"]["axes"] == ["batch", 16, "time"]
    assert described(folder)["inputs"]["n_frames"]["axes"] == ["batch"]
    same_classes(checkpoint, folder)


def test_several_classes_may_hold(tmp_path: Path) -> None:
    checkpoint = settings(
        tiny_classifier(tmp_path / "m", labels=LABELS), type="classifier", labels="checkpoint", multi_label=True
    )
    engine, torch_engine = both(checkpoint, exported(checkpoint))
    (found,), (want,) = (one.transcribe_batch(noise(1.0), one.decoding) for one in (engine, torch_engine))
    assert isinstance(found, Classification)
    assert found.chosen == want.chosen
    assert len(found.scores) == 3
    assert sum(found.scores) != pytest.approx(1.0)


def test_the_model_that_ships_in_int8(tmp_path: Path) -> None:
    """Real weights and real speech: a third of the room, and what is heard is the same."""
    import soundfile

    import voxcli.sample

    opened = open_checkpoint("sample-model", device="cpu")
    assert opened.folder is not None
    shutil.copytree(opened.folder, tmp_path / "m")
    small = exported(tmp_path / "m", quantization="int8")
    weights = 4 * sum(one.numel() for one in opened.bundle.model.parameters())
    assert (small / "model.onnx").stat().st_size < 0.45 * weights
    assert not list(small.glob("float32*"))
    compared = described(small)["compared"]
    assert compared["float32"] < 1e-5 < compared["int8"] < 0.05
    speech = sorted((Path(voxcli.sample.__file__).parent / "speech" / "audio").glob("*.flac"))[::40]
    clips = [soundfile.read(path, dtype="float32")[0] for path in speech]
    engine, torch_engine = both(tmp_path / "m", small)
    (said, wanted) = ([one.text for one in e.transcribe_batch(clips, Decoding())] for e in (engine, torch_engine))
    assert difflib.SequenceMatcher(None, " ".join(said), " ".join(wanted), autojunk=False).ratio() > 0.97
    assert sum(map(len, wanted)) > 100


def test_the_other_tracer_makes_the_same_graph(tmp_path: Path) -> None:
    checkpoint = tiny_classifier(tmp_path / "m", architecture="whisper", labels=LABELS, encoder_layers=1)
    folder = exported(checkpoint, tracer="dynamo")
    assert described(folder)["opset"] > graph.OPSET
    same_classes(checkpoint, folder)


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_weights_beyond_one_file_lie_beside_the_graph(
    quantization: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "INLINE", 1000)
    checkpoint = tiny_classifier(tmp_path / "m", architecture="whisper", labels=LABELS)
    folder = exported(checkpoint, quantization=quantization)
    assert sorted(path.name for path in folder.glob("*model.onnx*")) == ["model.onnx", "model.onnx.data"]
    assert not [path for path in folder.iterdir() if path.is_dir()]
    same_classes(checkpoint, folder, apart=1e-5 if quantization == "none" else 0.02)


def test_a_merged_adapter(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    checkpoint = tiny_ctc(tmp_path / "m")
    opened = open_checkpoint(checkpoint, device="cpu")
    torch.manual_seed(0)
    lora = LoraConfig(r=2, lora_alpha=100, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    made = get_peft_model(opened.bundle.model, lora)
    made.save_pretrained(tmp_path / "adapter")
    opened.bundle.processor.save_pretrained(tmp_path / "adapter")
    engine, torch_engine = both(tmp_path / "adapter", exported(tmp_path / "adapter"))
    (found,), (want,) = (one.transcribe_batch(CLIPS[:1], Decoding()) for one in (engine, torch_engine))
    (before,) = engine_around(open_checkpoint(checkpoint, device="cpu")).transcribe_batch(CLIPS[:1], Decoding())
    assert found == want
    assert isinstance(before, Transcript)
    assert found.text != before.text


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CTC model and beside it the folder it was exported to."""
    return exported(tiny_ctc(tmp_path_factory.mktemp("small") / "m"))


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(small, tmp_path / "copy"))


@pytest.mark.parametrize(
    "decoder", [{"type": "greedy"}, {"type": "beam", "beam_width": 4}], ids=lambda one: one["type"]
)
def test_decoders_read_the_same_frames(decoder: dict[str, Any], small: Path) -> None:
    engine, torch_engine = both(small.with_name("m"), small)
    asked = Decoding(decoder=decoder, timestamps="word")
    clips = noise(0.7, 1.3)
    for one, want in zip(
        engine.transcribe_batch(clips, asked), torch_engine.transcribe_batch(clips, asked), strict=True
    ):
        assert isinstance(one, Transcript)
        assert (one.text, times(one)) == (want.text, times(want))
        assert one.text


def test_batches_that_do_not_fit_go_on_in_halves(
    small: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = OnnxEngine.open(small, device="cpu")
    wanted = engine.transcribe_batch(CLIPS, Decoding())
    network: Any = engine.model.bundle.model
    session = network.session

    class Full:
        def run(self, names: Any, given: Any) -> Any:
            if len(given["input_values"]) > 2:
                raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")
            return session.run(names, given)

    monkeypatch.setattr(network, "session", Full())
    assert [getattr(one, "text", None) for one in engine.transcribe_batch(CLIPS, Decoding())] == [
        getattr(one, "text", None) for one in wanted
    ]
    assert "going on in halves" in caplog.text


def test_a_whisper_is_for_another_engine(tmp_path: Path) -> None:
    checkpoint = tiny_whisper(tmp_path / "m")
    with pytest.raises(ModelError, match="is a whisper for seq2seq; onnx is for CTC models and classifiers") as raised:
        exported(checkpoint)
    assert "--to ctranslate2" in (raised.value.help or "")


def test_a_graph_that_is_another_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tracing may lose without a word: here the mask of the padding."""
    from transformers import Wav2Vec2ForCTC

    forward = Wav2Vec2ForCTC.forward

    def forgetful(self: Any, input_values: Any, attention_mask: Any = None, **more: Any) -> Any:
        return forward(self, input_values, attention_mask if not torch.jit.is_tracing() else None, **more)

    checkpoint = tiny_ctc(tmp_path / "m")
    monkeypatch.setattr(Wav2Vec2ForCTC, "forward", forgetful)
    with pytest.raises(ModelError, match="the graph of Wav2Vec2ForCTC is another model: its logits differ by"):
        exported(checkpoint)


def test_what_is_broken_is_named(folder: Path, tmp_path: Path) -> None:
    def refused(expected: str, **opening: Any) -> str:
        with pytest.raises(ModelError, match=expected) as raised:
            OnnxEngine.open(folder, **{"device": "cpu", **opening})
        return raised.value.help or ""

    assert OnnxEngine.opens(folder)
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        expected = "--device cuda:1: the installed onnxruntime has .*CPUExecutionProvider"
        assert "onnxruntime-gpu" in refused(expected, device="cuda:1")
    assert refused("--device mps: the installed", device="mps") == "--device cpu"
    whole = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(whole[: len(whole) // 2])
    assert "copy that was cut short" in refused("model.onnx cannot be loaded: ")
    (folder / "model.onnx").unlink()
    refused("there is no .*model.onnx")
    stored = described(folder)
    (folder / "onnx.json").write_text(json.dumps({**stored, "format": 2}))
    assert "update vox-onnx" in refused("is of format 2, and this vox-onnx reads 1")
    (folder / "onnx.json").write_text("{")
    refused("onnx.json cannot be read")
    (folder / "onnx.json").unlink()
    assert not OnnxEngine.opens(folder)
    assert f"vox export {folder} --to onnx" in refused("it has no onnx.json")


def test_the_language_of_attention_adapters_is_in_the_graph(small: Path) -> None:
    engine = OnnxEngine.open(small, device="cpu")
    bundle: Any = engine.model.bundle
    bundle.model.config.adapter_attn_dim = 4
    bundle.processor.tokenizer.target_lang = "tur"
    with pytest.raises(ModelError, match="exported for the language 'tur', not for 'bul'"):
        engine.transcribe_batch(CLIPS[:1], Decoding(language="bul"))
    assert engine.transcribe_batch(CLIPS[:1], Decoding(language="tur"))


def test_the_graph_runs_without_torch(small: Path, tmp_path: Path) -> None:
    """The program of the README, in a process in which torch and transformers cannot be imported."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    program = readme.split("```python\n")[1].split("```")[0]
    assert "import torch" not in program
    import soundfile

    (clip,) = noise(1.0)
    soundfile.write(tmp_path / "talk.wav", clip, 16_000, subtype="FLOAT")
    shutil.copytree(small, tmp_path / "exported")
    blocked = "import sys; sys.modules['torch'] = sys.modules['transformers'] = sys.modules['voxcli'] = None\n"
    done = subprocess.run([sys.executable, "-c", blocked + program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wanted,) = OnnxEngine.open(small, device="cpu").transcribe_batch([clip], Decoding())
    assert isinstance(wanted, Transcript)
    assert " ".join(done.stdout.split()) == wanted.text


def test_the_inputs_are_described_as_they_are(small: Path) -> None:
    stored, held = described(small), onnx.load(str(small / "model.onnx"))
    assert list(stored["inputs"]) == [one.name for one in held.graph.input]
    assert dataclasses.asdict(OnnxEngine.open(small, device="cpu")._description) == stored
    assert (stored["task"], stored["sampling_rate"], stored["stride"]) == ("ctc", 16_000, 320)
