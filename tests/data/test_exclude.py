"""The list of `[filter] exclude`: ids, ids of one split, comments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import soundfile

from voxcli.api import Utterance
from voxcli.data.corpus import load_splits
from voxcli.data.exclude import parse
from voxcli.recipe.schema import Filter, Holdout


@dataclass(frozen=True)
class Given:
    """A data set of utterances that are given, split by split."""

    train: tuple[Utterance, ...] = ()
    validation: tuple[Utterance, ...] = ()

    def utterances(self, split):
        yield from getattr(self, split, ())


@pytest.fixture
def say(tmp_path, monkeypatch):
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    soundfile.write(tmp_path / "sound.wav", np.zeros(2 * 16000, dtype=np.float32), 16000)
    return lambda name, file="sound.wav": Utterance(id=name, audio=tmp_path / file, text=f"text of {name}")


def written(tmp_path, text):
    path = tmp_path / "exclude.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_lines():
    found = parse(["a", " b ", "", "# a comment", "#c", "d\ttrain", "a\ttest", "e\tf", "g\tvalidation", "g\ttrain"])
    assert found.everywhere == {"a", "b", "#c", "e\tf"}
    assert found.of_split == {"train": {"d", "g"}, "test": set(), "validation": {"g"}}
    assert len(found) == 7


def test_an_id_leaves_one_split_only(say, tmp_path):
    data = Given(train=(say("a"), say("b")), validation=(say("a"), say("c")))
    splits = load_splits([data], Filter(exclude=written(tmp_path, "a\ttrain\n")))
    assert (list(splits.train.ids), list(splits.validation.ids)) == (["b"], ["a", "c"])
    assert [(drop.split, drop.key, drop.examples) for drop in splits.drops] == [("train", "filter.exclude", ("a",))]
    assert splits.findings == []


def test_a_split_that_holdout_cuts(say, tmp_path):
    data = Given(train=tuple(say(f"u{n}") for n in range(40)))
    whole = load_splits([data], Filter(), holdout=Holdout(validation=0.5))
    inside, outside = str(whole.validation.ids[0]), str(whole.train.ids[0])
    listed = written(tmp_path, f"{inside}\tvalidation\n{outside}\tvalidation\n")
    splits = load_splits([data], Filter(exclude=listed), holdout=Holdout(validation=0.5))
    assert set(whole.validation.ids) - set(splits.validation.ids) == {inside}
    assert list(splits.train.ids) == list(whole.train.ids)


def test_what_is_left_out_is_no_problem_any_more(say, tmp_path):
    data = Given(train=(say("a"), say("b", "missing.wav")))
    assert [name for _, name, _ in load_splits([data]).problems] == ["b"]
    splits = load_splits([data], Filter(exclude=written(tmp_path, "b\n")))
    assert splits.problems == []
    assert splits.findings == []
    assert [drop.key for drop in splits.drops] == ["filter.exclude"]
