"""From data sets to splits: what stays, what goes and what is said about it."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile

from voxcli.api import Limits, Utterance
from voxcli.data import holdout, kept
from voxcli.data.corpus import load_splits
from voxcli.data.filters import refused
from voxcli.errors import DataError
from voxcli.recipe.schema import Filter, Holdout, TextRules


@dataclass(frozen=True)
class Given:
    """A data set of utterances that are given, split by split."""

    train: tuple[Utterance, ...] = ()
    validation: tuple[Utterance, ...] = ()
    test: tuple[Utterance, ...] = ()

    def utterances(self, split):
        yield from getattr(self, split)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.zeros(80 * 16000, dtype=np.float32), 16000)
    return path


@pytest.fixture
def say(sound):
    """An utterance of a text, 2 s long unless told otherwise."""

    def made(text, id=None, duration=2.0, **fields):
        return Utterance(id=id or f"u-{text}", audio=sound, duration=duration, text=text, **fields)

    return made


LIMITS = Limits(
    sampling_rate=16000, min_duration=0.1, max_duration=30.0, stride=320, max_label_length=None, n_parameters=1
)


def test_splits_texts_and_corpus(say):
    data = Given(
        train=(say("  Bir  İKİ", speaker="s"), say("Ilık")),
        validation=(say("üç"),),
        test=(say("Bir!"),),
    )
    splits = load_splits([data], Filter(), TextRules(language="tr", lowercase=True))
    assert list(splits.train.texts) == ["bir iki", "ılık"]
    assert splits.corpus.characters == " biklrı"
    assert splits.corpus.n_utterances == 2
    assert splits.corpus.duration == pytest.approx(4.0)
    assert splits.unknown_characters == {"validation": {"ç": 1, "ü": 1}, "test": {"!": 1}}
    first = splits.train.utterance(0)
    assert (first.id, first.text, first.duration, first.speaker) == ("u-  Bir  İKİ", "bir iki", 2.0, "s")
    assert splits.train.durations.dtype == np.float32
    assert splits.drops == []


def test_each_drop_names_its_key_and_limit(say, tmp_path):
    exclude = tmp_path / "exclude.txt"
    exclude.write_text("\ufeffbad-1\r\n\r\nu-named\n", encoding="utf-8")
    data = Given(
        train=(
            say("good"),
            say("named"),
            say("", id="empty"),
            say(None, id="none"),
            say("no", id="two-letters", language="tr"),
            say("other language", language="de"),
            say("short", duration=0.2),
            say("long", duration=12.0),
            say("way too long a text for it", duration=0.6),
            say("naïve café"),
            say("x" * 40, duration=10.0),
        )
    )
    rules = Filter(
        min_duration=0.5,
        max_duration=10.0,
        min_characters=3,
        max_characters=30,
        max_characters_per_second=20.0,
        allowed_characters="abcdefghijklmnopqrstuvwxyz",
        languages=("tr",),
        exclude=str(exclude),
    )
    splits = load_splits([data], rules)
    assert list(splits.train.ids) == ["u-good"]
    assert {drop.reason: (drop.count, drop.examples) for drop in splits.drops} == {
        f"named in [filter] exclude = {str(exclude)!r}": (1, ("u-named",)),
        "of another language than [filter] languages = ['tr']": (1, ("u-other language",)),
        "no transcript": (1, ("none",)),
        "text shorter than [filter] min_characters = 3": (2, ("empty", "two-letters")),
        "text longer than [filter] max_characters = 30": (1, (f"u-{'x' * 40}",)),
        "more text than [filter] max_characters_per_second = 20": (2, ("u-short", "u-way too long a text for it")),
        "a character outside [filter] allowed_characters = 'abcdefghijklmnopqrstuvwxyz': é (1) ï (1)": (
            1,
            ("u-naïve café",),
        ),
        "longer than [filter] max_duration = 10 s": (1, ("u-long",)),
    }
    assert sum(drop.count for drop in splits.drops) == 10
    [long] = [drop for drop in splits.drops if drop.key == "filter.max_duration"]
    assert str(long) == "train: 1 utterance (12.0 s) left out, longer than [filter] max_duration = 10 s: u-long"
    [finding] = splits.findings
    assert finding.message == f"1 of 2 ids in [filter] exclude = {str(exclude)!r} stand in no split"
    assert "train: 1 utterances, 2 s" in splits.report()


def test_the_models_limits_hold_beside_the_filter(say):
    data = Given(train=(say("a"), say("b", duration=31.0), say("c", duration=0.05)))
    splits = load_splits([data], Filter(max_duration=60.0), limits=LIMITS)
    assert list(splits.train.texts) == ["a"]
    assert sorted(drop.reason for drop in splits.drops) == [
        "longer than the 30 s that the model takes in one piece",
        "shorter than the 0.1 s that the model needs",
    ]
    assert len(load_splits([data]).train) == 3


def test_a_clip_of_exactly_the_limit_stays(say):
    data = Given(train=(say("a", duration=12.3), say("b", duration=0.7)))
    assert len(load_splits([data], Filter(min_duration=0.7, max_duration=12.3)).train) == 2


def test_audio_that_cannot_be_used_is_named(say, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no sound")
    data = Given(
        train=(
            say("good"),
            Utterance("gone", tmp_path / "gone.wav", text="gone"),
            Utterance("broken", broken, text="broken"),
        )
    )
    splits = load_splits([data])
    assert list(splits.train.ids) == ["u-good"]
    [drop] = splits.drops
    assert (drop.count, drop.examples) == (2, ("gone", "broken"))
    assert drop.reason == f"the audio cannot be used: {tmp_path / 'gone.wav'} does not exist (the first of 2)"
    assert [(split, name) for split, name, _ in splits.problems] == [("train", "gone"), ("train", "broken")]
    assert "gone.wav" in splits.problems[0][2]


def test_nothing_left_says_why(say):
    with pytest.raises(DataError, match="nothing is left") as caught:
        load_splits([Given(train=(say("a", duration=50.0), say("b", duration=40.0)))], Filter(max_duration=30.0))
    assert caught.value.help == "2 left out, longer than [filter] max_duration = 30 s (for example u-a)"
    with pytest.raises(DataError, match="no data set has utterances"):
        load_splits([Given(test=(say("a"),))])
    assert len(load_splits([Given(test=(say("a"),))], splits=("test",)).test) == 1


def test_missing_exclude_file(say, tmp_path):
    with pytest.raises(DataError, match="exclude"):
        load_splits([Given(train=(say("a"),))], Filter(exclude=str(tmp_path / "no.txt")))


def test_several_data_sets_keep_their_order_and_their_ids_apart(say):
    one = Given(train=(say("a", id="x"), say("b", id="y")))
    two = Given(train=(say("c", id="x"), say("d", id="z")))
    three = Given(train=(say("e", id="x"),))
    table = load_splits([one, two, three]).train
    assert list(table.ids) == ["x", "y", "x@2", "z", "x@3"]
    assert list(table.texts) == ["a", "b", "c", "d", "e"]
    assert [table.utterance(row).text for row in range(5)] == ["a", "b", "c", "d", "e"]
    assert table.utterance(2).id == "x@2"


def test_labels_without_text(say):
    data = Given(train=(say(None, id="1", label="cat"), say(None, id="2", label="bird")))
    splits = load_splits([data], transcripts=False)
    assert splits.corpus.labels == ("bird", "cat")
    assert splits.corpus.characters == ""
    assert list(splits.train.texts) == [None, None]


def phrases(say, count, repeats=3):
    return tuple(
        say(("Phrase {}.", "phrase {}", "PHRASE {}!")[turn % 3].format(n), id=f"{n}-{turn}")
        for n in range(count)
        for turn in range(repeats)
    )


def test_holdout_never_parts_equal_texts(say):
    data = Given(train=phrases(say, 200))
    splits = load_splits([data], holdout=Holdout(validation=0.2, test=0.1))
    said = [{text.lower().strip(".!") for text in splits.split(name).texts} for name in ("train", "validation", "test")]
    assert not said[0] & said[1]
    assert not said[0] & said[2]
    assert not said[1] & said[2]
    assert set().union(*said) == {f"phrase {n}" for n in range(200)}
    assert 0.1 < len(splits.validation) / 600 < 0.3
    assert 0.04 < len(splits.test) / 600 < 0.17
    assert splits.findings == []


def test_a_holdout_does_not_depend_on_the_splits_asked_for_or_on_new_data(say):
    shares = Holdout(validation=0.2, test=0.1)
    data = Given(train=phrases(say, 100))
    whole = load_splits([data], holdout=shares)
    only_test = load_splits([data], holdout=shares, splits=("test",))
    assert list(only_test.test.ids) == list(whole.test.ids)
    assert list(load_splits([data], holdout=shares, splits=("train",)).train.ids) == list(whole.train.ids)
    more = load_splits([data, Given(train=tuple(say(f"other {n}") for n in range(50)))], holdout=shares)
    assert set(whole.test.ids) <= set(more.test.ids)
    assert set(whole.train.ids) <= set(more.train.ids)


def test_a_split_of_the_datas_own_wins_over_the_holdout(say):
    data = Given(train=phrases(say, 30), validation=(say("own"),))
    splits = load_splits([data], holdout=Holdout(validation=0.5))
    assert list(splits.validation.ids) == ["u-own"]
    assert len(splits.train) == 90


def test_few_texts_make_a_poor_holdout(say):
    splits = load_splits([Given(train=phrases(say, 3, repeats=30))], holdout=Holdout(validation=0.01))
    assert len(splits.validation) == 30
    [finding] = splits.findings
    assert finding.message == "[holdout] validation took 30 of 90 utterances with 1 different text"
    with_one = load_splits([Given(train=phrases(say, 1))], holdout=Holdout(validation=0.01))
    assert len(with_one.train) == 3
    assert len(with_one.validation) == 0


def test_speakers_apart_cuts_a_holdout_by_speaker(say):
    every = tuple(say(f"phrase {n % 9}", id=f"u{n}", speaker=f"s{n % 40}") for n in range(400))
    nobody = tuple(say(f"nobody says {n}") for n in range(20))
    splits = load_splits([Given(train=every + nobody)], holdout=Holdout(validation=0.2, speakers_apart=True))
    kept, chosen = ({one for one in splits.split(n).column("speaker") if one} for n in ("train", "validation"))
    assert not kept & chosen
    assert kept | chosen == {f"s{n}" for n in range(40)}
    assert 0.1 < len(splits.validation) / 420 < 0.35
    assert 0 < sum(one is None for one in splits.validation.column("speaker")) < 20


def test_texts_on_both_sides_are_reported(say):
    data = Given(train=(say("one"), say("two")), test=(say("One!"), say("three")))
    [finding] = load_splits([data]).findings
    assert finding.level == "warning"
    assert finding.message == "1 of 2 test utterances say what also stands in train"
    assert finding.utterances == ("u-One!",)
    assert finding.fix.leave_out == ("u-one\ttrain",)


def test_phrases_that_come_back_within_training_are_a_note_in_test(say):
    said = [f"sentence {n}" for n in range(80)] + ["yes", "thank you", "good bye"] * 4
    train = tuple(say(text, id=f"t{n}") for n, text in enumerate(said))
    test = tuple(say(text, id=f"e{n}") for n, text in enumerate(["yes", "good bye", *(f"new {n}" for n in range(18))]))
    [finding] = load_splits([Given(train=train, test=test)]).findings
    assert finding.level == "note"
    assert finding.utterances == ("e0", "e1")
    leaked = tuple(say(f"sentence {n}", id=f"e{n}") for n in range(10))
    [finding] = load_splits([Given(train=train, test=leaked)]).findings
    assert finding.level == "warning"
    assert len(finding.fix.leave_out) == 10


def test_a_list_of_words_is_meant_to_be_on_both_sides(say):
    train = tuple(say(("zero", "one", "two")[n % 3], id=f"t{n}") for n in range(60))
    [finding] = load_splits([Given(train=train, test=(say("one"), say("two")))]).findings
    assert finding.level == "note"
    assert finding.message.endswith("as is usual where there are 3 different texts")


def test_refused_by_the_task(say):
    table = load_splits(
        [Given(train=(say("ok"), say("too many words"), say("fine"), say("far too many"), say("?")))]
    ).train

    def problem(utterance):
        if utterance.text == "?":
            return "no letters"
        return f"{len(utterance.text)} letters, 5 fit" if len(utterance.text) > 5 else None

    kept, drops = refused(table, "train", problem)
    assert list(kept.texts) == ["ok", "fine"]
    assert [(drop.reason, drop.count, drop.examples) for drop in drops] == [
        ("14 letters, 5 fit (the first of 2)", 2, ("u-too many words", "u-far too many")),
        ("no letters", 1, ("u-?",)),
    ]
    assert drops[0].duration == 4.0


def test_the_fingerprint_is_of_every_id_text_and_duration_in_their_order(say):
    texts = ["yes", None, "", "año 年 𝄞", "no and no"]
    given = Given(train=tuple(say(text, id=f"ü{number}") for number, text in enumerate(texts)))
    table = load_splits([given], transcripts=False).train
    table = table.select([4, 1, 3, 2, 0])
    expected = hashlib.blake2b(table.durations.tobytes(), digest_size=16)
    for column in (table.ids, table.texts):
        for value in column:
            expected.update(b"\0" if value is None else value.encode() + b"\1")
    assert None in list(table.texts)
    assert table.fingerprint == expected.hexdigest()


def test_texts_that_text_rules_leave_alone_are_not_copied(say):
    data = Given(train=phrases(say, 4))
    table, other = load_splits([data]).train, load_splits([data], text=TextRules(remove="h")).train
    mapped = [chunk.buffers()[2].address for chunk in table.originals.array.chunks]
    assert [chunk.buffers()[2].address for chunk in table.texts.array.chunks] == mapped
    assert [chunk.buffers()[2].address for chunk in other.texts.array.chunks] != mapped


def test_the_texts_of_a_large_table_are_compared_once(say, monkeypatch):
    data = Given(train=phrases(say, 4), validation=phrases(say, 2))
    expected = load_splits([data]).findings
    monkeypatch.setattr(kept, "LARGE", 2)
    assert load_splits([data]).findings == expected != []
    monkeypatch.setattr(holdout, "keys", None)  # nothing is looked at again
    assert load_splits([data]).findings == expected
    assert load_splits([Given(train=phrases(say, 4), validation=phrases(say, 2))]).findings == expected
    with pytest.raises(TypeError):
        load_splits([Given(train=phrases(say, 5), validation=phrases(say, 2))])


def test_a_table_is_small_picklable_and_has_a_fingerprint(say):
    data = Given(train=phrases(say, 20))
    table = load_splits([data]).train
    again = load_splits([data]).train
    other = load_splits([data], text=TextRules(lowercase=True)).train
    assert table.fingerprint == again.fingerprint != other.fingerprint
    sent = pickle.loads(pickle.dumps(table))
    assert [sent.utterance(row) for row in range(60)] == list(table)
    assert list(sent.column("speaker")) == [None] * 60
    assert len(pickle.dumps(table)) < 60 * 100  # bytes; the sources go as their paths
    part = table.select([5, 3])
    assert [part.utterance(0), part.utterance(1)] == [table.utterance(5), table.utterance(3)]
    assert list(part.durations) == [2.0, 2.0]
    assert list(table.ids[1:3]) == list(table.ids)[1:3]
    assert table.ids[-1] == "19-2"
