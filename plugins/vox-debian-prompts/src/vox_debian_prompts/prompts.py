"""The voice prompts of Asterisk: what a telephone exchange says, by one voice a language, with the text of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from voxcli.api import SPLITS, Finding, Split, Utterance, config

if TYPE_CHECKING:
    from vox_debian_prompts.places import Place

Language = Literal["en", "es", "fr", "it", "ru"]
LANGUAGES: tuple[Language, ...] = ("en", "es", "fr", "it", "ru")


@config
class DebianPrompts:
    """`type = "debian-prompts"`: about 530 prompts a language, from Debian's packages asterisk-core-sounds-*."""

    root: Path = Path("/usr/share/asterisk/sounds")
    """A folder with the .deb files, or one with the files of the packages: /usr/share/asterisk/sounds, where apt-get
    install puts them, or what dpkg-deb -x has made."""
    languages: tuple[Language, ...] = LANGUAGES
    """Which languages; each is one voice (es is Mexican, fr Canadian)."""
    codec: Literal["g722", "gsm", "wav", "ulaw", "alaw"] = "g722"
    """Which recordings: g722 has 16 kHz, all others 8 kHz. Debian has packages of g722, gsm and wav."""
    validation: float = 0.1
    """Share of the texts that are the validation split, by a hash of the text: equal texts never cross. 0 and 0 leave
    all to the training split, for [holdout]."""
    test: float = 0.1
    """Share of the texts that are the test split."""

    def utterances(self, split: Split) -> Iterator[Utterance]:
        """The prompts of a split, language by language, sorted by name; ids are "en/digits/1"."""
        from vox_debian_prompts import recordings

        for place, name, path, text in self._prompts():
            if self._split(text) == split:
                yield Utterance(
                    id=f"{place.language}/{name}",
                    audio=path if self.codec == "wav" else recordings.Coded(path, self.codec),
                    duration=recordings.duration(path, self.codec),
                    text=text,
                    speaker=place.sounds.name.rpartition("_")[2].lower(),
                    language=place.language,
                )

    def fingerprint(self, split: Split) -> str:
        """Hash of the keys and of the files' places, number and times."""
        identities = [one for place in self._places() for one in place.identity]
        told = [split, self.codec, str(self.validation), str(self.test), *identities]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]

    def splits_present(self) -> tuple[Split, ...]:
        """Those that a text falls into: with few prompts a split may be empty."""
        present = {self._split(text) for *_, text in self._prompts()}
        return tuple(split for split in SPLITS if split in present)

    def findings(self) -> Iterator[Finding]:
        """Shares that are none, and no language."""
        if not self.languages:
            yield Finding("error", "languages is empty", f"any of {', '.join(LANGUAGES)}", path=("languages",))
        for key, share in (("validation", self.validation), ("test", self.test)):
            if not 0.0 <= share < 1.0 or self.validation + self.test >= 1.0:
                message = f"{key} = {share:g}: the shares of validation and test have to be 0 or more, below 1 together"
                yield Finding("error", message, "0.1 each is usual", path=(key,))

    def _prompts(self) -> Iterator[tuple[Place, str, Path, str]]:
        """Place, name, file and text of every prompt that has one."""
        from vox_debian_prompts import places, texts

        for place in self._places():
            said = texts.read(place.texts)
            alike = {name.casefold(): text for name, text in said.items()}  # digits/1f of the texts is digits/1F.g722
            for path in places.recordings(place.sounds, self.codec):
                name = path.relative_to(place.sounds).with_suffix("").as_posix()
                if text := said.get(name) or alike.get(name.casefold()):
                    yield place, name, path, text

    def _places(self) -> list[Place]:
        from vox_debian_prompts.places import find

        return find(Path(self.root).expanduser(), list(dict.fromkeys(self.languages)), self.codec)

    def _split(self, text: str) -> Split:
        """By the letters and digits of a text alone, so that "Goodbye." and "goodbye" stay together."""
        bare = " ".join(re.findall(r"\w+", text.casefold()))
        place = int.from_bytes(hashlib.sha256(bare.encode()).digest()[:8], "big") / 2**64
        if place < self.test:
            return "test"
        return "validation" if place < self.test + self.validation else "train"
