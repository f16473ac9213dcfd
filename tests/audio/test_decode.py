"""What a person's files look like, whole and broken, against what `read` and `header` make of them."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import RATE, chirp, cut, encode, write

from voxcli.audio.decode import header, read
from voxcli.errors import DataError

EVERY_FORMAT = ["wav", "flac", "ogg", "opus", "mp3", "aiff"]
LOSSY = ["ogg", "opus", "mp3"]


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two stretches of equal length."""
    return float(np.corrcoef(one, other)[0, 1])


@pytest.mark.parametrize("ending", EVERY_FORMAT)
def test_every_format_of_libsndfile_gives_the_same_audio(tmp_path: Path, ending: str) -> None:
    expected = chirp(2.0)
    path = write(tmp_path / f"a.{ending}", expected)
    audio = read(path)
    assert audio.dtype == np.float32
    assert audio.shape == (2 * RATE,)
    assert header(path).duration == pytest.approx(2.0, abs=1e-3)
    assert header(path).sampling_rate == RATE
    if ending in LOSSY:
        assert alike(audio[1000:-1000], expected[1000:-1000]) > 0.99
    else:
        np.testing.assert_allclose(audio, expected, atol=1e-4)


@pytest.mark.parametrize("ending", EVERY_FORMAT)
def test_an_offset_gives_exactly_that_stretch(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a.{ending}", chirp(6.0))
    whole = read(path)
    part = read(path, offset=2.5, duration=1.25)
    assert part.shape == (round(1.25 * RATE),)
    np.testing.assert_allclose(part, whole[40000:60000], atol=1e-4)
    np.testing.assert_allclose(read(path, offset=5.0), whole[80000:], atol=1e-4)


@pytest.mark.parametrize("ending", EVERY_FORMAT)
def test_bytes_are_read_like_files(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a.{ending}", chirp(1.0))
    np.testing.assert_array_equal(read(path.read_bytes()), read(path))
    assert header(path.read_bytes()) == header(path)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", chirp(1.0)).rename(tmp_path / "a.mp3")
    assert len(read(path)) == RATE


def test_a_short_stretch_of_a_long_file_is_not_paid_for_with_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "long.flac", np.tile(chirp(9.0), 10))
    taken = []
    original = soundfile.SoundFile.read

    def counted(self: soundfile.SoundFile, frames: int = -1, **keywords: object) -> np.ndarray:
        samples = original(self, frames, **keywords)
        taken.append(len(samples))
        return samples

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    assert len(read(path, offset=80.0, duration=0.5)) == RATE // 2
    assert sum(taken) == RATE // 2


@pytest.mark.parametrize(("rate", "seconds"), [(8000, 1.0), (44100, 1.0), (48000, 0.05), (22050, 90.0)])
def test_any_rate_and_length_becomes_16_khz(tmp_path: Path, rate: int, seconds: float) -> None:
    time = np.arange(round(seconds * rate)) / rate
    path = write(tmp_path / "a.wav", (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), rate)
    audio = read(path)
    assert len(audio) == pytest.approx(seconds * RATE, abs=1)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(audio)) / RATE)
    edge = min(400, len(audio) // 4)
    assert np.abs(audio - expected)[edge:-edge].max() < 2e-3


def test_stereo_is_the_mean_of_its_channels(tmp_path: Path) -> None:
    left, right = chirp(1.0), -0.5 * chirp(1.0)
    path = write(tmp_path / "a.wav", np.stack([left, right], axis=1), subtype="FLOAT")
    np.testing.assert_allclose(read(path), 0.25 * left, atol=1e-6)
    assert header(path).channels == 2


def test_silence_is_audio(tmp_path: Path) -> None:
    audio = read(write(tmp_path / "a.wav", np.zeros(RATE, np.float32)))
    assert len(audio) == RATE
    assert not audio.any()


@pytest.mark.parametrize("values", [np.full(100, -32768, np.int16), np.full((100, 2), -(2**31), np.int32)])
def test_a_callable_may_return_integers_and_channels(values: np.ndarray) -> None:
    np.testing.assert_array_equal(read(lambda: (values, RATE)), np.full(100, -1.0, np.float32))


def test_a_callable_is_cut_and_resampled() -> None:
    audio = read(lambda: (chirp(2.0, 8000), 8000), offset=0.5, duration=1.0)
    assert len(audio) == RATE


def test_a_callable_with_its_axes_exchanged_is_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(2, 16000\)"):
        read(lambda: (np.zeros((2, RATE), np.float32), RATE), name="utterance 7")


# --------------------------------------------------------------------------------------------------------- broken files


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for call in (read, header):
        with pytest.raises(DataError, match=r"nowhere\.wav does not exist"):
            call(tmp_path / "nowhere.wav")


def test_a_folder_is_no_audio_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder, not an audio file"):
        read(tmp_path)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    for source in (tmp_path / "a.wav", b""):
        with pytest.raises(DataError, match="empty"):
            read(source)


def test_a_header_without_audio_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(0, np.float32))
    for call in (read, header):
        with pytest.raises(DataError, match="holds no audio, only a header"):
            call(path)


def test_noise_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    for call in (read, header):
        with pytest.raises(DataError, match=r"a\.wav is not audio that libsndfile or FFmpeg know"):
            call(path)


