"""Clips that are too long or too short: left out, cut, padded; what becomes of their texts, and what is said of it."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import soundfile

from voxcli.api import SPLITS, Limits
from voxcli.audio.decode import read_utterance
from voxcli.data.corpus import load_splits
from voxcli.data.stretches import spoken_pieces
from voxcli.datasets.manifest import Manifest
from voxcli.recipe.schema import Filter, Holdout, TextRules
from voxcli.testing_models import tiny_ctc

RATE = 1000
LIMITS = Limits(RATE, 0.1, 8.0, 1, None, 0)
LENGTHS = {"a": 1.0, "b": 10.0, "c": 0.2, "d": 4.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips whose samples are their own time, so that a stretch can be told."""
    made = tmp_path_factory.mktemp("clips")
    rows = []
    for name, seconds in LENGTHS.items():
        time = np.arange(int(seconds * RATE)) / RATE / 100 + 0.001
        soundfile.write(made / f"{name}.wav", time, RATE, subtype="FLOAT")
        rows.append({"path": f"{name}.wav", "id": name, "label": f"label {name}"})
    (made / "plain.jsonl").write_text("\n".join(map(json.dumps, rows)))
    spoken = [{**row, "text": f"all of {row['id']}"} for row in rows]
    (made / "spoken.jsonl").write_text("\n".join(map(json.dumps, spoken)))
    times = [(0.0, 2.0, "One."), (2.5, 3.9, "Two."), (4.5, 5.0, "Three."), (5.0, 9.9, "Four.")]
    spoken[1]["segments"] = [{"start": s, "end": e, "text": t} for s, e, t in times]
    (made / "segments.jsonl").write_text("\n".join(map(json.dumps, spoken)))
    return made


def loaded(folder, name, *, cut=SPLITS, limits=None, holdout=None, transcripts=None, **rules):
    transcripts = name != "plain" if transcripts is None else transcripts
    return load_splits(
        [Manifest(path=folder / f"{name}.jsonl")],
        Filter(**rules),
        TextRules(lowercase=True),
        holdout,
        limits=limits,
        transcripts=transcripts,
        cut=cut,
    )


def heard(utterance):
    """(first second, last second) of what is read of a clip."""
    audio = read_utterance(utterance, RATE)
    audio = audio[audio > 0]
    return round(float(audio[0] - 0.001) * 100, 2), round(float(audio[-1] - 0.001) * 100, 2)


def test_long_clips_become_equal_pieces(folder):
    splits = loaded(folder, "plain", max_duration=4.0, too_long="chunk")
    table = splits.train
    assert list(table.ids) == ["a", "b@0.00-3.33", "b@3.33-6.67", "b@6.67-10.00", "c", "d"]
    assert table.durations == pytest.approx([1.0, 10 / 3, 10 / 3, 10 / 3, 0.2, 4.0])
    assert list(table.column("label"))[1:4] == ["label b"] * 3
    assert [heard(table.utterance(row)) for row in (1, 2, 3)] == [
        pytest.approx(times, abs=0.01) for times in ((0.0, 3.33), (3.33, 6.66), (6.67, 9.99))
    ]
    assert heard(pickle.loads(pickle.dumps(table)).utterance(2))[0] == pytest.approx(3.33, abs=0.01)
    (change,) = splits.changes
    assert (change.count, change.made, change.before, change.examples) == (1, 3, 10.0, ("b",))
    assert "train: 1 utterance (10.0 s) cut into 3 pieces of at most 4 s" in "\n".join(splits.report())
    assert splits.drops == []


def test_the_model_says_what_is_too_long_where_the_recipe_does_not(folder):
    table = loaded(folder, "plain", limits=LIMITS, too_long="chunk").train
    assert [name for name in table.ids if name.startswith("b")] == ["b@0.00-5.00", "b@5.00-10.00"]


def test_long_clips_are_cut_to_their_middle(folder):
    splits = loaded(folder, "plain", max_duration=4.0, too_long="crop")
    assert list(splits.train.ids) == ["a", "b", "c", "d"]
    utterance = splits.train.utterance(1)
    assert (utterance.offset, utterance.duration) == (3.0, 4.0)
    assert heard(utterance) == pytest.approx((3.0, 7.0), abs=0.01)
    assert 'too_long = "crop"' in str(splits.changes[0])


