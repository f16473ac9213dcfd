"""Comparing what was exported with what it was made of: folders, probes, the base as it was kept."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from voxcli.api import Corpus, Decoding
from voxcli.errors import DataError, ModelError, UsageError
from voxcli.evaluate.align import Counts
from voxcli.export import folder
from voxcli.export.check import Check, Logits, check
from voxcli.export.original import Rounding, rounding_of, unmerged
from voxcli.export.probe import Probe, choose, clips
from voxcli.models.ctc import CTC
from voxcli.models.open import open_model
from voxcli.models.settings import write_settings
from voxcli.recipe.schema import Adapter, Quantization, TextRules
from voxcli.testing import write_speech
from voxcli.testing_models import tiny_ctc
from voxcli.train.loading import build, save_pretrained

CORPUS = Corpus(characters=" abç", labels=(), n_utterances=4, duration=4.0)
INT8 = Quantization(load_in_8bit=True)
CPU = torch.device("cpu")


# ------------------------------------------------------------------------------------------------------------ folders


def test_a_new_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    out = tmp_path / "a/b/out"
    with folder.new_folder(out) as partial:
        (partial / "file").write_bytes(b"12345")
        assert not out.exists()
    assert folder.size(out) == 5
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    with pytest.raises(UsageError, match="exists already, and nothing is overwritten"), folder.new_folder(out):
        raise AssertionError("the block is not entered")
    assert (out / "file").read_bytes() == b"12345"


def write_and_fail(out: Path, error: BaseException) -> None:
    with folder.new_folder(out) as partial:
        (partial / "file").write_text("half")
        raise error


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no good"):
        write_and_fail(tmp_path / "a/out", ModelError("no good"))
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(tmp_path / "out", KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="out could not be written: the disk is full"):
        write_and_fail(tmp_path / "out", OSError(28, "No space left on device"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"), folder.new_folder(tmp_path / "file/out"):
        raise AssertionError("the block is not entered")


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".out.1.partial").mkdir()
    (tmp_path / ".out.1.partial/old").write_text("")
    os.utime(tmp_path / ".out.1.partial", (1, 1))
    with folder.new_folder(tmp_path / "out") as partial:
        assert [path.name for path in tmp_path.iterdir()] == [partial.name]
        assert list(partial.iterdir()) == []


def test_two_that_write_the_same_folder_leave_each_other_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def first() -> None:
        with folder.new_folder(out) as mine:
            (mine / "file").write_text("mine")
            with folder.new_folder(out) as other:
                (other / "file").write_text("other")
            assert (mine / "file").read_text() == "mine"

    with pytest.raises(UsageError, match="exists already"):
        first()
    assert (out / "file").read_text() == "other"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# ------------------------------------------------------------------------------------------------------------- probes


def test_the_first_split_that_has_utterances_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    data = write_speech(tmp_path / "data", splits={"train": 9, "test": 5})
    ask: dict[str, Any] = {"most": 4, "text": TextRules(lowercase=True), "model": "m"}
    probe = choose(str(data), None, **ask)
    assert probe.table is not None
    assert (probe.name, len(probe.table)) == ("data, test", 4)
    assert list(probe.table.ids) == sorted(probe.table.ids)
    again = choose(str(data), None, **ask)
    assert again.table is not None
    assert list(again.table.ids) == list(probe.table.ids)
    assert choose(str(data), None, split="train", **ask).name == "data, train"
    with pytest.raises(DataError, match="nothing to evaluate in the validation split"):
        choose(str(data), None, split="validation", **ask)
    assert choose(None, None, **ask).table is None
    assert choose(str(data), None, **{**ask, "most": 0}).table is None
    with pytest.raises(UsageError):
        choose(str(data / "nowhere"), None, **ask)


def test_the_logits_are_those_of_utterances_with_a_loss_else_of_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    texts = ["ab", "abababababababababab" * 20, "aa", "", "ba", "a", "b"]
    data = write_speech(tmp_path / "data", splits={"test": 7}, texts=texts)
    (data / "audio/test-002.wav").write_bytes(b"gone")
    opened = open_model(tiny_ctc(tmp_path / "ctc"), device="cpu")
    probe = choose(str(data), None, most=7, text=TextRules(), model="m")
    found = clips(probe, opened.bundle, opened.task, language=None)
    assert "audio/test-002.wav" not in [utterance.id for utterance, _ in found]
    assert 0 < len(found) <= 4
    assert all(len(audio) == round(16_000 * (utterance.duration or 0)) for utterance, audio in found)
    ((noise, audio),) = clips(Probe(None, ""), opened.bundle, opened.task, language=None)
    assert (noise.text, len(audio)) == ("", 48_000)


# --------------------------------------------------------------------------------------------- the base as it was kept


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(tmp_path_factory.mktemp("ctc"))


def run_of(base: Path, run: Path, *, quantization: Quantization | None = None, more: str = "") -> tuple[Any, Path]:
    """A run as training leaves it: what it trained, and its checkpoint."""
    adapter = Adapter(r=4, target_modules=("q_proj",), modules_to_save=("lm_head", "final_layer_norm"))
    family = CTC(checkpoint=str(base))
    bundle = build(family, CORPUS, adapter=adapter, quantization=quantization)
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            if parameter.requires_grad:
                parameter += 0.1
    checkpoint = run / "checkpoints/step-000001"
    save_pretrained(bundle, checkpoint)
    tables = {"model": {"type": "ctc", "checkpoint": str(base)}}
    recipe: Any = SimpleNamespace(
        tables=tables, model_type="ctc", text=TextRules(), adapter=adapter, decoding=lambda: Decoding()
    )
    write_settings(recipe, checkpoint)
    (run / "recipe.toml").write_text(
        '[adapter]\nr = 4\ntarget_modules = ["q_proj"]\nmodules_to_save = ["lm_head", "final_layer_norm"]\n'
        "key_of_the_future = 1\n" + more
    )
    return bundle, checkpoint


def logits(model: Any) -> torch.Tensor:
    audio = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found: torch.Tensor = model.eval()(audio).logits
    return found


def test_a_quantised_base_is_that_of_the_training(base: Path, tmp_path: Path) -> None:
    bundle, checkpoint = run_of(
        base, tmp_path / "run", quantization=INT8, more="[quantization]\nload_in_8bit = true\nkey_of_the_future = 1\n"
    )
    rounding = rounding_of(tmp_path / "run")
    assert (str(rounding), bool(rounding), rounding.quantization) == ("int8", True, INT8)
    as_trained = logits(unmerged(checkpoint, device=CPU, rounding=rounding).bundle.model)
    torch.testing.assert_close(as_trained, logits(bundle.model), rtol=0, atol=0)
    exact = logits(unmerged(checkpoint, device=CPU).bundle.model)
    assert (exact - as_trained).abs().max() > 1e-5


def test_a_base_in_half_precision_is_rounded(base: Path, tmp_path: Path) -> None:
    _, checkpoint = run_of(base, tmp_path / "run", more='[train]\nfrozen_dtype = "bfloat16"\n')
    rounding = rounding_of(tmp_path / "run")
    assert (str(rounding), bool(rounding)) == ("bfloat16", True)
    rounded = unmerged(checkpoint, device=CPU, rounding=rounding).bundle.model
    exact = dict(unmerged(checkpoint, device=CPU).bundle.model.named_parameters())
    changed = set()
    for name, parameter in rounded.named_parameters():
        assert parameter.dtype == torch.float32
        if not torch.equal(parameter, exact[name]):
            assert torch.equal(parameter, exact[name].bfloat16().float()), name
            changed.add(name)
    assert any("intermediate_dense" in name for name in changed)
    assert not [name for name in changed if "lora" in name or "modules_to_save" in name]
    logits(rounded)


def test_nothing_is_rounded_without_a_run(tmp_path: Path) -> None:
    assert not rounding_of(None)
    (tmp_path / "recipe.toml").write_text("[train]\nmax_steps = 1\n")
    assert not rounding_of(tmp_path)


# -------------------------------------------------------------------------------------------------------- the verdict


def test_another_model_is_told_apart(base: Path, tmp_path: Path) -> None:
    _, checkpoint = run_of(base, tmp_path / "run")
    same = tmp_path / "same"
    save_pretrained(open_model(checkpoint, device="cpu").bundle, same)
    ask: dict[str, Any] = {"adapter": True, "probe": Probe(None, "none"), "rounding": Rounding(), "device": CPU}
    found = check(checkpoint, same, **ask)
    found.require("m")
    assert found.logits.effect is not None
    assert found.logits.difference < found.logits.tolerance < found.logits.effect
    with pytest.raises(ModelError, match="what was exported is not the model m"):
        check(checkpoint, base, **ask).require("m")
    other = tiny_ctc(tmp_path / "other", characters=" abc")  # another number of classes
    assert check(checkpoint, other, **ask).logits.difference == math.inf


@pytest.mark.parametrize(("errors", "fine"), [((10, 11), True), ((10, 12), False), ((10, 8), False)])
def test_texts_may_differ_by_a_word(errors: tuple[int, int], fine: bool) -> None:
    before, after = (
        SimpleNamespace(rates={("raw", "wer"): SimpleNamespace(counts=Counts(hits=100 - n, substitutions=n))})
        for n in errors
    )
    comparison: Any = SimpleNamespace(before=before, after=after)
    found = Check(Logits(0.0, 1.0, None, 0.1, ""), Rounding(), Probe(None, ""), comparison, 1)
    if fine:
        found.require("m")
    else:
        with pytest.raises(ModelError, match="transcribes otherwise than m: 10 and"):
            found.require("m")
    dataclasses.replace(found, rounding=Rounding(INT8)).require("m")  # what a rounded base changes is shown


def test_a_difference_that_is_no_number(base: Path) -> None:
    assert not Logits(float("nan"), 1.0, None, 0.1, "").within
