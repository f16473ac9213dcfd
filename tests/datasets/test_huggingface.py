"""Data sets as `datasets` keeps them, without a network and without torchcodec."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voxcli.api import Utterance
from voxcli.audio.decode import read
from voxcli.datasets.huggingface import HuggingFace
from voxcli.datasets.stored_audio import StoredAudio
from voxcli.errors import DataError

datasets = pytest.importorskip("datasets")
RATE = 16000


def tone(number: int) -> np.ndarray:
    """A second of sound of its own loudness. float32 (N,)."""
    return np.full(RATE, 0.1 * (number + 1), np.float32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken from or left in the person's caches, and nothing is asked of the network."""
    from voxcli.datasets import hub

    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "vox"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(socket, "getaddrinfo", _no_network)
    hub.parts.cache_clear()


def _no_network(*args: object, **keywords: object) -> None:
    raise OSError("no network in tests")


@pytest.fixture
def flacs(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"flac/{number}.flac" for number in range(5)]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        soundfile.write(path, tone(number), RATE)
    return paths


@pytest.fixture
def table(flacs: list[Path]):
    """A Dataset with encoded audio, as the Hub has them."""
    import pyarrow as pa

    audio = [{"bytes": path.read_bytes(), "path": path.name} for path in flacs]
    features = datasets.Features(
        audio=datasets.Audio(sampling_rate=RATE),
        sentence=datasets.Value("string"),
        client_id=datasets.Value("int32"),
        label=datasets.ClassLabel(names=["low", "high"]),
    )
    rows = pa.table(
        {"audio": audio, "sentence": [f"text {n}" for n in range(5)], "client_id": [7] * 5, "label": [0, 1, 0, 1, -1]},
        schema=features.arrow_schema,
    )
    return datasets.Dataset(datasets.table.InMemoryTable(rows), info=datasets.DatasetInfo(features=features))


@pytest.fixture
def parquet(tmp_path: Path, table) -> Path:
    folder = tmp_path / "repo/data"
    folder.mkdir(parents=True)
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    table.select([0]).to_parquet(folder / "dev-00000-of-00001.parquet")
    return folder.parent


def listed(dataset: HuggingFace, split: str = "train") -> list[Utterance]:
    return list(dataset.utterances(split))  # type: ignore[arg-type]


def loudness(utterance: Utterance) -> float:
    return float(read(utterance.audio).mean())


def test_a_folder_of_parquet_files(parquet: Path) -> None:
    dataset = HuggingFace(path=str(parquet), language="tr")
    assert dataset.splits_present() == ("train", "validation")
    rows = listed(dataset)
    assert [(u.id, u.text, u.speaker, u.label, u.language) for u in rows][:2] == [
        ("0.flac", "text 0", "7", "low", "tr"),
        ("1.flac", "text 1", "7", "high", "tr"),
    ]
    assert [loudness(u) for u in rows] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5], abs=1e-3)
    assert [u.id for u in listed(dataset, "validation")] == ["0.flac"]
    assert listed(dataset, "test") == []


