"""`vox plan`: what its screen says of a made-up prediction, and real plans of tiny models."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from voxcli.memory import calibration, cards, predict
from voxcli.memory.fixed import Constants
from voxcli.memory.setup import Peak, Setup, Shape
from voxcli.testing import Project
from voxcli.testing_models import tiny_ctc

GIB = 2**30

RECIPE = """\
    # tiny
    name = "r"

    [[data]]
    type = "manifest"
    path = "data/manifest.csv"

    [model]
    type = "ctc"
    checkpoint = "base"

    [train]
    max_steps = 6
    batch_duration = 10.0     # s
"""


def made_up(need: float, *, device: str = "8GiB", **changes: Any) -> predict.Prediction:
    """A prediction of `need` GiB of tensors."""
    parts = {"weights": 0.3, "trained weights": 0.01, "gradients": 0.01, "optimizer": 0.02, "workspace": 0.001}
    sizes = {name: int(size * GIB) for name, size in parts.items()}
    sizes["activations"] = int(need * GIB) - sum(sizes.values())
    peak = Peak(int(need * GIB), sizes, "backward", "model.decoder.layers.3.fc1")
    beside = {"context": 450 * 2**20, "cuBLAS": 17039360, "fragmentation": int(0.06 * need * GIB)}
    first = {**sizes, "optimizer": 0, "activations": sizes["activations"] - GIB // 10}
    phases = [
        predict.Phase("first step", Shape(8, 30.0, 112), Peak(sum(first.values()), first, "backward", ""), beside),
        predict.Phase("later steps", Shape(8, 30.0, 112), peak, beside),
        predict.Phase("evaluation", Shape(4, 30.0, 0), Peak(GIB, {"weights": GIB}, "decoding", ""), beside),
    ]
    made = predict.Prediction(
        model="whisper openai/whisper-small",
        parameters=241_734_912,
        trained_parameters=3_538_944,
        device=cards.find(device),
        constants=Constants(),
        data="train 10,234 (12:03:04 h), validation 500 (40:00 min)",
        padded_to=30.0,
        batch_rule="batch_duration 240 s, 2 batches an optimizer step",
        phases=phases,
        setup=cast(Setup, None),
        notes=["tensors are counted exactly, what stands below them is estimated: the total is good to 6 to 10 %"],
    )
    return dataclasses.replace(made, **changes)


def candidate(label: str, total: float, changes: dict[str, Any], **more: Any) -> Any:
    """What a search returns."""
    kept = {"speed": 0.75, "data_kept": 1.0, **more}
    return SimpleNamespace(
        label=label, changes=changes, total=int(total * GIB), margin=1 - total * GIB / cards.find("8GiB").usable, **kept
    )


CHECKPOINTING = candidate("checkpointing", 4.0, {"train.gradient_checkpointing": True})
LORA = candidate(
    "LoRA on an int8 base, checkpointing, bf16, batches of 60 s x 4, clips up to 20 s",
    3.1,
    {"adapter": {"r": 8}, "quantization": {"load_in_8bit": True}, "filter.max_duration": 20.0},
    speed=0.5,
    data_kept=0.977,
)


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    return vox_project({"r.toml": RECIPE})


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the plan say something made up."""

    def use(prediction: predict.Prediction) -> None:
        monkeypatch.setattr(predict, "predict", lambda *arguments, **settings: prediction)

    return use


def with_rows(need: float, **changes: Any) -> predict.Prediction:
    rows = {"candidates": [CHECKPOINTING, LORA], "helps_most": CHECKPOINTING, "recommended": CHECKPOINTING}
    return made_up(need, **{**rows, **changes})


def test_the_screen_of_a_recipe_that_does_not_fit(
    project: Project, predicted: Callable[..., None], vox_snapshot: Callable[[str, str], None]
) -> None:
    predicted(with_rows(8.3))
    result = project.run("plan", "r.toml", "train.max_steps=7", "--gpu", "8GiB").assert_code(1)
    vox_snapshot(result.out, "plan_too_large.txt")
    assert max(map(len, result.out.splitlines())) <= 80


def test_the_screen_of_a_recipe_that_fits(
    project: Project, predicted: Callable[..., None], vox_snapshot: Callable[[str, str], None]
) -> None:
    as_it_is = candidate("the recipe as it is", 3.9, {}, speed=1.0)
    predicted(with_rows(3.2, candidates=[as_it_is, CHECKPOINTING], recommended=as_it_is, helps_most=None))
    result = project.run("plan", "r.toml", "--gpu", "8GiB").assert_ok()
    vox_snapshot(result.out, "plan_fits.txt")
    assert "next:" not in result.out, "nothing has to be done"


