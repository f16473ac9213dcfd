"""The shared recordings: batches waste little, and what the splits say about themselves is true."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from voxcli.data.batches import DurationBatches, padding_share
from voxcli.data.corpus import load_splits
from voxcli.datasets.manifest import Manifest
from voxcli.recipe.schema import Filter, TextRules

SHARED = Path(os.environ.get("VOX_SHARED", Path(__file__).parents[3] / "shared"))
SETS = ("asterisk-en", "asterisk-es", "asterisk-fr", "asterisk-it", "asterisk-ru", "fsdd", "tuxpaint-bg")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))


def splits_of(name, rules=None, text=None):
    path = SHARED / "data" / name / "manifest.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return load_splits([Manifest(path=path)], rules, text)


@pytest.mark.parametrize("name", SETS)
def test_padding_is_at_most_five_percent(name):
    durations = splits_of(name).train.durations
    for budget in (20.0, 160.0):
        batches = DurationBatches(durations, batch_duration=budget, batch_size=None, seed=1)
        epoch = batches.epoch(0)
        assert padding_share(durations, epoch) <= 0.05
        assert sorted(np.concatenate(epoch)) == list(range(len(durations)))


def test_english_prompts():
    splits = splits_of("asterisk-en", Filter(max_duration=30.0), TextRules(lowercase=True, remove_punctuation=True))
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 551 - sum(d.count for d in splits.drops)
    assert {drop.key for drop in splits.drops} == {"filter.max_duration"}
    assert sum(drop.count for drop in splits.drops) == 3
    assert set("abcdefghijklmnopqrstuvwxyz ") <= set(splits.corpus.characters)


def test_digits_stand_on_both_sides_and_it_is_said():
    [finding] = splits_of("fsdd").findings
    assert finding.level == "note"
    assert finding.message.startswith("300 of 300 test utterances say what also stands in train, as is usual")
