"""`vox export` as a person runs it: tiny models are trained for a few steps, exported and used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

RECIPE = """
    name = "mine"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [text]
    lowercase = true

    [model]
    type = "ctc"
    checkpoint = "ctc"

    [train]
    max_steps = 2
    learning_rate = 1e-2
    batch_duration = 10.0
    use_cpu = true
"""
ADAPTER = ["adapter.r=4"]


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    made = vox_project({"mine.toml": RECIPE})
    made.speech("data", splits={"train": 6, "validation": 3, "test": 2})
    tiny_ctc(made.path / "ctc")
    return made


def test_a_lora_run(project: Project) -> None:
    project.run("train", "mine.toml", *ADAPTER).assert_ok()
    result = project.run("export", "runs/mine", "--to", "merged").assert_ok()
    lines = dict(line.split(None, 1) for line in result.out.splitlines() if line)
    assert (lines["checkpoint"], lines["base"]) == ("runs/mine/checkpoints/step-000002", "ctc")
    assert lines["merged"].startswith("runs/mine/export/merged-step-000002, 0.")
    assert lines["logits"].startswith("differ from those of base + unmerged adapter by up to ")
    assert "; the adapter moves them by " in lines["logits"]
    assert lines["texts"] == "3 utterances of mine, validation: all transcribed alike"
    assert [line.split()[-1] for line in result.out.splitlines()[-4:]] == ["+0.0"] * 4
    assert "merging the adapter" in result.err
    # it is a model like any other, and knows its run's data
    assert "mine, test: 2 utterances" in project.run("evaluate", "runs/mine/export/merged-step-000002").assert_ok().out
    project.run("transcribe", "data/audio/test-000.wav", "--model", "runs/mine/export/merged-step-000002").assert_ok()
    again = project.run("export", "runs/mine", "--to", "merged").assert_code(2)
    assert "merged-step-000002 exists already, and nothing is overwritten" in again.err
    assert "--out" in again.err


@pytest.mark.parametrize("bits", ["8", "4"])
def test_a_quantised_run_is_compared_with_what_it_decodes_itself(project: Project, bits: str) -> None:
    project.run("train", "mine.toml", *ADAPTER, f"quantization.load_in_{bits}bit=true").assert_ok()
    result = project.run("export", "runs/mine", "--to", "merged", "--out", "plain", "--json").assert_ok()
    told = json.loads(result.out)
    assert told["folder"] == "plain"
    assert told["check"]["trained_over"] == {"8": "int8", "4": "nf4"}[bits]
    assert told["check"]["logits"]["difference"] <= told["check"]["logits"]["tolerance"]
    assert told["check"]["logits"]["adapter"] > 100 * told["check"]["logits"]["difference"]
    assert told["check"]["probe"]["utterances"] == 3
    assert f"over its {told['check']['trained_over']} base, as it was trained" in result.err
    assert not list((project.path / "plain").glob("adapter*"))


def test_a_full_run_is_copied(project: Project) -> None:
    project.run("train", "mine.toml").assert_ok()
    told = json.loads(project.run("export", "runs/mine", "--to", "merged", "--probe", "2", "--json").assert_ok().out)
    assert (told["base"], told["check"]["logits"]["difference"], told["check"]["logits"]["adapter"]) == (
        None,
        0.0,
        None,
    )
    assert (told["check"]["probe"]["utterances"], told["check"]["probe"]["changed"]) == (2, 0)
    made = project.path / told["folder"]
    assert told["bytes"] == sum(path.stat().st_size for path in made.iterdir())
    assert not (made / "training_state").exists()


def test_what_is_another_model_is_not_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.exporters import merged

    project.run("train", "mine.toml", *ADAPTER).assert_ok()
    save = merged.Merged._write

    def broken(self: merged.Merged, checkpoint: Path, out: Path) -> Path:
        from safetensors.torch import load_file, save_file

        save(self, checkpoint, out)
        weights = load_file(out / "model.safetensors")
        name = next(name for name in weights if name.endswith("v_proj.weight"))
        weights[name] *= 1.05
        save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
        return out

    monkeypatch.setattr(merged.Merged, "_write", broken)
    result = project.run("export", "runs/mine", "--to", "merged", "--out", "plain").assert_code(1)
    assert "error: what was exported is not the model runs/mine: its logits differ by up to " in result.err
    assert not (project.path / "plain").exists()
    assert not list(project.path.glob(".plain*"))
    unchecked = project.run("export", "runs/mine", "--to", "merged", "--out", "plain", "--no-check").assert_ok()
    assert "check       none" in unchecked.out


def test_an_adapter_s_folder_without_its_run(project: Project) -> None:
    project.run("train", "mine.toml", *ADAPTER).assert_ok()
    (project.path / "runs/mine/checkpoints/step-000002").rename(project.path / "adapter")
    result = project.run("export", "adapter", "--to", "merged").assert_ok()
    assert "merged      export/adapter/merged, " in result.out
    assert "texts       not compared: this model is not part of a run, so its data are not known" in result.out
    result = project.run("export", "adapter", "--to", "merged", "--out", "b", "--data", "data", "--split", "test")
    assert "2 utterances of data, test" in result.assert_ok().out


def test_the_data_have_gone(project: Project) -> None:
    project.run("train", "mine.toml", *ADAPTER).assert_ok()
    (project.path / "data").rename(project.path / "elsewhere")
    result = project.run("export", "runs/mine", "--to", "merged").assert_ok()
    assert "texts       not compared: " in result.out
    asked = project.run("export", "runs/mine", "--to", "merged", "--out", "b", "--data", "data/manifest.csv")
    assert "there is no such file" in asked.assert_code(2).err
    assert not (project.path / "b").exists()


def test_what_cannot_be_exported(project: Project) -> None:
    listed = project.run("export", "runs/mine").assert_code(2)
    assert "error: which format? --to is missing\n  = help: known: merged (one ordinary" in listed.err
    unknown = project.run("export", "runs/mine", "--to", "merge").assert_code(2)
    assert "no exporter is called 'merge'" in unknown.err
    assert "did you mean `merged`?" in unknown.err
    assert "there is no run or folder 'runs/mine'" in project.run("export", "runs/mine", "--to", "merged").err
    project.run("train", "mine.toml", *ADAPTER).assert_ok()
    (project.path / "ctc").rename(project.path / "moved")
    gone = project.run("export", "runs/mine", "--to", "merged").assert_code(1)
    assert "that base model is missing" in gone.err
    assert not (project.path / "runs/mine/export").exists()
    (project.path / "runs/mine/best").unlink()
    for path in sorted((project.path / "runs/mine/checkpoints").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    empty = project.run("export", "runs/mine", "--to", "merged").assert_code(1)
    assert "the run runs/mine has no checkpoint yet" in empty.err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("dtype=int8", 'dtype is "int8", expected "float32", "float16" or "bfloat16"'),
        ("typ=1", "the exporter 'merged' has no key 'typ'"),
        ("float16", "'float16' is no option of an exporter"),
    ],
)
def test_options_that_are_none(project: Project, option: str, message: str) -> None:
    assert message in project.run("export", "ctc", option, "--to", "merged").assert_code(2).err


def test_half_precision_is_asked_for(project: Project) -> None:
    from transformers import AutoModelForCTC

    project.run("export", "ctc", "dtype=float16", "--to", "merged", "--data", "data", "--out", "half").assert_ok()
    assert AutoModelForCTC.from_pretrained(project.path / "half").dtype == torch.float16


def test_a_plugin_s_format(project: Project) -> None:
    project.write(
        {
            "vox_card.py": '''
            """Writes what a model is called."""

            from voxcli.api import config, hookimpl


            @config
            class Card:
                """A line of text."""

                greeting: str = "hello"

                def export(self, checkpoint, out):
                    (out / "card.txt").write_text(f"{self.greeting} {checkpoint.name}")
                    return out


            @hookimpl
            def vox_register(registry):
                registry.add("exporter", "card", f"{__name__}:Card", summary="a line of text")
            '''
        }
    )
    listed = project.run("export", "ctc", "--plugin", "vox_card.py").assert_code(2)
    assert "card (a line of text), merged (" in listed.err
    told = project.run("export", "ctc", "greeting=hi", "--to", "card", "--plugin", "vox_card.py", "--json").assert_ok()
    assert json.loads(told.out)["check"] is None
    assert (project.path / "export/ctc/card/card.txt").read_text() == "hi ctc"


def test_help(project: Project, vox_snapshot: Callable[[str, str], None]) -> None:
    vox_snapshot(project.run("export", "--help").assert_ok().out, "export-help.txt")
