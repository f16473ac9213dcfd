"""Faults of texts, labels and splits, planted in manifests and recipes over real (synthetic) audio."""

from __future__ import annotations

import atexit
import csv
import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from planted import Fault, Healthy, Plant, assert_found, assert_healthy, recipe

from voxcli.testing import Project, write_speech

Row = dict[str, str]

WORDS = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight"),
    *("nine", "ten", "river", "stone", "window", "garden", "letter", "forest"),
)
TEXTS = [f"{first} {second} {third}" for first in WORDS[:6] for second in WORDS[6:12] for third in WORDS[12:]][:120]
"""120 different texts."""

ONLY = ["--only", "D"]


def rows_of(project: Project, change: Callable[[list[Row]], list[Row] | None] | None = None) -> list[Row]:
    """The rows of data/manifest.csv, changed where `change` says how."""
    path = project.path / "data" / "manifest.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if change is not None:
        rows = change(rows) or rows
        write_rows(path, rows)
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def speech(project: Project, texts: tuple[str, ...], splits: dict[str, int], language: str | None = "en") -> None:
    """A synthetic corpus in data, made once a process; its audio files are links, to be removed before they change."""
    made = _speech(texts, tuple(splits.items()), language)
    shutil.copytree(made, project.path / "data", copy_function=os.link)
    (project.path / "data" / "manifest.csv").unlink()
    shutil.copy(made / "manifest.csv", project.path / "data")


