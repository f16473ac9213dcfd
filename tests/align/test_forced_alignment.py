"""`vox align`: a text that is known, found in its recording."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from voxcli.align.file import Alignment, Token, read
from voxcli.decoders.alignment import Span, aligned
from voxcli.errors import DataError
from voxcli.recipe.schema import TextRules
from voxcli.sample import ALIGNMENT, SPEECH
from voxcli.testing import Project
from voxcli.testing_models import tiny_whisper
from voxcli.text.normalize import normalize

ONE = Alignment("a", "hi", (Token("h", 0.1, 0.2), Token("i", 0.2, 0.3)), -0.5)


def test_a_line_says_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(ONE.line() + "\n\n", encoding="utf-8")
    assert read(path) == {"a": ONE}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "holds no alignments"),
        ("{", "line 1 is no alignment"),
        ('{"id": "a", "text": "hi", "score": 0}', "line 1 is no alignment"),
        ('{"id": "a", "text": "ho", "score": 0, "tokens": [["h", 0, 1], ["i", 1, 2]]}', "do not say the text 'ho'"),
        ('{"id": "a", "text": "", "score": 0, "tokens": []}', "do not say the text ''"),
        ('{"id": "a", "text": "hi", "score": 0, "tokens": [["h", 1, 2], ["i", 0, 1]]}', "run backwards"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        read(path)


def test_the_best_path_of_all() -> None:
    """Against every path of a small trellis, one by one."""
    import itertools

    rng = np.random.default_rng(0)
    frames, tokens = 7, [1, 2, 2]
    certain = np.log(rng.dirichlet(np.ones(3), size=frames)).astype(np.float32)

    def says(path: tuple[int, ...]) -> list[int]:
        return [one for one, before in zip(path, (0, *path), strict=False) if one not in (0, before)]

    best = max(
        (path for path in itertools.product(range(3), repeat=frames) if says(path) == tokens),
        key=lambda path: sum(certain[t, token] for t, token in enumerate(path)),
    )
    found = aligned(certain, 0, [Span(token, 0, frames - 1) for token in tokens])
    path = [0] * frames
    for one in found:
        path[one.start : one.end] = [one.token] * (one.end - one.start)
    assert tuple(path) == best


@pytest.fixture
def project(vox_project: Callable[..., Project]) -> Project:
    return vox_project({})


def test_a_split_is_aligned(project: Project) -> None:
    """The shipped model and the shipped speech: real letters in real recordings, though a language apart."""
    ask = ("align", "sample-model", "--data", "quickstart", "--split", "validation", "--out", "a.jsonl")
    result = project.run(*ask).assert_ok()
    assert result.out.splitlines()[0] == "a.jsonl: 23 of 23 utterances aligned"
    found = read(project.path / "a.jsonl")
    rows = [line.split(",") for line in (SPEECH / "manifest.csv").read_text("utf-8").splitlines()]
    durations = {row[0]: float(row[1]) for row in rows if row[-1] == "validation"}
    assert set(found) == set(durations)
    for name, one in found.items():
        assert one.tokens[-1].end <= durations[name] + 0.1
        assert one.score < 0
    said = project.run(*ask, "--overwrite", "--json").assert_ok()
    assert json.loads(said.out)["aligned"] == 23
    again = project.run(*ask)
    assert again.code == 2
    assert "a.jsonl exists" in again.err


def test_a_model_that_has_no_frames_of_letters(project: Project) -> None:
    tiny_whisper(project.path / "whisper")
    result = project.run("align", "whisper", "--data", "quickstart", "--split", "validation")
    assert result.code == 2
    assert "only a CTC model" in result.err
    assert not (project.path / "alignment.jsonl").exists()


def test_what_cannot_be_aligned_is_named(project: Project) -> None:
    project.speech("data", splits={"test": 2}, texts=["hello there", "über"])
    result = project.run("align", "sample-model", "--data", "data", "--split", "test", "--out", "a.jsonl")
    assert result.code == 1
    assert "left out audio/test-001.wav: the model cannot write its text" in result.err
    assert len(read(project.path / "a.jsonl")) == 1


def test_nothing_is_written_where_nothing_can_be_aligned(project: Project) -> None:
    project.speech("data", splits={"test": 2}, texts=["über"])
    result = project.run("align", "sample-model", "--data", "data", "--split", "test")
    assert result.code == 1
    assert "none of the 2 utterances could be aligned, the first because: the model cannot write its text" in result.err
    assert list(project.path.glob("*.jsonl*")) == []


def test_the_shipped_alignment_is_of_the_shipped_prompts() -> None:
    """Of the training split alone, with the texts that the quickstart's [text] rules make."""
    import csv

    rules = TextRules(lowercase=True, remove_punctuation=True)
    with (SPEECH / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    found = read(ALIGNMENT)
    assert {name: one.text for name, one in found.items()} == {
        row["path"]: normalize(row["text"], rules) for row in rows
    }
    assert all(one.tokens[-1].end <= float(row["duration"]) + 0.05 for row in rows for one in [found[row["path"]]])
