"""`[adapter] type = "attention"`: a language costs an adapter file, and one checkpoint speaks several."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, Wav2Vec2ForCTC

from voxcli.errors import ModelError
from voxcli.models import attention_adapters
from voxcli.models.open import open_model
from voxcli.testing import Project, write_speech
from voxcli.testing_models import tiny_ctc

RECIPE = """
[[data]]
type = "manifest"
path = "{data}/manifest.csv"

[model]
type = "ctc"
checkpoint = "{base}"

[adapter]
type = "attention"
language = "{language}"
adapter_attn_dim = 4

[train]
max_steps = 2
per_device_train_batch_size = 4
learning_rate = 0.05
save_steps = 1
use_cpu = true
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """English, then Turkish over the result of English: runs/eng, runs/tur."""
    made = Project(tmp_path_factory.mktemp("languages"))
    tiny_ctc(made.path / "base", characters=" abc")
    write_speech(made.path / "en", n=4)
    write_speech(made.path / "tr", n=4, texts=("çığ", "üç"), language="tr")
    made.write({"eng.toml": RECIPE.format(data="en", base="base", language="eng")})
    made.write({"tur.toml": RECIPE.format(data="tr", base="runs/eng/best", language="tur")})
    for name in ("eng", "tur"):
        made.run("train", f"{name}.toml").assert_ok()
    return made


def test_only_the_language_is_trained(project: Project) -> None:
    before = Wav2Vec2ForCTC.from_pretrained(project.path / "base").state_dict()
    model = Wav2Vec2ForCTC.from_pretrained(project.path / "runs/eng/best")
    after = model.state_dict()
    kept = [name for name in before if not name.startswith("lm_head")]
    assert all(torch.equal(before[name], after[name]) for name in kept)
    steps = [
        load_file(path / "adapter.eng.safetensors")
        for path in sorted((project.path / "runs/eng/checkpoints").iterdir())
    ]
    assert {name.split(".")[0] for name in steps[0]} == {"wav2vec2", "lm_head"}
    assert len([name for name in steps[0] if "adapter_layer" in name]) == 2 * 6
    assert all(not torch.equal(steps[0][name], steps[1][name]) for name in steps[0])
    assert model.config.adapter_attn_dim == 4


def test_transformers_reads_both_languages(project: Project) -> None:
    """The same files and names: `target_lang` picks the adapter, the output layer and the vocabulary."""
    folder = project.path / "runs/tur/best"
    for language, other in (("eng", "runs/eng/best"), ("tur", "runs/tur/best")):
        model = Wav2Vec2ForCTC.from_pretrained(folder, target_lang=language, ignore_mismatched_sizes=True)
        expected = Wav2Vec2ForCTC.from_pretrained(project.path / other)
        for name, tensor in expected.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], tensor, msg=name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.target_lang, sorted(tokenizer.vocab)) == ("tur", ["eng", "tur"])
    assert "ç" in tokenizer.vocab["tur"]
    assert "ç" not in tokenizer.vocab["eng"]


def test_a_language_is_picked_and_changed_back(project: Project) -> None:
    opened = open_model(project.path / "runs/tur")
    audio = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))

    def logits() -> torch.Tensor:
        with torch.no_grad():
            return opened.bundle.model(audio).logits

    turkish = logits()
    attention_adapters.speak(opened.bundle, "eng")
    english = open_model(project.path / "runs/eng").bundle.model
    with torch.no_grad():
        torch.testing.assert_close(logits(), english(audio).logits)
    assert opened.bundle.processor.tokenizer.target_lang == "eng"
    attention_adapters.speak(opened.bundle, "tur")
    torch.testing.assert_close(logits(), turkish)
    attention_adapters.speak(opened.bundle, None)
    torch.testing.assert_close(logits(), turkish)


def test_on_the_screen(project: Project) -> None:
    clip = "en/audio/test-000.wav"
    found = project.run("transcribe", clip, "--model", "runs/tur", "--language", "eng").assert_ok()
    assert set(found.out) <= set("abcdefghijklmnopqrstuvwxyz \n")
    unknown = project.run("transcribe", clip, "--model", "runs/tur", "--language", "turk").assert_code(1)
    assert "has no adapter for the language 'turk'" in unknown.err
    assert "did you mean `tur`?" in unknown.err
    project.run("evaluate", "runs/eng", "--split", "test").assert_ok()


def edited(project: Project, name: str) -> Path:
    return Path(shutil.copytree(project.path / "runs/tur/best", project.path / name))


def test_an_adapter_of_another_base(project: Project) -> None:
    folder = edited(project, "other")
    file = folder / "adapter.eng.safetensors"
    tensors = {name: one for name, one in load_file(file).items() if ".layers.1." not in name}
    save_file(tensors, file, metadata={"format": "pt"})
    opened = open_model(folder)
    with pytest.raises(ModelError, match=r"an adapter of another model: wav2vec2\S+ is missing in it and \(") as caught:
        attention_adapters.speak(opened.bundle, "eng")
    assert "trained over" in str(caught.value.help)
    file.unlink()
    with pytest.raises(ModelError, match=r"has a vocabulary for 'eng', and no adapter\.eng\.safetensors"):
        attention_adapters.speak(opened.bundle, "eng")


def test_sizes_of_another_base(project: Project) -> None:
    folder = edited(project, "wide")
    file = folder / "adapter.eng.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith("adapter_layer.linear_1.bias"))
    save_file({**tensors, name: torch.zeros(5)}, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"linear_1.bias is \(5,\) in it and \(4,\) in the model"):
        attention_adapters.speak(open_model(folder).bundle, "eng")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("~adapter.language", "belongs to a language, and none is named"),
        ('adapter.language="a/b"', "it names a file"),
        ("adapter.r=4", 'r belongs to type = "lora"'),
        ("adapter.adapter_attn_dim=0", "expected at least 1"),
        ("quantization.load_in_8bit=true", "not quantised"),
        ('adapter.type="lora"', 'language belongs to type = "attention"'),
    ],
)
def test_keys_that_do_not_go_together(project: Project, change: str, said: str) -> None:
    assert said in project.run("train", "eng.toml", change, "--dry-run").assert_code(2).err


def test_an_architecture_without_a_place_for_them(project: Project) -> None:
    tiny_ctc(project.path / "small", do_stable_layer_norm=False, feat_extract_norm="group")
    result = project.run("train", "eng.toml", "model.checkpoint=small", "--dry-run", "--no-doctor").assert_code(1)
    assert "has no place for attention adapters" in result.err
    assert "do_stable_layer_norm" in result.err


def test_adapters_of_another_width_beside_those_there_are(project: Project) -> None:
    result = project.run("train", "tur.toml", "adapter.adapter_attn_dim=8", "--dry-run", "--no-doctor").assert_code(1)
    assert "adapter_attn_dim is 8, and the adapters of eng in this checkpoint have 4" in result.err


def test_a_plan(project: Project) -> None:
    plan = json.loads(project.run("plan", "tur.toml", "--json").assert_ok().out)
    model = Wav2Vec2ForCTC.from_pretrained(project.path / "runs/tur/best")
    assert str(sum(one.numel() for one in attention_adapters.parts(model).values())) in json.dumps(plan)
