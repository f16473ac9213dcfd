"""Manifests as people write them, and what is said about those that cannot be read."""

from __future__ import annotations

import codecs
import json
import logging
from pathlib import Path

import pytest

from voxcli.api import Utterance
from voxcli.datasets.manifest import Manifest
from voxcli.errors import DataError


def listed(manifest: Manifest, split: str = "train") -> list[Utterance]:
    return list(manifest.utterances(split))  # type: ignore[arg-type]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv_with_every_column(tmp_path: Path) -> None:
    path = write(
        tmp_path / "all.csv",
        "id,path,duration,offset,text,label,speaker,language,split\n"
        'u1,audio/a.wav,1.5,0.25,"Yes, ""really""",yes,anna,en,train\n'
        "u2,/data/b.wav,,,No.,no,,,dev\n",
    )
    assert listed(Manifest(path=path)) == [
        Utterance(
            id="u1",
            audio=tmp_path / "audio/a.wav",
            offset=0.25,
            duration=1.5,
            text='Yes, "really"',
            label="yes",
            speaker="anna",
            language="en",
        )
    ]
    assert listed(Manifest(path=path, language="de"), "validation") == [
        Utterance(id="u2", audio=Path("/data/b.wav"), text="No.", label="no", language="de")
    ]
    assert listed(Manifest(path=path), "test") == []


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + "path,text\na.wav,şık\n".encode(),
        "path,text\r\na.wav,şık\r\n".encode(),
        "path;text\na.wav;şık\n".encode(),
        "Path , TEXT\na.wav,şık\n\n".encode(),
        "path,text\na.wav,şık\n".encode("utf-16"),
        '"path","text"\n"a.wav","şık"'.encode(),
    ],
    ids=["bom", "crlf", "semicolons", "case and blank line", "utf-16", "quoted, no last newline"],
)
def test_the_usual_ways_to_write_csv(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "train.csv", content)
    assert listed(Manifest(path=path)) == [Utterance(id="a.wav", audio=tmp_path / "a.wav", text="şık")]


def test_nemo_jsonl_is_read_as_it_is(tmp_path: Path) -> None:
    rows = [
        {"audio_filepath": "long.wav", "offset": 0, "duration": 2.5, "text": "one"},
        {"audio_filepath": "long.wav", "offset": 2.5, "duration": 3.0, "text": "two", "speaker": 7},
    ]
    path = write(tmp_path / "train_manifest.json", "\n".join(json.dumps(row) for row in rows))
    assert listed(Manifest(path=path)) == [
        Utterance(id="long.wav", audio=tmp_path / "long.wav", duration=2.5, text="one"),
        Utterance(id="long.wav@2.5", audio=tmp_path / "long.wav", offset=2.5, duration=3.0, text="two", speaker="7"),
    ]


def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {"file": ["a.wav", "b.wav"], "sentence": ["one", None], "duration_ms": [1500, 2000]}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    assert listed(Manifest(path=tmp_path / "a.parquet")) == [
        Utterance(id="a.wav", audio=tmp_path / "a.wav", text="one", duration=1.5),
        Utterance(id="b.wav", audio=tmp_path / "b.wav", text=None, duration=2.0),
    ]


def test_parquet_with_the_audio_inside_names_the_data_set_that_reads_it(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"audio": [{"bytes": b"1", "path": "a"}], "text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="holds audio itself, in column 'audio'") as caught:
        listed(Manifest(path=tmp_path / "a.parquet"))
    assert 'type = "huggingface"' in (caught.value.help or "")


def test_a_stray_quote_in_a_tsv_swallows_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'path\ttext\na.wav\t"so it began\nb.wav\t"quoted ""whole"""\nc.wav\tend"\n')
    assert [u.text for u in listed(Manifest(path=path))] == ['"so it began', 'quoted "whole"', 'end"']


def test_a_file_for_each_split(tmp_path: Path) -> None:
    for name in ("train", "dev", "extra"):
        write(tmp_path / f"{name}.csv", f"path,text,split\n{name}.wav,hello,anything\n")
    manifest = Manifest(train=(tmp_path / "train.csv", tmp_path / "extra.csv"), validation=tmp_path / "dev.csv")
    assert [u.id for u in listed(manifest)] == ["train.wav", "extra.wav"]
    assert [u.id for u in listed(manifest, "validation")] == ["dev.wav"]
    assert listed(manifest, "test") == []


def test_without_a_split_column_every_row_is_for_training(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "path,text\na.wav,x\nb.wav,y\n")
    assert len(listed(Manifest(path=path))) == 2
    assert listed(Manifest(path=path), "validation") == listed(Manifest(path=path), "test") == []


def test_names_of_splits_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "path,text,part\na.wav,x,fold1\nb.wav,y,dev\nc.wav,z,eval\n")
    manifest = Manifest(path=path, split_column="part", splits={"train": ("fold1", "dev"), "test": ("eval",)})
    assert [u.id for u in listed(manifest)] == ["a.wav", "b.wav"]
    assert [u.id for u in listed(manifest, "validation")] == [], "dev is taken by the training split"
    assert [u.id for u in listed(manifest, "test")] == ["c.wav"]