def test_the_audio_travels_as_a_file_name_and_a_row(parquet: Path) -> None:
    utterance = listed(HuggingFace(path=str(parquet)))[3]
    assert isinstance(utterance.audio, StoredAudio)
    assert len(pickle.dumps(utterance.audio)) < 400
    assert utterance.audio.duration() == pytest.approx(1.0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(loudness, (utterance,)) == pytest.approx(0.4, abs=1e-3)
    assert "torchcodec" not in sys.modules


def test_a_folder_of_save_to_disk(tmp_path: Path, table) -> None:
    datasets.DatasetDict(train=table.select([2, 1]), test=table.select([4])).save_to_disk(tmp_path / "saved")
    dataset = HuggingFace(path=str(tmp_path / "saved"))
    assert [loudness(u) for u in listed(dataset)] == pytest.approx([0.3, 0.2], abs=1e-3)
    assert [u.label for u in listed(dataset, "test")] == [None], "-1 is the class of rows that have none"


def test_a_folder_of_audio_files(tmp_path: Path, flacs: list[Path]) -> None:
    folder = tmp_path / "repo/train"
    folder.mkdir(parents=True)
    for path in flacs[:2]:
        path.rename(folder / path.name)
    (folder / "metadata.csv").write_text("file_name,transcription\n0.flac,one\n1.flac,two\n")
    rows = listed(HuggingFace(path=str(folder.parent)))
    assert [(u.id, u.text, u.audio) for u in rows] == [
        ("0.flac", "one", folder / "0.flac"),
        ("1.flac", "two", folder / "1.flac"),
    ]


def test_slices_and_joined_parts(parquet: Path) -> None:
    dataset = HuggingFace(path=str(parquet), splits={"train": ("train[2:4]", "dev")})
    rows = listed(dataset)
    assert [loudness(u) for u in rows] == pytest.approx([0.3, 0.4, 0.1], abs=1e-3)
    assert listed(dataset, "validation") == [], "dev is taken by the training split"


@pytest.mark.parametrize("streaming", [False, True])
def test_take_the_first_rows(parquet: Path, streaming: bool) -> None:
    rows = listed(HuggingFace(path=str(parquet), take=3, streaming=streaming))
    assert [(u.id, u.label) for u in rows] == [("0.flac", "low"), ("1.flac", "high"), ("2.flac", "low")]
    assert [loudness(u) for u in rows] == pytest.approx([0.1, 0.2, 0.3], abs=1e-3)


def test_a_stream_is_read_once_and_then_at_random(parquet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxcli.data.index import index
    from voxcli.datasets import streamed

    dataset = HuggingFace(path=str(parquet), streaming=True)
    table = index(dataset, "train")
    assert table.durations.tolist() == [1.0] * 5
    monkeypatch.setattr(streamed, "write", None)
    again = index(dataset, "train")
    assert loudness(again.utterance(4)) == pytest.approx(0.5, abs=1e-3)


def test_a_stream_has_no_slices(parquet: Path) -> None:
    with pytest.raises(DataError, match="a stream has no slices"):
        listed(HuggingFace(path=str(parquet), streaming=True, splits={"train": ("train[:2]",)}))


# ---------------------------------------------------------------------------------------------------------- complaints


def complaint(dataset: HuggingFace) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        listed(dataset)
    return caught.value.message, caught.value.help or ""


def test_a_script_data_set_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/old.py").write_text("import datasets\n")
    message, help = complaint(HuggingFace(path=str(tmp_path / "old")))
    assert message == f"{tmp_path / 'old'} is a script data set, which `datasets` no longer runs (old.py)"
    assert 'type = "common-voice"' in help


def test_a_script_data_set_of_the_hub_has_a_converted_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*args: object, **keywords: object) -> None:
        raise RuntimeError("Dataset scripts are no longer supported, but found common_voice_17_0.py")

    monkeypatch.setattr(datasets, "load_dataset", load)
    message, help = complaint(HuggingFace(path="mozilla-foundation/common_voice_17_0", name="tr"))
    assert "is a script data set" in message
    assert 'revision = "refs/convert/parquet"' in help


def test_no_network_and_nothing_cached_is_one_message(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        message, help = complaint(HuggingFace(path="nobody/nothing"))
    assert message == (
        "there is no folder nobody/nothing, no copy of such a data set in the cache, "
        "and https://huggingface.co cannot be reached"
    )
    assert help == "connect once to download it, or set `path` to a local folder"
    assert not caplog.records


def test_an_unknown_configuration_lists_those_there_are(parquet: Path) -> None:
    message, help = complaint(HuggingFace(path=str(parquet), name="tr"))
    assert "BuilderConfig 'tr' not found. Available: ['default']" in message
    assert help == "set `name` to one of its configurations"


def test_an_unknown_part_lists_those_there_are(parquet: Path) -> None:
    assert complaint(HuggingFace(path=str(parquet), splits={"train": ("trian",)})) == (
        f"{parquet} has no part 'trian'",
        "did you mean 'train'? its parts: train, dev",
    )


def test_columns_that_are_not_there(parquet: Path) -> None:
    assert "has no column 'speech'" in complaint(HuggingFace(path=str(parquet), audio_column="speech"))[0]
    assert "column 'sentence' holds no audio" in complaint(HuggingFace(path=str(parquet), audio_column="sentence"))[0]
    assert complaint(HuggingFace(path=str(parquet), text_column="sentense")) == (
        f"{parquet} has no column 'sentense'",
        "did you mean 'sentence'? correct `text_column`; its columns: audio, sentence, client_id, label",
    )


def test_an_emptied_cache_of_datasets_is_explained(parquet: Path) -> None:
    audio = StoredAudio(str(parquet / "gone.arrow"), "audio", 0)
    with pytest.raises(DataError, match="which holds the audio, cannot be read") as caught:
        audio()
    assert "$VOX_CACHE/index" in (caught.value.help or "")