@pytest.mark.parametrize(
    ("content", "expected", "repair"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "a Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page", "download it again"),
    ],
)
def test_what_a_failed_download_left_is_recognised(tmp_path: Path, content: bytes, expected: str, repair: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=expected) as caught:
        header(tmp_path / "a.wav")
    assert repair in (caught.value.help or "")


@pytest.mark.parametrize("ending", EVERY_FORMAT)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_file_that_was_cut_off_is_refused_not_shortened(tmp_path: Path, ending: str, share: float) -> None:
    path = cut(write(tmp_path / f"a.{ending}", chirp(3.0)), share)
    with pytest.raises(DataError, match=rf"cut-a\.{ending} .*(cut short|damaged|no audio)"):
        read(path)


@pytest.mark.parametrize("ending", ["wav", "ogg", "opus"])
def test_a_header_tells_where_the_end_of_the_file_is_missing(tmp_path: Path, ending: str) -> None:
    with pytest.raises(DataError, match=r"cut short|damaged"):
        header(cut(write(tmp_path / f"a.{ending}", chirp(3.0)), 0.7))


def test_what_comes_before_the_missing_end_can_be_read(tmp_path: Path) -> None:
    path = cut(write(tmp_path / "a.wav", chirp(3.0)), 0.7)
    assert len(read(path, offset=0.5, duration=1.0)) == RATE


def test_a_recording_written_into_a_pipe_is_whole(tmp_path: Path) -> None:
    """Programs that cannot seek leave the length at its largest value."""
    path = write(tmp_path / "a.wav", chirp(1.0))
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(read(path)) == RATE


def test_a_flac_stream_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", chirp(2.0))
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO: the 36 bits of the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert header(path).duration == pytest.approx(2.0)
    assert len(read(path)) == 2 * RATE
    assert len(read(path, offset=1.5)) == RATE // 2


def test_samples_that_are_not_numbers_are_refused_with_their_place(tmp_path: Path) -> None:
    audio = chirp(1.0)
    audio[8000] = np.nan
    path = write(tmp_path / "a.wav", audio, subtype="FLOAT")
    with pytest.raises(DataError, match=r"NaN or infinite\), the first 0\.500 s in"):
        read(path)


def test_an_offset_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", chirp(1.0))
    with pytest.raises(DataError, match=r"is 1\.00 s long, and the utterance begins at 5\.00 s"):
        read(path, offset=5.0)


def test_a_duration_beyond_the_end_is_refused_but_a_rounded_one_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", chirp(1.0))
    assert len(read(path, duration=1.05)) == RATE
    with pytest.raises(DataError, match=r"is 1\.00 s long, and the utterance ends at 3\.00 s"):
        read(path, duration=3.0)


def test_a_duration_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no audio"):
        read(write(tmp_path / "a.wav", chirp(1.0)), offset=0.5, duration=0.0)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", chirp(1.0))

    def refuse(*args: object, **keywords: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a\.wav cannot be read: Permission denied"):
        read(path)


def test_a_path_with_a_null_byte_does_not_exist() -> None:
    with pytest.raises(DataError, match="is no path"):
        header("a\0b.wav")


# ----------------------------------------------------------------------------------------------------------- containers


@pytest.mark.parametrize(
    ("name", "codec", "container", "rate"),
    [("a.m4a", "aac", "ipod", 16000), ("a.mp4", "aac", "mp4", 44100), ("a.webm", "libopus", "webm", 48000)],
)
def test_containers_are_read_through_pyav(tmp_path: Path, name: str, codec: str, container: str, rate: int) -> None:
    expected = chirp(4.0)
    path = encode(tmp_path / name, chirp(4.0, rate), codec, rate=rate, container=container)
    found = header(path)
    assert found.duration == pytest.approx(4.0, abs=0.05)
    assert (found.sampling_rate, found.channels) == (rate, 1)
    audio = read(path, duration=found.duration)
    assert audio.dtype == np.float32
    assert len(audio) == pytest.approx(4.0 * RATE, abs=0.05 * RATE)
    assert alike(audio[1000:60000], expected[1000:60000]) > 0.95
    part = read(path, offset=2.0, duration=1.0)
    assert len(part) == RATE
    assert alike(part, audio[2 * RATE : 3 * RATE]) > 0.999
    np.testing.assert_array_equal(read(path.read_bytes()), read(path))


def test_a_container_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    whole = encode(tmp_path / "a.m4a", chirp(4.0), "aac", container="ipod")
    with pytest.raises(DataError, match=r"cut-a\.m4a is damaged: an MPEG-4 container"):
        read(cut(whole, 0.6))
    streamable = encode(tmp_path / "b.m4a", chirp(4.0), "aac", container="ipod", movflags="faststart")
    with pytest.raises(DataError, match=r"cut-b\.m4a is (cut short|damaged)"):
        read(cut(streamable, 0.6))


def test_without_pyav_a_container_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "a.m4a", chirp(1.0), "aac", container="ipod")
    original = builtins.__import__

    def refuse(name: str, *args: object, **keywords: object) -> object:
        if name == "av":
            raise ImportError("No module named 'av'")
        return original(name, *args, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match="PyAV, which reads those, is not installed") as caught:
        read(path)
    assert "pip install 'voxcli[containers]'" in (caught.value.help or "")


def test_a_video_without_sound_is_named(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=5, width=32, height=32)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        file.mux(stream.encode(None))
    with pytest.raises(DataError, match="has no audio stream"):
        read(path)
