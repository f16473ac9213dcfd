"""What a call does to a clip, measured: codes of the standard, the band, the losses, the noise of the coding."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from vox_telephone import g711, packets
from vox_telephone.phone_line import PhoneLine
from voxcli.testing_models import tiny_ctc

CLEAN = {"loss": (0.0, 0.0), "laws": ()}


def call(audio, rate=16000, seed=0, **keys):
    return PhoneLine(**keys)(audio, rate, np.random.default_rng(seed))


def tone(frequency, *, rate=16000, seconds=1.0, level=0.3):
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def snr(clean, heard):
    return 10 * np.log10(np.sum(np.square(clean, dtype=float)) / np.sum(np.square(heard - clean, dtype=float)))


# ------------------------------------------------------------------------------------------------------------- G.711


@pytest.mark.parametrize(
    ("law", "sample", "code", "heard"),
    [
        # G.711 table 1a: values of 13 bits; a decoded 1 is 8 of 16 bits, every second bit of a code is inverted
        (g711.a_law, 0, 0xD5, 8),
        (g711.a_law, -1, 0x55, -8),
        (g711.a_law, 32767, 0xAA, 32256),
        (g711.a_law, -32768, 0x2A, -32256),
        (g711.a_law, 16384, 0xA5, 16896),
        # G.711 table 2a: values of 14 bits; the largest is 8031
        (g711.mu_law, 0, 0xFF, 0),
        (g711.mu_law, -4, 0x7F, 0),
        (g711.mu_law, 4, 0xFE, 8),
        (g711.mu_law, 32767, 0x80, 8031 * 4),
        (g711.mu_law, -32768, 0x00, -8031 * 4),
    ],
)
def test_code_points_of_the_tables(law, sample, code, heard):
    back = g711.from_a_law if law is g711.a_law else g711.from_mu_law
    made = law(np.array([sample], np.int16))
    assert (made.dtype, int(made[0])) == (np.uint8, code)
    assert int(back(made)[0]) == heard


@pytest.mark.parametrize(("subtype", "law", "back"), [("ALAW", g711.a_law, g711.from_a_law),
                                                     ("ULAW", g711.mu_law, g711.from_mu_law)])  # fmt: skip
def test_all_codes_are_those_of_another_decoder_and_come_back(subtype, law, back):
    codes = np.arange(256, dtype=np.uint8)
    theirs, _ = soundfile.read(
        io.BytesIO(codes.tobytes()), dtype="int16", samplerate=8000, channels=1, format="RAW", subtype=subtype
    )
    ours = back(codes)
    assert ours.dtype == np.int16
    np.testing.assert_array_equal(ours, theirs)
    again = law(ours)
    if subtype == "ULAW":  # it has two zeros, of which a sample of 0 takes the positive one
        assert list(np.flatnonzero(again != codes)) == [0x7F]
        assert again[0x7F] == 0xFF
    else:
        np.testing.assert_array_equal(again, codes)


@pytest.mark.parametrize(("subtype", "law"), [("ALAW", g711.a_law), ("ULAW", g711.mu_law)])
def test_every_sample_is_coded_as_by_another_encoder(subtype, law):
    samples = np.arange(-32768, 32768).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="RAW", subtype=subtype)
    ours, theirs = law(samples), np.frombuffer(file.getvalue(), np.uint8)
    # a negative sample exactly between two codes: libsndfile takes the louder one, the ITU's software the other
    between = samples[ours != theirs]
    assert len(between) == 127
    assert between.max() < 0
    np.testing.assert_array_equal(law(between - 1), theirs[ours != theirs])


@pytest.mark.parametrize("law", ["a", "mu"])
@pytest.mark.parametrize("level", [-15, -20, -25, -30])
def test_noise_of_the_coding(law, level):
    """37 to 38 dB below the signal, whatever its level: what logarithmic coding with eight bits is for."""
    clean = (10 ** (level / 20) * np.random.default_rng(5).standard_normal(40000)).astype(np.float32)
    assert snr(clean, g711.through(clean, law)) == pytest.approx(37.5, abs=1.0)


# -------------------------------------------------------------------------------------------------------------- band


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_nothing_is_left_above_4_khz_and_what_is_below_stays(rate):
    noise = (0.1 * np.random.default_rng(1).standard_normal(2 * rate + 7)).astype(np.float32)
    heard = call(noise, rate)
    assert (heard.dtype, heard.shape) == (np.float32, noise.shape)
    power = np.abs(np.fft.rfft(heard)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / rate)
    assert power[frequencies > 4050].sum() < 1e-4 * power.sum()
    kept = call(noise, rate, **CLEAN)
    low = frequencies < 3400
    assert np.sum(np.abs(np.fft.rfft(kept)[low] - np.fft.rfft(noise)[low]) ** 2) < 1e-3 * np.sum(
        np.abs(np.fft.rfft(noise)[low]) ** 2
    )


def test_speech_of_8_khz_passes_and_short_clips_keep_their_length():
    clean = tone(440, rate=8000)
    np.testing.assert_allclose(call(clean, 8000, **CLEAN), clean, atol=1e-6)
    for length in (0, 1, 5, 161):
        assert call(np.zeros(length, np.float32)).shape == (length,)


def test_what_is_too_loud_is_cut_off():
    heard = call(tone(300, rate=8000, level=2.0), 8000, laws=("a",), loss=(0.0, 0.0))
    assert np.abs(heard).max() == pytest.approx(32256 / 32768)


# ------------------------------------------------------------------------------------------------------------- packets


@pytest.mark.parametrize(("share", "burst"), [(0.05, 1.5), (0.2, 4.0), (0.4, 1.0)])
def test_share_and_length_of_the_losses(share, burst):
    n = 100_000
    gone = packets.lost(n, share, burst, np.random.default_rng(2))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(int), [0]])))
    lengths = edges[1::2] - edges[::2]
    # five standard errors: losses of a chain whose memory multiplies the variance by (1 + r) / (1 - r)
    r = max(0.0, 1.0 - 1.0 / burst - share / (burst * (1.0 - share)))
    assert gone.mean() == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / n * (1 + r) / (1 - r)))
    spread = np.sqrt(burst * (burst - 1.0))
    assert lengths.mean() == pytest.approx(burst, abs=5 * spread / np.sqrt(len(lengths)) + 1e-9)


def test_a_lost_packet_is_silent():
    audio = np.ones(8000, np.float32)
    heard = call(audio, 8000, laws=(), loss=(0.3, 0.3), conceal="silence")
    frames = heard.reshape(-1, 160)
    assert set(np.unique(frames.mean(axis=1))) == {0.0, 1.0}
    assert 0.1 < (frames == 0).mean() < 0.5


def test_a_lost_packet_repeats_the_one_before_and_fades():
    audio = np.ones(800, np.float32)
    audio[160:] = 5.0  # never arrives
    gone = np.array([False, True, True, True, True])
    heard = packets.concealed(audio, gone, 160, 8000, repeat=True)
    time = np.arange(640) / 8000
    np.testing.assert_allclose(heard[:160], 1.0)
    np.testing.assert_allclose(heard[160:240], 1.0)  # 10 ms as loud
    np.testing.assert_allclose(heard[160:], np.clip(1.0 - 0.2 * (time - 0.01) / 0.01, 0.0, 1.0), atol=1e-6)
    assert heard[160 + 480 :].max() == 0.0  # 60 ms
    assert audio[160] == 5.0, "the clip that came in is left as it is"


def test_a_call_that_begins_with_a_loss_is_silent_until_a_packet_arrives():
    heard = packets.concealed(np.ones(320, np.float32), np.array([True, False]), 160, 8000, repeat=True)
    assert heard[:160].max() == 0.0
    assert heard[160:].min() == 1.0


# ------------------------------------------------------------------------------------------------ noise, chance, keys


def test_noise_of_the_line():
    heard = call(np.zeros(80000, np.float32), 8000, laws=(), loss=(0.0, 0.0), noise_db=(-40.0, -40.0))
    assert 20 * np.log10(np.std(heard)) == pytest.approx(-40.0, abs=0.2)


def test_the_generator_decides_everything():
    speech = tone(700, seconds=2.0)
    keys = {"loss": (0.2, 0.3), "noise_db": (-60.0, -40.0)}
    assert np.array_equal(call(speech, seed=3, **keys), call(speech, seed=3, **keys))
    assert not np.array_equal(call(speech, seed=3, **keys), call(speech, seed=4, **keys))


@pytest.mark.parametrize(
    ("keys", "key", "said"),
    [
        ({"p": 1.5}, "p", "p = 1.5, expected 0 to 1"),
        ({"packet": 20.0}, "packet", "packet = 20, expected 0.01 to 0.06"),
        ({"loss": (0.0, 0.8), "burst": 1.5}, "loss", "loss goes up to 80%, and bursts of 1.5 lose at most 60%"),
        ({"burst": 0.5}, "burst", "burst = 0.5"),
        ({"noise_db": (3.0, -50.0)}, "noise_db", "noise_db = 3"),
    ],
)
def test_keys_out_of_range_are_named(keys, key, said):
    (found,) = PhoneLine(**keys).findings()
    assert (found.level, found.path) == ("error", (key,))
    assert said in found.message
    assert not list(PhoneLine().findings())


def test_a_recipe_takes_it_and_epochs_hear_it(vox_project):
    project = vox_project(
        {
            "calls.toml": """
            name = "calls"
            extends = "ctc-full"
            [[data]]
            type = "manifest"
            path = "data/manifest.csv"
            [[augment]]
            type = "phone-line"
            p = 1.0
            laws = ["mu"]
            noise_db = [-70.0, -50.0]
            [model]
            checkpoint = "tiny"
            """
        }
    )
    project.speech("data", n=2)
    tiny_ctc(project.path / "tiny")
    assert "no problems" in project.run("recipe", "check", "calls.toml").assert_ok().out
    wrong = project.run("recipe", "check", "calls.toml", "augment.0.burst=0.2").assert_code(2)
    assert "burst = 0.2, expected 1 to 100" in wrong.err
    project.run("augment", "preview", "calls.toml", "--out", "heard", "--count", "1").assert_ok()
    (heard,) = (project.path / "heard").rglob("*epoch*.wav")
    samples, rate = soundfile.read(heard)
    power = np.abs(np.fft.rfft(samples)) ** 2
    assert power[np.fft.rfftfreq(len(samples), 1 / rate) > 4050].sum() < 1e-3 * power.sum()


def test_the_plugin_keeps_the_contract():
    from voxcli.testing import check_plugin

    check_plugin("vox_telephone")