@functools.cache
def _speech(texts: tuple[str, ...], splits: tuple[tuple[str, int], ...], language: str | None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="vox-planted-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_speech(folder, texts=texts, splits=dict(splits), language=language)


def planted(
    change: Callable[[list[Row]], list[Row] | None] | None = None,
    *,
    kind: str = "ctc",
    texts: Sequence[str] = TEXTS,
    language: str | None = "en",
    **sections: object,
) -> Plant:
    """A recipe over 40 + 6 + 6 utterances that all say something else, with its manifest changed."""

    def plant(project: Project) -> Sequence[str]:
        speech(project, tuple(texts), {"train": 40, "validation": 6, "test": 6}, language)
        arguments = recipe(project, kind, **sections)
        rows_of(project, change)
        return [*arguments, *ONLY]

    return plant


def says(text: str, *, row: int = 3) -> Callable[[list[Row]], None]:
    def change(rows: list[Row]) -> None:
        rows[row]["text"] = text

    return change


def each(**columns: object) -> Callable[[list[Row]], None]:
    """Columns of every row: a value, or a function of the row."""

    def change(rows: list[Row]) -> None:
        for row in rows:
            row.update({name: value(row) if callable(value) else str(value) for name, value in columns.items()})

    return change


def first(number: int, **columns: object) -> Callable[[list[Row]], None]:
    return lambda rows: each(**columns)(rows[:number])


THIRD = "audio/train-003.wav"


# ------------------------------------------------------------------------------------------------------ what is planted


def repeated_rows(rows: list[Row]) -> list[Row]:
    return [*rows, dict(rows[3])]


def two_texts(rows: list[Row]) -> list[Row]:
    return [*rows, {**rows[3], "text": "garden of stone"}]


def repeated_ids(rows: list[Row]) -> list[Row]:
    return [{"id": "clip-5" if number == 6 else f"clip-{number}", **row} for number, row in enumerate(rows)]


def known_texts(rows: list[Row]) -> None:
    for one, other in zip(rows[40:44], rows[:4], strict=True):
        one["text"] = other["text"]


def known_audio(rows: list[Row]) -> None:
    rows[46] = {**rows[5], "split": "test"}


def one_long(project: Project) -> Sequence[str]:
    """One clip of 80 s among clips of 1 s."""
    import numpy as np
    import soundfile

    arguments = planted()(project)
    audio, rate = soundfile.read(project.path / "data" / THIRD, dtype="float32")
    (project.path / "data" / THIRD).unlink()
    soundfile.write(project.path / "data" / THIRD, np.tile(audio, 1 + 80 * rate // len(audio)), rate)
    rows_of(project, lambda rows: rows[3].update(duration="", text=" ".join(TEXTS[60:110])))
    return arguments


def cut(project: Project) -> Sequence[str]:
    """A recording of 5 s, cut at the 3 s that the model takes; its text stays."""
    import soundfile

    texts = [*TEXTS[:3], " ".join(TEXTS[100:105]), *TEXTS[3:52]]
    arguments = planted(lambda rows: rows[3].update(duration=""), kind="whisper", texts=texts)(project)
    path = project.path / "data" / THIRD
    audio, rate = soundfile.read(path, dtype="float32")
    path.unlink()
    soundfile.write(path, audio[: 3 * rate], rate)
    return arguments


PLACES = ("casa", "puerta", "mesa", "calle", "ciudad", "plaza", "noche", "tarde", "luna", "playa")


def spanish(project: Project) -> Sequence[str]:
    texts = [f"la {place} de {other} y el {word}" for place in PLACES for other in PLACES[:3] for word in PLACES[3:5]]
    return planted(kind="whisper", texts=texts)(project)


def uneven(project: Project) -> Sequence[str]:
    """Clips of 0.5 s and of 4 s in batches of 12 clips."""
    texts = [" ".join(TEXTS[number : number + 3]) if number % 5 == 0 else TEXTS[number][:5] for number in range(52)]
    made = planted(texts=texts, train={"batch_duration": None, "per_device_train_batch_size": 12})
    return made(project)


def labelled(change: Callable[[list[Row]], list[Row] | None] | None = None) -> Plant:
    """A manifest of labels, without a recipe: 30 of each of three classes for training."""

    def plant(project: Project) -> Sequence[str]:
        speech(project, tuple(TEXTS), {"train": 90, "validation": 9, "test": 9})
        rows = rows_of(project)
        for number, row in enumerate(rows):
            del row["text"]
            row["label"] = ("dog", "cat", "bird")[number % 3]
        write_rows(project.path / "data" / "manifest.csv", (change(rows) if change else None) or rows)
        return ["data/manifest.csv", *ONLY]

    return plant


def manifest(change: Callable[[list[Row]], list[Row] | None] | None = None) -> Plant:
    """The same data as `planted`, without a recipe."""

    def plant(project: Project) -> Sequence[str]:
        planted(change)(project)
        return ["data/manifest.csv", *ONLY]

    return plant


def exchanged(rows: list[Row]) -> None:
    """The texts of the shortest and the longest of the training split."""
    rows[7]["text"], rows[11]["text"] = rows[11]["text"], rows[7]["text"]


SHORT_AND_LONG = [*TEXTS[:7], "one two six", *TEXTS[7:10], " ".join(TEXTS[20:28]), *TEXTS[30:110]]

TURKISH = [text.replace("i", "ı", 1).replace("e", "ğ", 1) for text in TEXTS]
ALL_TRAIN = tuple(f"audio/train-{number:03}.wav" for number in range(40))

FAULTS = [
    Fault(
        "label-over-the-decoder",
        planted(says("river stone window garden letter forest river stone window garden"), kind="whisper"),
        "D001",
        (THIRD,),
        fixable=True,
    ),
    Fault(
        "ctc-label-longer-than-its-recording",
        planted(says("oo" * 30)),
        "D002",
        (THIRD,),
        fixable=True,
    ),
    Fault(
        "ctc-label-longer-once-played-faster",
        planted(says("o" * 18), augment=[{"type": "speed", "factors": [1.0, 2.0]}]),
        "D003",
        (THIRD,),
        fixable=True,
    ),
    Fault(
        "clip-of-ten-milliseconds",
        planted(lambda rows: rows[3].update(duration="0.01")),
        "D004",
        (THIRD,),
        fixable=True,
    ),
    Fault(
        "capitals-for-a-vocabulary-without", planted(each(text=lambda row: row["text"].upper())), "D005", fixable=True
    ),
    Fault(
        "punctuation-outside-the-vocabulary", planted(each(text=lambda row: row["text"] + "!")), "D005", fixable=True
    ),
    Fault("letter-outside-the-vocabulary", planted(says("ñandu stone window")), "D005", (THIRD,), fixable=True),
    Fault(
        "validation-in-capitals",
        planted(lambda rows: each(text=lambda row: row["text"].upper())(rows[40:46]), model={"vocabulary": "data"}),
        "D007",
        tuple(f"audio/validation-{number:03}.wav" for number in range(6)),
        fixable=True,
    ),
    Fault("transcript-missing", planted(says("")), "D008", (THIRD,), fixable=True),
    Fault("transcript-of-a-removed-sign", planted(says("%"), text={"remove": "%"}), "D009", (THIRD,), fixable=True),
    Fault(
        "digits-removed",
        planted(says("route 90 garden"), text={"remove": "0-9"}, model={"vocabulary": "data"}),
        "D010",
        (THIRD,),
        fixable=True,
    ),
    Fault(
        "accents-stripped",
        planted(
            first(10, text=lambda row: row["text"].replace("e", "é")),
            text={"strip_marks": True},
            model={"vocabulary": "data"},
        ),
        "D010",
        ALL_TRAIN[:10],
        fixable=True,
    ),
    Fault(
        "vowels-of-devanagari-stripped",
        planted(
            says("यह किताब मेरी है"), text={"strip_marks": True}, language="hi", kind="whisper", model={"language": "hi"}
        ),
        "D010",
    ),
    Fault(
        "turkish-lowered-by-general-rules",
        planted(
            first(3, text="Irmak İstanbul"),
            kind="whisper",
            texts=TURKISH,
            language="tr",
            model={"language": "tr"},
            text={"lowercase": True},
        ),
        "D012",
        ALL_TRAIN[:3],
        fixable=True,
    ),
    Fault(
        "turkish-lowered-before",
        planted(says("i̇stanbul ırmak"), kind="whisper", texts=TURKISH, language="tr", model={"language": "tr"}),
        "D012",
        (THIRD,),
        fixable=True,
    ),
    Fault("text-nobody-can-say-in-the-time", manifest(says(" ".join(TEXTS[:9]))), "D013", (THIRD,), fixable=True),
    Fault(
        "texts-exchanged",
        planted(exchanged, texts=SHORT_AND_LONG, train={"batch_duration": 30.0}),
        "D013",
        ("audio/train-007.wav", "audio/train-011.wav"),
        fixable=True,
    ),
    Fault("cyrillic-among-english", manifest(says("привет как дела")), "D014", (THIRD,), fixable=True),
    Fault(
        "another-script-than-the-model-s-language",
        planted(kind="whisper", language=None, model={"language": "ru"}),
        "D014",
    ),
    Fault(
        "cyrillic-letter-in-a-latin-word", manifest(says("wind\u043ew garden river")), "D015", (THIRD,), fixable=True
    ),
    Fault(
        "language-column-disagrees",
        planted(first(4, language="es"), kind="whisper"),
        "D016",
        ALL_TRAIN[:4],
        fixable=True,
    ),
    Fault(
        "language-of-text-and-model-disagree",
        planted(kind="whisper", text={"language": "tr"}),
        "D016",
        fixable=True,
    ),
    Fault(
        "language-that-nobody-names",
        planted(first(4, language=""), kind="whisper", model={"language": None}),
        "D017",
        ALL_TRAIN[:4],
        fixable=True,
    ),
    Fault("spanish-declared-english", spanish, "D018"),
    Fault("row-twice", planted(repeated_rows), "D020", (f"{THIRD}#2",), fixable=True),
    Fault("audio-with-two-texts", planted(two_texts), "D020", (THIRD, f"{THIRD}#2"), fixable=True),
    Fault("id-twice", planted(repeated_ids), "D021", ("clip-5#2",)),
    Fault(
        "texts-of-training-in-validation",
        planted(known_texts),
        "D030",
        tuple(f"audio/validation-{number:03}.wav" for number in range(4)),
        fixable=True,
    ),
    Fault("audio-of-training-in-test", planted(known_audio), "D031", ("audio/train-005.wav",), fixable=True),
    Fault(
        "speakers-not-apart",
        planted(
            each(speaker=lambda row: row["path"] if row["split"] == "train" else "eve"),
            holdout={"speakers_apart": True},
        ),
        "D032",
    ),
    Fault(
        "class-a-tenth-of-another",
        labelled(lambda rows: rows[:6] + [row for row in rows[6:] if row["label"] != "cat"]),
        "D040",
    ),
    Fault(
        "class-only-in-test",
        labelled(lambda rows: rows[-1].update(label="fish")),
        "D041",
        ("audio/test-008.wav",),
        fixable=True,
    ),
    Fault("class-with-a-handful", labelled(lambda rows: each(label="fish")(rows[:5])), "D042", ALL_TRAIN[:5]),
    Fault("label-spelled-twice", labelled(lambda rows: each(label="Dog ")(rows[:30:3])), "D043", ALL_TRAIN[:30:3]),
    Fault("one-clip-holds-most", one_long, "D050", (THIRD,), fixable=True),
    Fault(
        "four-recordings-hold-most",
        manifest(lambda rows: each(duration="45")(rows[:4])),
        "D050",
        ALL_TRAIN[:4],
        fixable=True,
    ),
    Fault("batches-half-padding", uneven, "D060", fixable=True),
    Fault(
        "validation-all-too-short",
        planted(filter={"min_duration": 0.2}, text=None, change=lambda rows: each(duration="0.1")(rows[40:46])),
        "D070",
    ),
    Fault(
        "most-over-a-key",
        planted(filter={"max_duration": 1.2}),
        "D070",
    ),
    Fault(
        "longer-than-the-window",
        planted(first(12, duration="3.4"), kind="whisper"),
        "D075",
        ALL_TRAIN[:12],
        fixable=True,
    ),
    Fault("cut-at-the-window", cut, "D076", (THIRD,), fixable=True),
    Fault(
        "holdout-of-one-text",
        planted(
            lambda rows: [row for row in rows if row["split"] != "validation"],
            texts=["one two", "three four", "five six", "one three"],
            holdout={"validation": 0.1},
        ),
        "D073",
    ),
    Fault("duration-in-samples", planted(first(1, duration="160000")), "D074", ALL_TRAIN[:1], fixable=True),
    Fault("duration-below-nothing", planted(first(1, duration="-2")), "D074", ALL_TRAIN[:1], fixable=True),
    Fault(
        "clip-too-short-once-played-faster",
        planted(first(1, duration="0.03"), augment=[{"type": "speed", "factors": [1.0, 2.0]}], texts=["a", *TEXTS]),
        "D004",
        ALL_TRAIN[:1],
        fixable=True,
    ),
    Fault("no-column-for-the-audio", planted(lambda rows: [{"sound": row["path"]} for row in rows]), "D100"),
    Fault("nothing-left-to-train-on", planted(filter={"min_duration": 60.0}), "D100"),
]

HEALTHY = [
    Healthy("ctc-of-different-texts", planted()),
    Healthy("whisper-of-different-texts", planted(kind="whisper")),
    Healthy(
        "vocabulary-of-the-data-with-punctuation",
        planted(each(text=lambda row: row["text"].title() + "."), model={"vocabulary": "data"}),
    ),
    Healthy("digits-and-commands", manifest(each(text=lambda row: WORDS[len(row["path"] + row["speaker"]) % 3]))),
    Healthy("classes-of-one-size", labelled()),
    Healthy(
        "turkish-by-turkish-rules",
        planted(
            first(3, text="Irmak İstanbul"),
            kind="whisper",
            texts=TURKISH,
            language="tr",
            model={"language": "tr"},
            text={"lowercase": True, "language": "tr"},
        ),
    ),
    Healthy("faster-but-long-enough", planted(augment=[{"type": "speed", "factors": [0.9, 1.1]}])),
    Healthy(
        "translations-into-english",
        planted(kind="whisper", language="tr", model={"language": "tr", "generation_task": "translate"}),
    ),
    Healthy("speakers-apart", planted(each(speaker=lambda row: row["split"]), holdout={"speakers_apart": True})),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    assert_found(fault, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())
