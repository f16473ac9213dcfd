"""MP3 files whose header does not tell their length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import RATE, chirp, encode, write

from voxcli.audio import mpeg
from voxcli.audio.decode import header, read


@pytest.fixture
def headless(tmp_path: Path) -> Path:
    """Variable bit rate and no Xing header: a loud second after nine quiet ones."""
    audio = np.concatenate([0.0001 * chirp(9.0), np.random.default_rng(0).uniform(-0.5, 0.5, 5 * RATE)])
    return encode(
        tmp_path / "a.mp3",
        audio.astype(np.float32),
        "libmp3lame",
        write_xing="0",
        id3v2_version="0",
        codec_global_quality=str(5 * 118),
        codec_flags="+qscale",
    )


def test_a_variable_bit_rate_without_a_length_is_read_to_its_end(headless: Path) -> None:
    wrong = soundfile.info(str(headless)).duration
    assert abs(wrong - 14.0) > 1.0, "libsndfile computes the length from the first frame's bit rate"
    assert header(headless).duration == pytest.approx(14.0, abs=0.2)
    assert len(read(headless)) == pytest.approx(14.0 * RATE, abs=0.2 * RATE)


def test_offsets_and_bytes_work_in_such_a_file(headless: Path) -> None:
    whole = read(headless)
    np.testing.assert_allclose(read(headless, offset=10.0, duration=2.0), whole[160000:192000], atol=1e-3)
    np.testing.assert_array_equal(read(headless.read_bytes()), whole)


def test_a_file_with_a_length_is_left_as_it_is(tmp_path: Path) -> None:
    data = write(tmp_path / "a.mp3", chirp(2.0)).read_bytes()
    assert mpeg.has_length(data[mpeg.tag_length(data[:10]) :][:2048])


def test_a_tag_at_the_start_is_passed_over(headless: Path, tmp_path: Path) -> None:
    tag = b"ID3\x04\0\0" + bytes([0, 0, 2, 0]) + bytes(256)
    tagged = tmp_path / "tagged.mp3"
    tagged.write_bytes(tag + headless.read_bytes())
    assert mpeg.tag_length(tag[:10]) == len(tag)
    assert header(tagged).duration == pytest.approx(14.0, abs=0.2)