@pytest.mark.parametrize(
    ("need", "code", "words"),
    [(6.6, 0, "fits narrowly: "), (6.9, 1, "does not fit: "), (6.0, 0, "fits: ")],
)
def test_a_margin_smaller_than_the_estimate_is_called_narrow(
    project: Project, predicted: Callable[..., None], need: float, code: int, words: str
) -> None:
    predicted(made_up(need))
    assert words in project.run("plan", "r.toml", "--gpu", "8GiB", "--no-search").assert_code(code).out


def test_nothing_that_fits_is_said(project: Project, predicted: Callable[..., None]) -> None:
    predicted(with_rows(30, candidates=[], recommended=None))
    result = project.run("plan", "r.toml", "--gpu", "8GiB").assert_code(1)
    assert "nothing that was tried fits" in result.out
    written = project.run("plan", "r.toml", "--gpu", "8GiB", "--apply", "--yes").assert_code(1)
    assert "nothing is written" in written.err


def test_the_json_of_a_plan(project: Project, predicted: Callable[..., None]) -> None:
    predicted(with_rows(8.3))
    found = json.loads(project.run("plan", "r.toml", "--gpu", "8GiB", "--json").assert_code(1).out)
    assert found["fits"] is False
    assert found["recommended"] == 1
    for phase in found["phases"].values():
        assert phase["tensors"] == sum(phase["parts"].values())
        assert phase["total"] == phase["tensors"] + sum(phase["beside"].values())
    assert found["total"] == max(phase["total"] for phase in found["phases"].values())
    assert [one["changes"] for one in found["candidates"]] == [CHECKPOINTING.changes, LORA.changes]


def test_apply_shows_the_difference_then_writes(project: Project, predicted: Callable[..., None]) -> None:
    predicted(with_rows(8.3))
    result = project.run("plan", "r.toml", "train.max_steps=7", "--gpu", "8GiB", "--apply", "--yes").assert_ok()
    assert "--- r.toml\n+++ r.toml\n" in result.err
    assert "\n-max_steps = 6\n+max_steps = 7\n" in result.err
    assert "\n+gradient_checkpointing = true\n" in result.err
    text = (project.path / "r.toml").read_text()
    assert text.startswith("# tiny\n")
    assert text.endswith("batch_duration = 10.0     # s\ngradient_checkpointing = true\n")


