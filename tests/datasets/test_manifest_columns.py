"""Manifests read as columns: the same utterances, in the same order, with the same warnings as row by row."""

from __future__ import annotations

import codecs
import json
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from voxcli.api import Split, Utterance
from voxcli.data.listing import list_utterances
from voxcli.datasets import columnar, manifest
from voxcli.datasets.manifest import Manifest


class ByRow:
    """A manifest without its columns."""

    def __init__(self, source: Manifest) -> None:
        self.source = source

    def utterances(self, split: Split) -> Iterator[Utterance]:
        return self.source.utterances(split)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "SMALL", 0)


def said(source: Any, folder: Path, caplog: pytest.LogCaptureFixture, split: Split) -> tuple[list[Any], list[str]]:
    caplog.clear()
    listing = list_utterances(source, split, folder / "listed.arrow", digest=False)
    with pa.ipc.open_file(str(folder / "listed.arrow")) as reader:
        rows = reader.read_all().to_pylist()
    assert listing.rows == len(rows)
    return [{**row, "duration": repr(row["duration"])} for row in rows], [r.getMessage() for r in caplog.records]


def compare(source: Manifest, folder: Path, caplog: pytest.LogCaptureFixture, *, columnar: bool | None = True) -> None:
    """Equal either way; `columnar` says whether the columns can be read, None where it does not matter."""
    caplog.set_level(logging.DEBUG, "voxcli")  # whatever a command has set it to
    for split in ("train", "validation", "test"):
        expected, warnings = said(ByRow(source), folder, caplog, split)
        found, told = said(source, folder, caplog, split)
        fell_back = [message for message in told if "is read row by row" in message]
        assert found == expected
        told = [message for message in told if message not in fell_back]
        assert told[-len(warnings) :] == warnings if warnings else not told or fell_back
        if columnar is not None:
            assert bool(fell_back) is not columnar, fell_back
        if not fell_back:
            assert told == warnings


CSV = {
    "plain": "path,text\na.wav,hello\nb.wav,there\n",
    "no last newline": "path,text\na.wav,hello\nb.wav,there",
    "bom": codecs.BOM_UTF8.decode() + "path,text\na.wav,şık\n",
    "crlf": "path,text\r\na.wav,şık\r\nb.wav,\r\n",
    "semicolons": "path;text\na.wav;one, two\n",
    "tabs in csv": "path\ttext\na.wav\tone\n",
    "quotes": 'path,text,duration\n"a.wav","Yes, ""really""",1.5\nb.wav,"",2\n"c,d.wav","x",""\n',
    "newline in quotes": 'path,text\na.wav,"two\nlines"\nb.wav,"two\r\nlines"\nc.wav,"a,b"\n',
    "quotes at the edges": '"path","text"\n"a.wav","""x"""\n"b.wav",""""\n',
    "empty fields": "path,text,speaker,label,language\na.wav,,,,\n,x,,,\n   ,y,s,,\nb.wav, padded , s ,\t,en\n",
    "blank lines": "path,text\n\na.wav,x\n\n\nb.wav,y\n\n",
    "ragged": "path,text\na.wav,x\nb.wav\nc.wav,y,z\n\n1,2,3,4\nd.wav,ok\n5\n",
    "ragged with quotes": 'path,text\n"a.wav",x\n"b.wav"\n""\n"c.wav","y\nz",1\nd.wav,"ok"\n',
    "numbers": "id,path,text,duration,offset\n7,1.wav,42,1_0.5,0\n8,2.wav,1e3,nan,-1\n007,3.wav,,inf,2.50\n"
    ",4.wav,,-3,1e-7\n,5.wav,,abc,0.1\n,6.wav,, 2 ,3\n,7.wav,,0,0\n",
    "milliseconds": "path,duration[ms],text\na.wav,1500,x\nb.wav,,y\nc.wav,333,y\n",
    "paths": "path,text\n./a.wav,x\n/abs/b.wav,x\n../c.wav,x\nd//e.wav,x\n.,x\nf/,x\ng/./h.wav,x\n//i.wav,x\n/,x\n"
    ".hidden,x\n..,x\na/.,x\n",
    "spaces beyond ascii": "path,text\n\u00a0a.wav,\u00a0x\u00a0\nb.wav\u2003,x\n\u3000,x\nс.wav,да\nd.w\u00e9,x\n"
    "\x1fe.wav\x1c,x\nf\u0085,x\n\u1680g,x\n",
    "duplicated columns": "path,text,text,path\na.wav,one,two,b.wav\n",
    "splits": "path,text,Split\na.wav,x,train\nb.wav,y,DEV\nc.wav,z, Training \nd.wav,v,other\n"
    ",w,train\n,w,test\ne.wav,u,\n",
    "ids": "utt_id,path,text\nx,a.wav,1\nx,a.wav,2\n x ,b.wav,3\n,b.wav,4\nx#2,c.wav,5\n",
    "other case": "Path , TEXT\na.wav,x\n",
    "label only": "path,label\na.wav,yes\nb.wav, no \n",
}
REFUSED = {
    "a quote inside": 'path,text\na.wav,5" disk\nb.wav,"fine"\n',
    "single column": "path\na.wav\n\nb.wav\n",
    "lone carriage return": "path,text\na.wav,x\rb.wav,y\n",
    "carriage return at the end": "path,text\na.wav,x\r",
    "null byte": "path,text\na\0.wav,x\n",
}


