"""What an engine runs is compared with its checkpoint, and found again when a recording is to be transcribed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from voxcli.errors import ModelError
from voxcli.evaluate.align import Counts
from voxcli.export.original import Rounding
from voxcli.export.parity import Parity
from voxcli.export.probe import Probe
from voxcli.testing import Project
from voxcli.testing_models import tiny_classifier, tiny_ctc

TWIN = '''
    """An exporter that copies the model, on request with the rows of its last layer moved, and an engine for that."""

    from pathlib import Path
    from typing import ClassVar

    from voxcli.api import config, hookimpl


    @config
    class Twin:
        """A copy."""

        engine: ClassVar[str] = "twin"
        repair: ClassVar[str] = "moved=0 leaves the rows"

        moved: int = 0

        def export(self, checkpoint, out):
            from safetensors.torch import load_file, save_file
            from voxcli.checkpoints import save_merged

            inner = save_merged(checkpoint, out / "inner") / "model.safetensors"
            weights = load_file(inner)
            for name in ("lm_head", "classifier"):
                for part in ("weight", "bias"):
                    if f"{name}.{part}" in weights:
                        weights[f"{name}.{part}"] = weights[f"{name}.{part}"].roll(self.moved, 0)
            save_file(weights, inner, metadata={"format": "pt"})
            return out


    class Lone(Twin):
        """Nobody runs it."""

        engine = "nobody"


    class Dead(Twin):
        """Its engine fails."""

        engine = "dead"


    @config
    class Keys:
        """What the engine can be told."""

        voice: str = "low"


    class Runs:
        """Runs the copy."""

        exporter = "twin"
        options = Keys

        @classmethod
        def open(cls, name, *, device=None, batch_duration=120.0, options=None):
            from voxcli.checkpoints import engine_around, open_checkpoint

            (Path(name) / "opened").write_text((options or Keys()).voice)
            return engine_around(open_checkpoint(Path(name) / "inner", device=device))


    class Fails(Runs):
        """Cannot."""

        exporter = "dead"

        @classmethod
        def open(cls, name, *, device=None, batch_duration=120.0, options=None):
            raise RuntimeError("Illegal instruction")


    @hookimpl
    def vox_register(registry):
        for name, cls in {"twin": "Twin", "lone": "Lone", "dead": "Dead"}.items():
            registry.add("exporter", name, f"{__name__}:{cls}")
        registry.add("engine", "twin", f"{__name__}:Runs")
        registry.add("engine", "dead", f"{__name__}:Fails")
'''
PLUGIN = ("--plugin", "twin.py")


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    made = vox_project({"twin.py": TWIN})
    made.speech("data", splits={"train": 1, "validation": 4, "test": 1})
    tiny_ctc(made.path / "ctc")
    return made


def exported(project: Project, *more: str, of: str = "ctc", to: str = "twin", code: int = 0) -> Any:
    ask = ("export", of, "--to", to, "--data", "data", "--out", "out", *PLUGIN, *more)
    return project.run(*ask).assert_code(code)


# -------------------------------------------------------------------------------------------------------- the check


def test_texts_are_compared_and_the_figures_said(project: Project) -> None:
    lines = exported(project).out.splitlines()
    assert lines[2] == "texts       4 utterances of data, validation: all transcribed alike"
    assert lines[4:6] == ["before: the checkpoint, by the engine 'transformers'", "after:  out, by the engine 'twin'"]
    assert [line.split()[-1] for line in lines[-4:]] == ["+0.0"] * 4
    stored = json.loads((project.path / "out/vox.json").read_text())
    wanted = {"to": "twin", "engine": "twin", "checkpoint": str(project.path / "ctc"), "keys": {"moved": 0}}
    assert [name for name, *_ in stored["exported"].pop("weights")] == ["model.safetensors"]
    assert stored["exported"] == wanted


def test_other_texts_are_not_kept(project: Project) -> None:
    refused = exported(project, "moved=3", code=1)
    assert "what was exported" in refused.err
    assert "by the engine 'twin'" in refused.err
    assert "help: nothing was kept of it; moved=0 leaves the rows; --probe 200" in refused.err
    assert not (project.path / "out").exists()
    kept = exported(project, "moved=3", "--no-check", "--json")
    assert json.loads(kept.out)["check"] is None
    assert (project.path / "out/inner").is_dir()


def test_classes_are_compared(project: Project) -> None:
    tiny_classifier(project.path / "classifier", labels=("cat", "dog", "owl"))
    project.speech("data", splits={"train": 1, "validation": 4, "test": 1}, labels=("cat", "dog", "owl"))
    found = exported(project, of="classifier")
    assert "classes     4 utterances of data, validation: all classified alike" in found.out
    (project.path / "out").rename(project.path / "first")
    refused = exported(project, "moved=1", of="classifier", code=1)
    assert "classifies otherwise than classifier: 4 of 4 utterances by the engine 'twin'" in refused.err
    assert not (project.path / "out").exists()


def test_an_engine_that_is_not_there_is_said_before_any_work(project: Project) -> None:
    refused = exported(project, to="lone", code=2)
    assert "no engine is called 'nobody'" in refused.err
    assert "exporting" not in refused.err
    exported(project, "--no-check", to="lone")


def test_an_engine_that_cannot_run_it(project: Project) -> None:
    for data in ("data", "nowhere"):  # also where there is nothing to compare with
        (project.path / "data").rename(project.path / data) if data != "data" else None
        ask = ("export", "ctc", "--to", "dead", "--out", "out", *PLUGIN, *(("--data", data) if data == "data" else ()))
        refused = project.run(*ask).assert_code(1)
        assert "the engine 'dead' cannot run what was exported: RuntimeError: Illegal instruction" in refused.err
        assert not (project.path / "out").exists()


def found(wrong: tuple[int, int], *, of: int = 300, moved: int = 0) -> Parity:
    before, after = (
        SimpleNamespace(rates={("raw", "wer"): SimpleNamespace(counts=Counts(hits=of - n, substitutions=n))})
        for n in wrong
    )
    comparison: Any = SimpleNamespace(before=before, after=after)
    counts = Counts(hits=of - moved, substitutions=moved)
    return Parity("x", Probe(None, ""), Rounding(), comparison, moved, moved=counts)


@pytest.mark.parametrize(
    ("parity", "fine"),
    [
        (found((10, 11)), True),
        (found((10, 12)), False),
        (found((10, 12), of=400), True),
        (found((12, 9), of=400), False),
        (found((300, 300), moved=30), True),
        (found((300, 300), moved=31), False),
        (found((3, 3), of=3, moved=2), True),
        (Parity("x", Probe(None, ""), Rounding(), changed=1, classified=20), True),
        (Parity("x", Probe(None, ""), Rounding(), changed=2, classified=20), False),
        (Parity("x", Probe(None, ""), Rounding(), changed=5, classified=500), True),
        (Parity("x", Probe(None, ""), Rounding()), True),
    ],
)
def test_what_is_the_same_model(parity: Parity, fine: bool) -> None:
    """Half a point or one word of the rate; a tenth of the words themselves; a hundredth of the classes."""
    if fine:
        parity.require("m")
        return
    with pytest.raises(ModelError, match=r"what was exported (transcribes|writes|classifies)"):
        parity.require("m")


# ------------------------------------------------------------------------------------------------- an export is found


def heard(project: Project, model: str, *more: str, engine: str | None = "twin", code: int = 0) -> Any:
    chosen = ("--engine", engine) if engine is not None else ()
    ask = ("transcribe", "data/audio/test-000.wav", "--model", model, *PLUGIN, *chosen, *more)
    return project.run(*ask).assert_code(code)


def test_a_checkpoint_is_exported_once(project: Project) -> None:
    wanted = heard(project, "ctc", engine=None)
    first = heard(project, "ctc", "--engine-option", "voice=high")
    assert first.out == wanted.out
    assert "the engine 'twin' has no export of" in first.err
    assert "not compared with the checkpoint: this model is not part of a run" in first.err
    (folder,) = (project.path.parent / "cache/exports").iterdir()
    assert (folder / "opened").read_text() == "high"
    second = heard(project, "ctc")
    assert second.out == wanted.out
    assert "has no export of" not in second.err
    assert str(folder) in second.err
    of_itself = heard(project, str(folder), engine=None)  # the folder says which engine it is for
    assert of_itself.out == wanted.out
    os.utime(project.path / "ctc/model.safetensors")
    assert "has no export of" in heard(project, "ctc").err
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}-2"]


def test_an_export_that_was_made_before_is_taken(project: Project) -> None:
    ask = ("export", "ctc", "--to", "twin", "--data", "data", *PLUGIN)
    project.run(*ask).assert_ok()
    later = heard(project, "ctc")
    assert "export/ctc/twin, exported from" in later.err
    assert "has no export of" not in later.err


def test_a_folder_of_another_engine_and_options_that_are_none(project: Project) -> None:
    exported(project)
    refused = heard(project, "out", engine="dead", code=1)
    assert "out was exported for the engine 'twin', and the engine asked for is 'dead'" in refused.err
    assert "--engine twin" in refused.err
    none = heard(project, "ctc", "--engine-option", "voice=low", engine="transformers", code=2)
    assert "the engine 'transformers' takes no options" in none.err
    unknown = heard(project, "ctc", "--engine-option", "voic=low", code=2)
    assert "the engine 'twin' has no key 'voic'" in unknown.err
    assert "did you mean `voice`?" in unknown.err
    bad = heard(project, "ctc", "--engine-option", "voice", code=2)
    assert "'voice' is no option of an engine" in bad.err
    assert "there is no checkpoint 'someone/none'" in heard(project, "someone/none", code=1).err


def test_a_classifier_writes_no_text(project: Project) -> None:
    tiny_classifier(project.path / "classifier", labels=("cat", "dog"))
    refused = heard(project, "classifier", code=1)
    assert "this model classifies: it writes no text" in refused.err
    assert not Path(project.path / "export").exists()
