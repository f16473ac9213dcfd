"""What checks of data only note: said with its utterances, and never as a warning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from planted import Plant, diagnosed
from test_data_faults import ALL_TRAIN, ONLY, TEXTS, each, first, manifest, planted, rows_of, says, write_rows

from voxcli.testing import Project


def many(change: Callable[[int], dict[str, str]]) -> Plant:
    """A manifest of 120 rows over one corpus: each row a stretch of 1 s of a file, with columns of its own."""

    def plant(project: Project) -> Sequence[str]:
        planted()(project)
        row = {**rows_of(project)[0], "duration": "1.0", "split": "train"}
        rows = [
            {"id": str(n), **row, "offset": f"{n / 1000:.3f}", "text": TEXTS[n % 100], **change(n)} for n in range(120)
        ]
        write_rows(project.path / "data" / "manifest.csv", rows)
        return ["data/manifest.csv", *ONLY]

    return plant


def rare(project: Project) -> Sequence[str]:
    """60 letters a text, so that there is enough of them, and one é."""
    long = [" ".join(TEXTS[n : n + 4]) for n in range(52)]
    return planted(says("é " + long[3]), texts=long, model={"vocabulary": "data"})(project)


NOTES = [
    ("digits", planted(says("route 90"), model={"vocabulary": "data"}), "D011", {"audio/train-003.wav"}),
    ("a-rare-letter", rare, "D006", {"audio/train-003.wav"}),
    (
        "a-letter-that-training-lacks",
        planted(lambda rows: rows[40].update(text="ñandu"), model={"vocabulary": "data"}),
        "D007",
        {"audio/validation-000.wav"},
    ),
    (
        "one-text-again-and-again",
        many(lambda n: {"text": "thank you"} if n < 20 else {}),
        "D022",
        {*map(str, range(20))},
    ),
    ("one-speaker-of-five", many(lambda n: {"speaker": str(max(0, n - 115))}), "D051", set()),
    ("short-clips-in-windows", planted(kind="whisper"), "D061", set()),
    ("little-data", planted(), "D072", set()),
    ("no-validation", planted(lambda rows: [row for row in rows if row["split"] != "validation"]), "D073", set()),
    (
        "a-few-accents-stripped",
        planted(first(1, text="café one two"), text={"strip_marks": True}, kind="whisper"),
        "D010",
        {ALL_TRAIN[0]},
    ),
    (
        "apostrophes-torn",
        planted(says("don't"), text={"remove_punctuation": True, "keep": ""}),
        "D010",
        {"audio/train-003.wav"},
    ),
    ("a-word-in-another-script", manifest(says("river стол window")), "D014", {"audio/train-003.wav"}),
    ("commands", manifest(each(text=lambda row: TEXTS[len(row["path"]) % 2])), "D030", None),
]


@pytest.mark.parametrize(("plant", "code", "utterances"), [one[1:] for one in NOTES], ids=[one[0] for one in NOTES])
def test_a_note(plant: Plant, code: str, utterances: set[str] | None, vox_project: Callable[..., Project]) -> None:
    project = vox_project()
    report = diagnosed(project, list(plant(project)))
    found = [one for one in report["findings"] if one["code"] == code]
    assert found, [(one["code"], one["message"]) for one in report["findings"]]
    assert {one["level"] for one in found} == {"note"}, found
    assert all(one["help"] for one in found)
    assert utterances is None or {id for one in found for id in one["utterances"]} == utterances


def test_without_speakers_apart_nobody_asks(vox_project: Callable[..., Project]) -> None:
    project = vox_project()
    report = diagnosed(project, list(planted()(project)))
    assert "D032" in report["checks"]["passed"]