@pytest.mark.parametrize("block", [1 << 24, 64])
@pytest.mark.parametrize("name", CSV)
def test_csv(tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch, name: str, block: int) -> None:
    monkeypatch.setattr(columnar, "BLOCK", block)
    path = tmp_path / "m.csv"
    path.write_bytes(CSV[name].encode())
    compare(Manifest(path=path), tmp_path, caplog, columnar=True if block > 64 else None)
    compare(Manifest(train=path, language="tr", root=tmp_path / "x"), tmp_path, caplog, columnar=None)


@pytest.mark.parametrize("name", REFUSED)
def test_what_two_readers_might_see_in_two_ways_is_read_row_by_row(tmp_path: Path, caplog: Any, name: str) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(REFUSED[name].encode())
    with pytest.raises(NotImplementedError):
        list(Manifest(path=path).columns("train"))
    compare(Manifest(path=path), tmp_path, caplog, columnar=None)


TSV = {
    "plain": "path\tsentence\na.mp3\thello\n",
    "literal quotes": 'path\tsentence\na.mp3\the said "no\nb.mp3\t"whole ""field"""\n'
    'c.mp3\t"\nd.mp3\t""\ne.mp3\t"a"b"\n',
    "ragged and blank": "path\tsentence\n\na.mp3\nb.mp3\tx\ty\n\t\nc.mp3\tz\r\n\r\n",
}


@pytest.mark.parametrize("name", TSV)
def test_tsv(tmp_path: Path, caplog: Any, name: str) -> None:
    path = tmp_path / "m.tsv"
    path.write_bytes(TSV[name].encode())
    compare(Manifest(path=path), tmp_path, caplog)


# fmt: off
JSONL: dict[str, tuple[bool, str]] = {
    "nemo": (True, '{"audio_filepath": "a.wav", "duration": 2, "text": "one", "offset": 0}\n'
                   '{"audio_filepath": "a.wav", "duration": 2.5, "text": "two", "offset": 2.5, "speaker": 7}\n'),
    "keys that come and go": (True, '{"path": "a.wav", "extra": [1, {"x": null}]}\n{"path": "b.wav", "text": null}\n'),
    "no last newline": (True, '{"path": "a.wav", "text": "\\u015f\\ud83d\\ude00"}\r\n{"path": "b.wav", "text": ""}'),
    "blank line": (False, '{"path": "a.wav", "text": "x"}\n\n{"path": "b.wav", "text": "y"}\n'),
    "two objects in a line": (
        False, '{"path": "a.wav"}\n{"path": "a.wav", "text": "x"} {"path": "b.wav", "text": "y"}\n'
    ),
    "bad lines": (False, '{"path": "a.wav", "text": "x"}\n[1]\n{"path": \n{"path": "c.wav", "text": "z"}\n'),
    "numbers as text": (True, '{"path": "a.wav", "text": 7}\n{"path": "b.wav", "text": -0}\n'),
    "now and then a number": (False, '{"path": "a.wav", "text": "x"}\n{"path": "b.wav", "text": 1.50}\n'),
    "true": (False, '{"path": "a.wav", "text": true}\n'),
    "surrogate": (False, '{"path": "a.wav", "text": "\\ud800"}\n'),
    "a key twice": (False, '{"path": "a.wav", "path": "b.wav", "text": "x"}\n'),
    "not a number": (True, '{"path": "a.wav", "text": "x", "duration": NaN}\n'),
    "durations in quotes": (True, '{"path": "a.wav", "text": "x", "duration": "1.5"}\n{"path": "b", "duration": ""}\n'),
    "no path": (True, '{"path": "a.wav", "text": "x"}\n{"text": "y"}\n{"path": " ", "text": "y"}\n'),
}
# fmt: on


