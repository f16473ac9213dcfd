"""What is suggested follows from the task, the language, the hours and the card, and says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from voxcli.recipe.shipped import find
from voxcli.recipe.starter import CHECKPOINTS as STARTERS
from voxcli.suggest.catalogue import CHECKPOINTS, WHISPER, WHISPER_GOOD
from voxcli.suggest.footprint import GIB, METHODS, least
from voxcli.suggest.ranking import suggest
from voxcli.testing import Project


def names(task: str, **asked: Any) -> list[str]:
    given: dict[str, Any] = {"language": None, "hours": 10.0, "memory": None, **asked}
    return [one.known.name for one in suggest(task, **given) if one.fits]


def test_a_language_that_whisper_writes_begins_with_whisper_and_one_that_it_never_wrote_does_not() -> None:
    assert names("recognition", language="tr", hours=5.0)[0] == "openai/whisper-large-v3"
    unknown = suggest("recognition", language="ckb", hours=5.0, memory=None)
    assert unknown[0].known.languages == "many"
    reasons = {one.known.name: one.reasons for one in unknown}
    assert any("never written 'ckb'" in reason for reason in reasons["openai/whisper-large-v3"])
    assert any("has never heard 'ckb'" in reason for reason in reasons["microsoft/wavlm-large"])
    assert names("ctc", language="tr")[0] != names("ctc", language="en")[0] or "wav2vec2-base" in str(names("ctc"))


def test_a_small_card_leaves_out_what_does_not_fit_and_trains_less_of_what_does() -> None:
    small = suggest("recognition", language="tr", hours=100.0, memory=4 * GIB)
    large = suggest("recognition", language="tr", hours=100.0, memory=80 * GIB)
    assert all(one.memory <= 4 * GIB for one in small if one.fits)
    assert [one.fits for one in small] == sorted((one.fits for one in small), reverse=True)
    way = {one.known.name: one.method.name for one in small}, {one.known.name: one.method.name for one in large}
    assert way[1]["openai/whisper-medium"] == "full"
    assert way[0]["openai/whisper-medium"].startswith("LoRA")
    assert not suggest("seq2seq", language=None, hours=1.0, memory=0.1 * GIB)[0].fits


def test_few_hours_put_an_output_layer_that_begins_at_nothing_behind() -> None:
    few, many = (suggest("recognition", language="en", hours=hours, memory=None) for hours in (0.5, 200.0))
    place = {True: {}, False: {}}  # type: dict[bool, dict[str, int]]
    for key, made in ((True, few), (False, many)):
        place[key] = {one.known.name: index for index, one in enumerate(made)}
    assert place[False]["microsoft/wavlm-large"] < place[True]["microsoft/wavlm-large"]
    assert "200 h are enough to learn the spelling" in str(many)


def test_what_it_names_exists() -> None:
    assert WHISPER_GOOD <= WHISPER
    assert len({(one.family, one.name) for one in CHECKPOINTS}) == len(CHECKPOINTS)
    for ways in METHODS.values():
        for method in ways:
            assert find(method.preset, prefer="preset") is not None
    for task in STARTERS:
        assert f"--task {task} --checkpoint" in suggest(task, language=None, hours=10.0, memory=None)[0].command


def test_less_is_trained_in_less_memory() -> None:
    for known in CHECKPOINTS:
        sizes = [least(known, method) for method in METHODS[known.family]]
        assert sizes == sorted(sizes, reverse=True) or known.parameters < 50


def test_the_command(vox_project: Callable[..., Project]) -> None:
    project = vox_project()
    shown = project.run("suggest", "--language", "tr", "--hours", "5", "--gpu-memory", "8").assert_ok().out
    assert "1 openai/whisper-large-v3 LoRA on int8" in " ".join(shown.split())
    assert "writes 'tr' well before any training" in shown
    assert "next: vox recipe new DATA --task seq2seq --checkpoint openai/whisper-large-v3" in shown
    listed = json.loads(project.run("suggest", "--task", "pretraining", "--json").assert_ok().out)["suggestions"]
    assert {one["preset"] for one in listed} == {"pretraining"}
    assert all(one["memory"] > GIB / 2 and one["reasons"] for one in listed)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--gpu-memory", "300MiB"), "nothing fits a card of 300 MiB: the least, openai/whisper-tiny, needs about"),
        (("--gpu-memory", "3O60"), "no card is called '3O60'"),
        (("--language", "7"), "expected a code"),
        (("--task", "singing"), "'singing' is not one of"),
        (("--hours", "-1"), "-1"),
    ],
)
def test_what_cannot_be_asked(vox_project: Callable[..., Project], arguments: tuple[str, ...], expected: str) -> None:
    assert expected in vox_project().run("suggest", *arguments).assert_code(2).err