def test_columns_and_root_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Datei,Satz,text\na.wav,ja,nein\n")
    manifest = Manifest(path=path, audio_column="Datei", text_column="Satz", root=tmp_path / "clips")
    assert listed(manifest) == [Utterance(id="a.wav", audio=tmp_path / "clips/a.wav", text="ja")]


def test_an_empty_text_is_kept_for_the_filter_to_count(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "path,text\na.wav,\n")
    assert listed(Manifest(path=path))[0].text == ""


@pytest.mark.parametrize("duration", ["", "nan", "long", "-1", "0"])
def test_a_duration_that_is_none_is_left_to_the_header(tmp_path: Path, duration: str) -> None:
    from voxcli.data.listing import _length

    path = write(tmp_path / "a.csv", f"path,text,duration\na.wav,x,{duration}\n")
    assert _length(listed(Manifest(path=path))[0].duration) != _length(1.0)
    assert str(_length(listed(Manifest(path=path))[0].duration)) == "nan"


# ----------------------------------------------------------------------------------------------------------- complaints


def complaint(manifest: Manifest) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        listed(manifest)
    return caught.value.message, caught.value.help or ""


def test_a_missing_audio_column_lists_what_there_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "clip,sentence\na.mp3,hi\n")
    assert complaint(Manifest(path=path)) == (
        f"no column of {path} holds the audio's path",
        "set `audio_column`; its columns: clip, sentence",
    )


def test_a_column_that_was_asked_for_and_is_missing_names_a_close_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "path,transkript\na.mp3,hi\n")
    assert complaint(Manifest(path=path, text_column="transcript")) == (
        f"{path} has no column 'transcript'",
        "did you mean 'transkript'? correct `text_column`; its columns: path, transkript",
    )


def test_a_misspelt_text_column_is_pointed_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "path,sentense\na.mp3,hi\n")
    message, help = complaint(Manifest(path=path))
    assert message == f"no column of {path} holds the transcripts"
    assert 'text_column = "sentense"' in help


def test_audio_alone_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.csv", "path,license\na.wav,CC0\n")
    assert listed(Manifest(path=path))[0].text is None
    assert "holds transcripts or labels: set `text_column`; its columns: path, license" in caplog.text


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    assert "does not exist" in complaint(Manifest(path=tmp_path / "a.csv"))[0]
    assert "is a folder, not a file" in complaint(Manifest(path=tmp_path, format="csv"))[0]
    assert "does not tell the format" in complaint(Manifest(path=tmp_path / "a.txt"))[0]
    assert complaint(Manifest())[0] == "a manifest needs a file"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_an_empty_manifest(tmp_path: Path, name: str) -> None:
    assert complaint(Manifest(path=write(tmp_path / name, "")))[0].endswith("is empty")


def test_another_encoding_is_named_with_the_repair(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "path,text\na.wav,Käse\n".encode("latin-1"))
    message, help = complaint(Manifest(path=path))
    assert message == f"{path} is not UTF-8 text: byte 0xe4 cannot be read"
    assert "iconv" in help


def test_a_quote_that_is_never_closed_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'path,text\na.wav,"so it\nb.wav,began\n')
    assert complaint(Manifest(path=path))[0].startswith(f"{path}:")


def test_bad_rows_are_left_out_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.csv", "path,text\na.wav,x\nb.wav\n,y\nc.wav,z,too many\nd.wav,v\n")
    with caplog.at_level(logging.WARNING):
        assert [u.id for u in listed(Manifest(path=path))] == ["a.wav", "d.wav"]
    assert "2 rows are left out: row 3 has 1 fields instead of 2; row 5 has 3 fields instead of 2" in caplog.text
    assert "1 rows are left out: row 2 names no audio" in caplog.text


def test_bad_json_lines_are_left_out_and_an_array_is_explained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.jsonl", '{"path": "a.wav", "text": "x"}\n{"path": \n[1]\n{"path": "b.wav"}\n')
    assert [u.id for u in listed(Manifest(path=path))] == ["a.wav", "b.wav"]
    assert "2 rows are left out: line 2 is not JSON" in caplog.text
    message, help = complaint(Manifest(path=write(tmp_path / "b.json", '[{"path": "a.wav"}]')))
    assert "holds no JSON objects" in message
    assert "one object a line" in help


def test_the_fingerprint_follows_content_keys_and_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "path,text\na.wav,x\n")
    first = Manifest(path=path).fingerprint("train")
    assert first == Manifest(path=path).fingerprint("train")
    assert first != Manifest(path=path).fingerprint("test")
    assert first != Manifest(path=path, language="en").fingerprint("train")
    write(path, "path,text\na.wav,y\n")
    assert first != Manifest(path=path).fingerprint("train")