@pytest.mark.parametrize("name", JSONL)
def test_jsonl(tmp_path: Path, caplog: Any, name: str) -> None:
    columns, content = JSONL[name]
    path = tmp_path / "m.jsonl"
    path.write_bytes(content.encode())
    compare(Manifest(train=path), tmp_path, caplog, columnar=None)
    if columns:
        assert list(Manifest(train=path).columns("train"))
    else:
        with pytest.raises(NotImplementedError):
            list(Manifest(train=path).columns("train"))


@pytest.mark.parametrize(
    ("columns", "columnar"),
    [
        ({"path": ["a.wav", None, "b.wav"], "text": ["x", "y", None], "duration": [1.5, 2.0, float("nan")]}, True),
        ({"path": ["a.wav", "b.wav"], "text": [1, None], "duration_ms": [1500, None]}, True),
        ({"path": ["a.wav", "b.wav"], "text": [1.5, None]}, False),
        ({"path": pa.array(["a", "a"]).dictionary_encode(), "text": pa.array(["x", "y"], pa.large_string())}, True),
        ({"path": ["a.wav"], "text": [b"x"]}, False),
        ({"path": ["a.wav", "b.wav"], "text": ["x", "y"], "split": [0, 1]}, True),
    ],
)
def test_parquet(tmp_path: Path, caplog: Any, columns: dict[str, Any], columnar: bool) -> None:
    path = tmp_path / "m.parquet"
    pq.write_table(pa.table(columns), path)
    compare(Manifest(train=path), tmp_path, caplog, columnar=None)
    compare(Manifest(path=path), tmp_path, caplog, columnar=None)
    if not columnar:
        with pytest.raises(NotImplementedError):
            list(Manifest(train=path).columns("train"))


def test_random_tables(tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever bytes come, the answer is that of the rows."""
    rng = random.Random(0)
    pieces = ["a", "b.wav", " ", ",", ",", ",", "\n", "\n", '"', '""', "\r\n", "é", "\u00a0", "/", ".", "1.5", "train"]
    pieces += ["\r", "x,y\n"]
    monkeypatch.setattr(columnar, "BLOCK", 48)
    for number in range(150):
        path = tmp_path / f"{number}.csv"
        weights = [4] * len(pieces)
        weights[pieces.index("\r")] = 0 if number % 4 else 1
        weights[pieces.index('"')] = number % 3
        body = "".join(rng.choices(pieces, weights, k=rng.randrange(80)))
        path.write_bytes(("path,text,split\n" if number % 2 else "path,text\n").encode() + body.encode())
        caplog.set_level(logging.DEBUG, "voxcli")  # whatever a command has set it to
        answers: list[Any] = []
        for source in (ByRow(Manifest(path=path)), Manifest(path=path)):
            try:
                answers.append(said(source, tmp_path, caplog, "train")[0])
            except Exception as error:
                answers.append(str(error))
        assert answers[0] == answers[1], path.read_bytes()


def test_objects_of_any_kind(tmp_path: Path, caplog: Any) -> None:
    rng = random.Random(1)
    values: list[Any] = ["a.wav", "", " x ", 7, -1.5, None, True, [1], {"y": "z"}, "\u2028", 10**25, 1e300]
    for number in range(60):
        few = rng.sample(values, 3)
        lines = [
            json.dumps({"path": "p.wav", "text": "t", "duration": 1.0, **{k: rng.choice(few) for k in rng.sample(
                ["text", "duration", "speaker", "path"], rng.randrange(3))}})
            for _ in range(rng.randrange(1, 6))
        ]  # fmt: skip
        path = tmp_path / f"{number}.jsonl"
        path.write_text("\n".join(lines) + "\n")
        compare(Manifest(train=path), tmp_path, caplog, columnar=None)