def test_short_clips_get_silence(folder):
    splits = loaded(folder, "plain", min_duration=1.5, too_short="pad")
    assert splits.train.durations == pytest.approx([1.5, 10.0, 1.5, 4.0])
    audio = read_utterance(pickle.loads(pickle.dumps(splits.train.utterance(0))), RATE)
    assert len(audio) == 1500
    assert (audio[:1000] > 0).all()
    assert (audio[1000:] == 0).all()
    assert splits.changes[0].count == 2


def test_a_text_is_cut_at_its_segments_only(folder):
    splits = loaded(folder, "spoken", max_duration=4.0, too_long="chunk")
    assert "b" not in list(splits.train.ids)  # nobody knows what is said where
    assert splits.drops[0].key == "filter.max_duration"
    splits = loaded(folder, "segments", max_duration=4.5, too_long="chunk")
    pieces = [splits.train.utterance(row) for row in range(1, 3)]
    assert [one.text for one in pieces] == ["one. two.", "three."]
    first = pieces[0]
    assert (first.offset, first.duration) == pytest.approx((0.0, 4.1), abs=0.11)
    assert [(one.text, one.start, one.end) for one in first.segments] == [("One.", 0.0, 2.0), ("Two.", 2.5, 3.9)]
    assert "1 segment of more than 4.5 s left out" in str(splits.changes[0])
    assert list(splits.train.originals)[1] == "One. Two."


def test_pieces_are_joined_up_to_the_limit_and_not_across_what_is_lost():
    segments = [(0.0, 1.0, "a"), (1.2, 2.0, "b"), (2.5, 9.0, "lost"), (9.5, 10.0, "c"), (10.0, 11.0, "d")]
    pieces, lost = spoken_pieces(segments, 12.0, 3.0)
    assert [text for _, _, text in pieces] == ["a b", "c d"]
    assert lost == 1
    assert all(end - start <= 3.0 for start, end, _ in pieces)
    assert pieces[0][0] == 0.0
    assert pieces[0][1] == pytest.approx(2.2)  # a little of the pause, and nothing of the next segment


def test_splits_that_are_not_cut_keep_whole_clips(folder):
    splits = loaded(folder, "plain", cut=(), max_duration=4.0, too_long="chunk", limits=None)
    assert list(splits.train.ids) == ["a", "b", "c", "d"]
    assert "b" not in list(loaded(folder, "plain", cut=(), max_duration=4.0, too_long="chunk", limits=LIMITS).train.ids)


def test_pieces_of_one_recording_stay_in_one_split(folder):
    shares = Holdout(validation=0.5)
    splits = loaded(folder, "plain", max_duration=1.0, too_long="chunk", holdout=shares)
    sides = [{name.partition("@")[0] for name in splits.split(split).ids} for split in ("train", "validation")]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(LENGTHS)


def test_nothing_to_do_leaves_the_table_as_it_is(folder):
    assert loaded(folder, "plain", max_duration=60.0, too_long="chunk").changes == []
    assert [drop.count for drop in loaded(folder, "plain", max_duration=4.0).drops] == [1]


RECIPE = """
    [[data]]
    type = "manifest"
    path = "data/manifest.csv"
    [filter]
    too_long = "{policy}"
    max_duration = 1.0
    [model]
    type = "ctc"
    checkpoint = "base"
    [train]
    max_steps = 1
    batch_duration = 8.0
    use_cpu = true
"""


def test_a_transcribed_clip_is_not_cropped(vox_project):
    project = vox_project({"train.toml": RECIPE.format(policy="crop")})
    project.speech("data", n=4)
    tiny_ctc(project.path / "base")
    shown = project.run("recipe", "check", "train.toml").assert_code(2).err
    assert "would cut what is said and leave its text whole" in shown
    assert "train.toml:5" in shown
    project.write({"train.toml": RECIPE.format(policy="trim")})
    assert 'filter.too_long is "trim"' in project.run("recipe", "check", "train.toml").assert_code(2).err
