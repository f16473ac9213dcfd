"""Packages and unpacked folders become utterances: with real G.722, GSM, G.711 and wav in real packages, made here."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from debian_packages import SOUNDS, VOICES, ar, package, prompts, repository, tar, texts

from vox_debian_prompts.prompts import DebianPrompts
from vox_debian_prompts.recordings import duration
from vox_debian_prompts.texts import read, spoken
from voxcli.errors import DataError

EN = """; Core Asterisk Sounds in English

activated: Activated.
beep: [this is a simple beep tone]
digits/1: one
letters/DASH: dash [-]
silence/1: (1 second of silence)
vm-goodbye: Good-bye
vm-bye: good bye.
gone: no recording of this
digits/1: two
"""
TONES = {
    "activated": 400,
    "beep": 500,
    "digits/1": 600,
    "letters/dash": 700,
    "silence/1": 50,
    "vm-goodbye": 900,
    "vm-bye": 950,
    "mute": 99,
}


NOISE = np.random.default_rng(0).bytes(5000)


def damaged(content: bytes, place: int) -> bytes:
    """The same with another byte at a place."""
    made = bytearray(content)
    made[place] ^= 0xFF
    return bytes(made)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VOX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VOX_DISABLE_PLUGINS", raising=False)


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory) -> Path:
    """A folder as apt-get download leaves it."""
    folder = tmp_path_factory.mktemp("downloaded")
    package(folder, "asterisk-core-sounds-en-g722", prompts(TONES))
    package(folder, "asterisk-core-sounds-en", texts(EN), compression="gz")
    return folder


def listed(root, **keys):
    dataset = DebianPrompts(root=root, **{"languages": ("en",), "validation": 0.0, "test": 0.0, **keys})
    return {one.id: one for one in dataset.utterances("train")}


def pitch(utterance):
    import soundfile

    samples, rate = utterance.audio() if callable(utterance.audio) else soundfile.read(utterance.audio)
    return np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples), samples, rate


def test_packages_become_utterances(downloaded):
    found = listed(downloaded)
    assert {name: one.text for name, one in found.items()} == {
        "en/activated": "Activated.",
        "en/digits/1": "one",  # the first of two
        "en/letters/dash": "dash",  # letters/DASH of the texts
        "en/vm-bye": "good bye.",
        "en/vm-goodbye": "Good-bye",
    }
    assert {(one.language, one.speaker) for one in found.values()} == {("en", "allison")}
    for name, one in found.items():
        heard, samples, rate = pitch(one)
        assert (rate, samples.dtype) == (16000, np.float32)
        assert len(samples) / rate == one.duration == pytest.approx(0.4)
        assert heard == pytest.approx(TONES[name.removeprefix("en/")], abs=3)
        assert 0.2 < np.abs(samples).max() < 0.35


@pytest.mark.parametrize("codec", ["gsm", "wav", "ulaw", "alaw"])
def test_other_codings_have_8_khz(tmp_path, codec):
    for name, content in {**prompts({"activated": 440}, codec), **texts(EN)}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (one,) = listed(tmp_path, codec=codec).values()
    heard, samples, rate = pitch(one)
    assert (rate, len(samples) / rate) == (8000, pytest.approx(one.duration))
    assert one.duration == pytest.approx(0.4, abs=0.02)
    assert heard == pytest.approx(440, abs=5)


def test_an_unpacked_folder_and_an_installed_one_are_read_as_well(downloaded, tmp_path):
    for path in downloaded.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", path, tmp_path], check=True) if shutil.which("dpkg-deb") else None
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg-deb is not here")
    expected = [(one.id, one.text, one.duration) for one in listed(downloaded).values()]
    for root in (tmp_path, tmp_path / SOUNDS):
        assert [(one.id, one.text, one.duration) for one in listed(root).values()] == expected
    # Asterisk's own archives hold the texts beside the voice
    shutil.copytree(tmp_path / SOUNDS / VOICES["en"], tmp_path / "own/en")
    (tmp_path / "own/core-sounds-en.txt").write_text(EN)
    assert len(listed(tmp_path / "own")) == len(expected)


def test_links_inside_a_package_are_followed_and_nothing_leaves_the_folder(tmp_path):
    made = prompts({"digits/1": 600})
    (name,) = made
    links = {name.replace("digits/1", "activated"): "digits/1.g722", "usr/share/doc/core-sounds-x": "/etc/passwd"}
    outside = {f"{SOUNDS}/../../../../../../outside.g722": b"x"}
    package(tmp_path, "asterisk-core-sounds-en-g722", {**made, **outside}, links=links)
    package(tmp_path, "asterisk-core-sounds-en", texts(EN))
    found = listed(tmp_path)
    assert sorted(found) == ["en/activated", "en/digits/1"]
    assert pitch(found["en/activated"])[0] == pytest.approx(600, abs=3)
    assert not list(tmp_path.rglob("outside.g722"))


def test_a_package_is_unpacked_once_and_again_when_it_is_another(tmp_path):
    path = package(tmp_path, "asterisk-core-sounds-en-g722", prompts({"activated": 400}))
    package(tmp_path, "asterisk-core-sounds-en", texts(EN))
    dataset = DebianPrompts(root=tmp_path, languages=("en",))
    before = dataset.fingerprint("train")
    (cached,) = (tmp_path / "cache/debian-prompts").rglob("*.g722")
    then = cached.stat().st_ctime_ns
    assert dataset.fingerprint("train") == before != dataset.fingerprint("test")
    assert cached.stat().st_ctime_ns == then
    package(tmp_path, "asterisk-core-sounds-en-g722", prompts({"activated": 400, "digits/1": 600}))
    assert dataset.fingerprint("train") != before
    assert path.is_file()
    assert len(listed(tmp_path)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ascending tones]", ""),
        (" <beep decending>", ""),
        ("(10 seconds of silence)", ""),
        ("", ""),
        ("space [ ]", "space"),
        ("[!] punto esclamativo", "punto esclamativo"),
        ('IAX (note: does not say "2")', "IAX"),
        ("Press the pound key. (a tone follows).", "Press the pound key."),
        ("Il [suo] messaggio è  stato salvato.", "Il suo messaggio è stato salvato."),
        ("au menu poli (ne m'appelez plus, jamais), 4.", "au menu poli ne m'appelez plus, jamais, 4."),
        ("quando il nostro (enfatico) glorioso moderatore", "quando il nostro glorioso moderatore"),
    ],
)
def test_what_is_said_of_a_text(text, said):
    assert spoken(text) == said


def test_equal_texts_stay_in_one_split_and_all_splits_are_filled(tmp_path):
    names = {f"n/{index}": 300 + index for index in range(60)}
    lines = "".join(f"n/{index}: Number {index // 2}{'.' * (index % 2)}\n" for index in range(60))
    package(tmp_path, "asterisk-core-sounds-en-g722", prompts(dict.fromkeys(names, 300)))
    package(tmp_path, "asterisk-core-sounds-en", texts(lines))
    dataset = DebianPrompts(root=tmp_path, languages=("en",), validation=0.2, test=0.2)
    found = {split: [one.text.strip(".") for one in dataset.utterances(split)] for split in dataset.splits_present()}
    assert sorted(found) == ["test", "train", "validation"]
    assert sum(map(len, found.values())) == 60
    assert all(found.values())
    assert not set(found["train"]) & {*found["validation"], *found["test"]}
    assert not set(found["validation"]) & set(found["test"])
    assert DebianPrompts(root=tmp_path, languages=("en",), validation=0.0, test=0.0).splits_present() == ("train",)


def test_what_is_missing_is_named_with_the_command(tmp_path):
    package(tmp_path, "asterisk-core-sounds-en-gsm", prompts({"activated": 400}, "gsm"))
    with pytest.raises(DataError) as raised:
        listed(tmp_path, languages=("en", "it"), codec="gsm")
    assert "asterisk-core-sounds-en, asterisk-core-sounds-it-gsm, asterisk-core-sounds-it" in raised.value.message
    assert (
        "apt-get download asterisk-core-sounds-en asterisk-core-sounds-it-gsm asterisk-core-sounds-it "
        in raised.value.help
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>not found</html>", "is no Debian package"),
        (ar({"debian-binary": b"2.0\n"}), "holds no data.tar"),
        (ar({"data.tar.zst": b"(\xb5/\xfd"}), "data.tar.zst, which Python's standard library does not read"),
        (ar({"data.tar.xz": tar({"a": b"b"})})[:-40], "is cut short"),
        (ar({"data.tar.xz": tar({"a": b"b" * 5000})[:-60]}), "cannot be read"),
        (ar({"data.tar.xz": damaged(tar({"a": NOISE}), -30)}), "cannot be read"),  # in the index behind the data
        (ar({"data.tar.gz": damaged(tar({"a": NOISE}, compression="gz"), -6)}), "CRC check failed"),
        (ar({"data.tar.gz": damaged(tar({"a": NOISE}, compression="gz"), 2000)}), "cannot be read"),
        (ar({"data.tar.bz2": tar({"a": NOISE}, compression="bz2")[:-9]}), "cannot be read"),
        (ar({"data.tar": tar({"a": b"b"}, compression="")[:1024]}), "unexpected end of data"),
        (ar({"data.tar": tar({"a": b"b"}, compression="")[:1536]}), "is cut short or damaged at byte 1,536"),
        (ar({"data.tar": damaged(tar({"a": b"b", "c": b"d"}, compression=""), 1540)}), "damaged at byte 1,536"),
        (ar({"data.tar.xz": tar({}, links={"a": "a"})}), "a link in it leads to itself"),
    ],
)
def test_a_damaged_package_is_an_error_that_names_it(tmp_path, content, said):
    (tmp_path / "asterisk-core-sounds-en-g722_1_all.deb").write_bytes(content)
    with pytest.raises(DataError, match=r"asterisk-core-sounds-en-g722_1_all\.deb") as raised:
        listed(tmp_path)
    assert said in raised.value.message
    assert not list((tmp_path / "cache").rglob(".unpacking-*"))


def test_damaged_texts_and_recordings_are_errors(tmp_path):
    packed = bytearray(gzip.compress(b"".join(b"n/%d: %d\n" % (n, n * n) for n in range(400))))
    packed[300:340] = bytes(40)
    (tmp_path / "t.txt.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"t\.txt\.gz cannot be read"):
        read(tmp_path / "t.txt.gz")
    (content,) = prompts({"a": 440}, "wav").values()
    (tmp_path / "a.wav").write_bytes(content[:24] + bytes(4) + content[28:])
    with pytest.raises(DataError, match=r"a\.wav cannot be read: its header has a sampling rate of 0"):
        duration(tmp_path / "a.wav", "wav")


def test_a_recipe_reads_them(downloaded, vox_project):
    recipe = f"""
    name = "prompts"
    extends = "ctc-full"
    [[data]]
    type = "debian-prompts"
    root = "{downloaded}"
    languages = ["en"]
    validation = 0.0
    test = 0.0
    [holdout]
    validation = 0.3
    [model]
    checkpoint = "facebook/wav2vec2-base"
    """
    project = vox_project({"prompts.toml": recipe})
    shown = json.loads(project.run("data", "stats", "prompts.toml", "--json").assert_ok().out)
    assert "allison" in json.dumps(shown)
    wrong = project.run("recipe", "check", "prompts.toml", "data.0.test=1.5").assert_code(2)
    assert "test = 1.5" in wrong.err
    project.write({"empty.toml": recipe.replace(str(downloaded), ".")})
    nothing = project.run("data", "stats", "empty.toml").assert_code(1)
    assert "apt-get download asterisk-core-sounds-en-g722 asterisk-core-sounds-en" in nothing.err


@pytest.mark.skipif(not shutil.which("apt-get"), reason="apt-get is not here")
def test_fetch_downloads_with_apt_and_compares_checksums(downloaded, tmp_path, vox_project, monkeypatch):
    """With a real apt, whose only source is a folder."""
    source = tmp_path / "source"
    shutil.copytree(downloaded, source)
    repository(source)
    for name in ("state/lists/partial", "cache/archives/partial", "etc", "log"):
        (tmp_path / "apt" / name).mkdir(parents=True)
    (tmp_path / "apt/sources.list").write_text(f"deb [trusted=yes] file:{source} ./\n")
    (tmp_path / "apt/status").write_text("")
    settings = tmp_path / "apt/apt.conf"
    settings.write_text(
        f'Dir::Etc "{tmp_path}/apt/etc"; Dir::Etc::SourceList "{tmp_path}/apt/sources.list"; '
        f'Dir::Etc::SourceParts "/dev/null"; Dir::State "{tmp_path}/apt/state"; '
        f'Dir::State::status "{tmp_path}/apt/status"; Dir::Cache "{tmp_path}/apt/cache"; '
        f'Dir::Log "{tmp_path}/apt/log"; APT::Sandbox::User "{os.environ.get("USER", "root")}";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(settings))
    subprocess.run(["apt-get", "update", "-q"], check=True, capture_output=True)

    project = vox_project()
    said = project.run("debian-prompts", "fetch", "debs", "-l", "en", "--dry-run").assert_ok()
    assert "runs in debs: apt-get download asterisk-core-sounds-en-g722 asterisk-core-sounds-en\n" in said.err
    assert not (project.path / "debs").exists()
    first = project.run("debian-prompts", "fetch", "debs", "-l", "en", "--json").assert_ok()
    files = json.loads(first.out)["files"]
    assert [one["package"] for one in files] == ["asterisk-core-sounds-en-g722", "asterisk-core-sounds-en"]
    assert len(listed(project.path / "debs")) == 5
    again = project.run("debian-prompts", "fetch", "debs", "-l", "en").assert_ok()
    assert "debs has them all" in again.err

    (spoiled,) = (project.path / "debs").glob("asterisk-core-sounds-en_*.deb")
    spoiled.write_bytes(b"spoiled")
    broken = (source / spoiled.name).write_bytes(b"!<arch>\nanother one")
    assert broken
    refused = project.run("debian-prompts", "fetch", "debs", "-l", "en").assert_code(1)
    assert "error:" in refused.err
    unknown = project.run("debian-prompts", "fetch", "debs", "-l", "it").assert_code(1)
    assert "apt knows no package asterisk-core-sounds-it-g722" in unknown.err


def test_fetch_says_what_to_do_without_apt(vox_project, monkeypatch):
    project = vox_project({"file": ""})
    assert "file is no folder" in project.run("debian-prompts", "fetch", "file").assert_code(2).err
    monkeypatch.setenv("PATH", "/nonexistent")
    refused = vox_project().run("debian-prompts", "fetch", "debs").assert_code(2)
    assert "https://packages.debian.org/" in refused.err
    assert "no prompts in tr" in vox_project().run("debian-prompts", "fetch", "d", "-l", "tr").assert_code(2).err


def test_the_plugin_keeps_the_contract(downloaded):
    from voxcli.testing import check_plugin

    check_plugin(
        "vox_debian_prompts", examples={"dataset/debian-prompts": {"root": str(downloaded), "languages": ["en"]}}
    )


@pytest.mark.skipif("VOX_DEBIAN_PROMPTS" not in os.environ, reason="VOX_DEBIAN_PROMPTS names no folder of packages")
def test_debians_own_packages():
    """asterisk-core-sounds-*-g722 1.6.1-1: counts, minutes, and that the longest and the shortest decode whole."""
    dataset = DebianPrompts(root=Path(os.environ["VOX_DEBIAN_PROMPTS"]), validation=0.0, test=0.0)
    found = list(dataset.utterances("train"))
    counts, minutes = {}, {}
    for one in found:
        counts[one.language] = counts.get(one.language, 0) + 1
        minutes[one.language] = minutes.get(one.language, 0.0) + one.duration / 60
    assert counts == {"en": 551, "es": 479, "fr": 509, "it": 580, "ru": 554}
    assert {language: round(value, 1) for language, value in minutes.items()} == {
        "en": 24.3,
        "es": 28.9,
        "fr": 23.9,
        "it": 22.6,
        "ru": 23.5,
    }
    by_length = sorted(found, key=lambda one: one.duration)
    for one in (by_length[0], by_length[-1]):
        samples, rate = one.audio()
        assert len(samples) / rate == one.duration
