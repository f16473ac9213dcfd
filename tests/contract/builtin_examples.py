"""Example keys of the built-in components that need some, with what they name written into a folder."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from voxcli.contract.material import Clips
from voxcli.testing import write_speech
from voxcli.testing_models import tiny_ctc, tiny_text_model


def examples(folder: Path) -> dict[str, dict[str, Any]]:
    """Files in `folder`, and keys by "KIND/NAME"."""
    speech = write_speech(folder / "speech", n=3)
    return {
        "dataset/manifest": {"path": str(speech / "manifest.csv")},
        "dataset/common-voice": {"root": str(_common_voice(folder / "cv", speech))},
        "dataset/audio-folder": {"root": str(_by_label(folder / "labels", speech))},
        "dataset/huggingface": {"path": str(_by_label(folder / "hf", speech))},
        "augmentation/noise": {"root": str(_sounds(folder / "noise"))},
        "augmentation/splice": {"alignment": str(_alignment(folder / "alignment.jsonl"))},
        "augmentation/audiomentations": {"transform": "SevenBandParametricEQ"},
        "model/encoder-decoder": {
            "encoder": str(tiny_ctc(folder / "encoder")),
            "decoder": str(tiny_text_model(folder / "decoder")),
            "encoder_add_adapter": True,
        },
    }


def _common_voice(root: Path, speech: Path) -> Path:
    (root / "clips").mkdir(parents=True)
    rows: dict[str, list[list[str]]] = {"train": [], "dev": [], "test": []}
    with (speech / "manifest.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = Path(row["path"]).name
            shutil.copy(speech / row["path"], root / "clips" / name)
            part = {"validation": "dev"}.get(row["split"], row["split"])
            rows[part].append([row["speaker"], name, row["text"], "en"])
    for part, found in rows.items():
        lines = ["client_id\tpath\tsentence\tlocale", *("\t".join(row) for row in found)]
        (root / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def _by_label(root: Path, speech: Path) -> Path:
    for number, path in enumerate(sorted((speech / "audio").glob("*.wav"))):
        place = root / ("train" if number % 3 else "test") / ("yes" if number % 2 else "no")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place / path.name)
    return root


def _sounds(root: Path) -> Path:
    root.mkdir()
    sound = np.random.default_rng(5).standard_normal(4000)
    soundfile.write(root / "hiss.wav", 0.2 * sound, 16_000)
    return root


def _alignment(path: Path) -> Path:
    """Of the utterances that augmentations which mix are tried with: their letters evenly in time."""
    clips = Clips(16_000)
    lines = []
    for row, duration in enumerate(clips.durations):
        one = clips.utterance(row)
        step = duration / len(one.text or "")
        tokens = [[letter, at * step, (at + 1) * step] for at, letter in enumerate(one.text or "")]
        lines.append(json.dumps({"id": one.id, "text": one.text, "score": -0.1, "tokens": tokens}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