def test_another_row_is_written_on_request(project: Project, predicted: Callable[..., None]) -> None:
    predicted(with_rows(8.3))
    project.run("plan", "r.toml", "--gpu", "8GiB", "--apply", "--choice", "2", "--yes").assert_ok()
    text = (project.path / "r.toml").read_text()
    assert "[quantization]\nload_in_8bit = true\n\n[adapter]\nr = 8\n" in text
    assert text.index("[filter]") < text.index("[model]") < text.index("[quantization]") < text.index("[train]")
    result = project.run("plan", "r.toml", "--gpu", "8GiB", "--apply", "--choice", "3", "--yes").assert_code(2)
    assert "--choice 3: 2 rows fit" in result.err


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_apply_asks_on_a_terminal(
    project: Project, predicted: Callable[..., None], monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    predicted(with_rows(8.3))
    monkeypatch.setattr("voxcli.cli.plan._answers", lambda: True)
    result = project.run("plan", "r.toml", "--gpu", "8GiB", "--apply", input=answer).assert_code(code)
    assert "write this into r.toml?" in result.err
    assert ("gradient_checkpointing" in (project.path / "r.toml").read_text()) == (code == 0)


def test_what_cannot_be_written_is_refused_before_anything_is(project: Project, predicted: Callable[..., None]) -> None:
    wrong = candidate("wrong", 4.0, {"train.optim": 3})
    predicted(with_rows(8.3, candidates=[wrong], recommended=wrong))
    before = (project.path / "r.toml").read_bytes()
    project.run("plan", "r.toml", "--gpu", "8GiB", "--apply", "--yes").assert_code(2)
    assert (project.path / "r.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "name a recipe"),
        (("r.toml", "--gpu", "rtx-3061"), "no card is called 'rtx-3061'"),
        (("r.toml", "--ram", "much"), "'much' is no amount of memory"),
        (("r.toml", "--gpu", "T4", "--ram", "8GiB"), "two devices"),
        (("r.toml", "--measure", "--gpu", "T4"), "the device of this machine"),
        (("r.toml", "--choice", "2"), "--choice says what --apply writes"),
        (("r.toml", "--apply", "--no-search"), "leave --no-search out"),
        (("r.toml", "--apply"), "add --yes"),
        (("r.toml", "--apply", "--json"), "add --yes"),
        (("r.toml", "--labels", "3"), "--duration"),
        (("r.toml", "--duration", "0"), "--duration"),
        (("missing.toml",), "there is no recipe missing.toml"),
        (("r.toml", "train.maxsteps=1"), "maxsteps"),
    ],
)
def test_a_wrong_command_line_is_told(project: Project, arguments: tuple[str, ...], expected: str) -> None:
    result = project.run("plan", *arguments).assert_code(2)
    assert expected in result.err
    assert "importing torch" not in result.err, "before anything is loaded"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ctc(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def real(project: Project, base: Path) -> Project:
    project.speech("data", n=10)
    shutil.copytree(base, project.path / "base")
    return project


def test_a_plan_of_a_real_recipe(real: Project) -> None:
    result = real.run("plan", "r.toml", "--ram", "8GiB", "--no-search", "--json").assert_ok()
    found = json.loads(result.out)
    assert found["fits"] is True
    assert list(found["phases"]) == ["first step", "later steps", "evaluation"]
    steady = found["phases"]["later steps"]
    trained = found["parameters"]["trained"]
    assert steady["parts"]["optimizer"] == pytest.approx(8 * trained, rel=0.01), "two float32 a trained weight"
    assert steady["tensors"] > found["phases"]["first step"]["parts"]["trained weights"]


def test_a_search_of_a_real_recipe(real: Project) -> None:
    roomy = json.loads(real.run("plan", "r.toml", "--gpu", "8GiB", "--json").assert_ok().out)
    own = roomy["candidates"][roomy["recommended"] - 1]
    assert own["changes"] == {}
    assert (own["speed"], own["data_kept"]) == (1.0, 1.0)
    assert own["total"] == roomy["total"], "the search and the table say the same"
    small = f"{int((roomy['total'] - 2**20) / cards.VISIBLE / GIB * 10**9)}B"  # of which CUDA gives that much
    result = real.run("plan", "r.toml", "--gpu", small, "--apply", "--yes").assert_ok()
    assert "does not fit" in result.out
    assert "\n+" in result.err
    assert "next: vox train r.toml" in result.err
    again = json.loads(real.run("plan", "r.toml", "--gpu", small, "--no-search", "--json").assert_ok().out)
    assert again["fits"] is True, "what was written fits"


def test_a_recipe_that_is_nobodys_to_change_is_told_before_the_search(project: Project) -> None:
    result = project.run("plan", "quickstart", "--apply", "--yes").assert_code(2)
    assert "shipped with voxcli" in result.err
    assert "importing torch" not in result.err


def test_a_plan_needs_neither_weights_nor_data(real: Project) -> None:
    for file in (real.path / "base").iterdir():
        if file.name != "config.json":
            file.unlink()
    with_data = real.run("plan", "r.toml", "--gpu", "8GiB", "--no-search").assert_ok()
    assert "worst batch" in with_data.out
    shutil.rmtree(real.path / "data")
    result = real.run("plan", "r.toml", "--gpu", "8GiB", "--no-search").assert_code(1)
    assert "--duration 15" in result.err
    result = real.run("plan", "r.toml", "--gpu", "8GiB", "--no-search", "--duration", "2", "--labels", "9").assert_ok()
    assert re.search(r"worst batch +5 clips of 2\.0 s, 9 tokens", result.out)


def test_measuring_counts_what_was_predicted(real: Project) -> None:
    arguments = ("plan", "r.toml", "train.use_cpu=true", "--no-search", "--measure")
    shown = real.run(*arguments).assert_ok().out
    assert re.search(r"first step .* [+-]0\.\d\d%\n", shown)
    found = json.loads(real.run(*arguments, "--json").assert_ok().out)["measured"]
    assert list(found) == ["first step", "later steps", "evaluation, by itself"]
    for one in found.values():
        assert one["counted"] == pytest.approx(one["predicted"], rel=0.02)


def test_past_runs_are_listed(project: Project) -> None:
    assert "no run has been measured" in project.run("plan", "--calibration").assert_ok().out
    for measured in (4.0, 5.0):
        row = calibration.Row(
            time="2026-01-02T03:04:05",
            device="NVIDIA L4",
            kind="cuda",
            model="openai/whisper-small",
            options="LoRA 32, int8",
            shape=Shape(8, 30.0, 112),
            predicted={"tensors": 4 * GIB, "needed": 5 * GIB},
            measured={"tensors": int(measured * GIB)},
            steps=10,
        )
        calibration.append(row)
    shown = project.run("plan", "--calibration").assert_ok().out
    assert "NVIDIA L4" in shown
    assert "-20.0%" in shown
    assert "2 runs: off by 10.0% in the median, 20.0% at most" in shown
    found = json.loads(project.run("plan", "--calibration", "--json").assert_ok().out)
    assert [one["error"] for one in found] == [0.0, -0.2]


def test_a_precision_that_the_device_lacks_is_refused(real: Project) -> None:
    result = real.run("plan", "r.toml", "train.mixed_precision=fp16", "--ram", "8GiB", "--no-search").assert_code(2)
    assert "fp16" in result.err
    assert "train.mixed_precision=no" in result.err
