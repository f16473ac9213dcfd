"""The shared recordings: every manifest indexes, and every file decodes to the length it is said to have."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from voxcli.api import SPLITS
from voxcli.audio.decode import header, read
from voxcli.data.index import index
from voxcli.datasets.manifest import Manifest

SHARED = Path(os.environ.get("VOX_SHARED", Path(__file__).parents[3] / "shared"))
SETS = {  # utterances, minutes
    "asterisk-en": (551, 24.3),
    "asterisk-es": (477, 28.9),
    "asterisk-fr": (509, 23.9),
    "asterisk-it": (582, 22.6),
    "asterisk-ru": (554, 23.5),
    "tuxpaint-bg": (912, 20.8),
    "fsdd": (3000, 21.9),
    "noise": (72, 8.1),
}


@pytest.mark.parametrize("name", SETS)
def test_a_shared_data_set(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = SHARED / "data" / name / "manifest.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    monkeypatch.setenv("VOX_CACHE", str(tmp_path))
    tables = [index(Manifest(path=path), split) for split in SPLITS]
    count, minutes = SETS[name]
    assert sum(map(len, tables)) == count
    assert sum(float(table.durations.sum()) for table in tables) / 60 == pytest.approx(minutes, abs=0.1)
    assert [table.n_problems for table in tables] == [0, 0, 0]
    every = [table.utterance(row) for table in tables for row in range(len(table))]
    some = every[:: max(1, len(every) // 150)]
    with ThreadPoolExecutor(2) as threads:
        for utterance, audio in zip(some, threads.map(lambda u: read(u.audio), some), strict=True):
            assert utterance.duration is not None
            assert len(audio) / 16000 == pytest.approx(utterance.duration, abs=0.02), utterance.id
            assert header(utterance.audio).duration == pytest.approx(utterance.duration, abs=0.02)  # type: ignore[arg-type]
            assert np.abs(audio).max() > 0.001, utterance.id
