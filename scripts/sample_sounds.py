"""Write what a recording sounds like in English letters: the texts that the shipped base model learned from.

The spellings of Spanish, French, Italian and Russian disagree about what a letter says. espeak-ng turns the texts into
phonemes; each phoneme becomes the letters that English would use for it (Spanish "agente" -> "ahente", Italian
"chiamata" -> "cyamata"), digits become words, and a model hears one spelling for one sound.

In: folders asterisk-LANGUAGE with a manifest.csv. Out: OUT/LANGUAGE.csv, with absolute paths to the same recordings.
Needs the command espeak-ng (Debian's package of that name; 1.51 made the model that ships).

    python scripts/sample_sounds.py OUT asterisk-es asterisk-fr asterisk-it asterisk-ru
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

VOICES = {"es": "es-419", "fr": "fr", "it": "it", "ru": "ru"}
# what stands in the texts and is not said
NOT_SAID = re.compile(r"^[a-z-]+:\s|[\"“”«»…]")
# longest first; y is /y/ in French, /ɨ/ in Russian, and stands before all others
LANGUAGE = {"fr": {"y": "u"}, "ru": {"y": "i", "ʲ(?=[ieɪɛ])": "", "ʲ": "j"}}
SOUNDS = {
    "ɑ̃": "an", "ɔ̃": "on", "ɛ̃": "in", "œ̃": "un", "tɕ": "ch", "tʃ": "ch", "dʒ": "j", "ɜː": "er", "ɜ": "er",
    "ʃ": "sh", "ɕ": "sh", "ʒ": "j", "ʑ": "j", "ŋ": "ng", "ɲ": "ny", "ʎ": "ly", "ʝ": "y", "j": "y", "ɥ": "w",
    "θ": "th", "ð": "th", "β": "b", "ɣ": "g", "ɡ": "g", "x": "h", "ɾ": "r", "ʁ": "r", "ɹ": "r", "ɭ": "l",
    "a": "a", "ɑ": "a", "ʌ": "a", "ɐ": "a", "æ": "a", "ɛ": "e", "ə": "e", "ɚ": "er", "ɪ": "i", "ɨ": "i", "ɔ": "o",
    "ɒ": "o", "ɵ": "o", "ʊ": "u", "ø": "eu", "œ": "eu", "k": "c",
}  # fmt: skip
ANY_SOUND = re.compile("|".join(SOUNDS))
AFTERWARDS = {"cw": "qu", "cs": "x"}


def main(out: Path, folders: list[Path]) -> None:
    """One manifest a language: path, duration, text, language, speaker, split."""
    out.mkdir(parents=True, exist_ok=True)
    for folder in folders:
        language = folder.name.rsplit("-", 1)[-1]
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = ("path", "duration", "text", "language", "speaker", "split")
        with (out / f"{language}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            for row in rows:
                path = str((folder / row["path"]).resolve())
                writer.writerow({**row, "path": path, "text": sounds(row["text"], language)})
        print(f"{out / language}.csv: {len(rows)} texts")


def sounds(text: str, language: str) -> str:
    """A text in English letters and spaces, by what it sounds like."""
    said = NOT_SAID.sub("", text)
    command = ["espeak-ng", "-q", "--ipa", "-v", VOICES[language], "--", said]
    spoken = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spoken = re.sub(r"\(\w+\)", "", spoken)  # marks of foreign words
    for sound, letters in LANGUAGE.get(language, {}).items():
        spoken = re.sub(sound, letters, spoken)
    spoken = ANY_SOUND.sub(lambda found: SOUNDS[found.group()], spoken)
    for written, letters in AFTERWARDS.items():
        spoken = spoken.replace(written, letters)
    return " ".join(re.sub(r"[^a-z\s]", "", spoken).split())


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
