"""A Whisper and the checkpoint that it was trained from -> what both still do with a few recordings that ship.

Four English sentences of the sample speech, 3 to 5 s each, and 3 s of digital silence: timestamps, the language that is
heard, the words. Few, but the same for both models; what is compared is whether an ability is there at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voxcli.audio.decode import read
from voxcli.errors import ModelError
from voxcli.models.checkpoint import quietly
from voxcli.models.generation import languages
from voxcli.models.open import open_model
from voxcli.sample import SPEECH
from voxcli.tasks.metrics import word_error_rate
from voxcli.tasks.wrapped import decoding_mode, device_of
from voxcli.text.scoring import english_spelling_of, scoring_normalizer

CLIPS = (
    ("agent-newlocation", "Please enter a new extension, followed by pound."),
    ("agent-pass", "Please enter your password followed by the pound key."),
    ("conf-getchannel", "Please enter the channel number followed by the pound key."),
    ("conf-invalid", "That is not a valid conference number. Please try again."),
)
SILENCE = 3.0  # s
LIMIT = 40  # tokens; the sentences take 16 at most
_LATE = 1.0  # s by which a time may lie beyond the clip


@dataclass(frozen=True)
class Probed:
    """What one model does."""

    timed: float
    """Share of the sentences that have a time before and a sensible one behind their text."""
    heard: float | None
    """Share of the sentences in which English is heard; None for a model of one language."""
    errors: float
    """Word error rate of the sentences, decoded as English."""
    endless: float
    """Share of sentences and silence whose text runs to the limit."""


def probe(checkpoint: Path) -> Probed:
    """Raises `ModelError` where the model cannot be opened, or takes no clip of 5 s."""
    opened = open_model(checkpoint, dtype="float32")
    model: Any = opened.bundle.model
    family, processor = opened.bundle.family, opened.bundle.processor
    rate = processor.feature_extractor.sampling_rate
    window = opened.bundle.family.limits().max_duration
    clips = [read(SPEECH / "audio" / f"{name}.flac", sampling_rate=rate) for name, _ in CLIPS]
    durations = [len(clip) / rate for clip in clips]
    if max(durations) > window:
        raise ModelError(f"its window of {window:g} s is shorter than the sample speech", help="nothing to do")
    clips.append(np.zeros(int(SILENCE * rate), dtype=np.float32))
    mels = [_features(family, clip, processor) for clip in clips]
    batches = [mels] if len({mel.shape for mel in mels}) == 1 else [[mel] for mel in mels]
    table = languages(model)
    options: dict[str, Any] = {"max_new_tokens": LIMIT, "num_beams": opened.decoding.num_beams, "do_sample": False}
    if "en" in table:
        options |= {"language": "en", "task": "transcribe"}
    plain: list[list[int]] = []
    marked: list[list[int]] = []
    heard: list[int] = []
    with quietly(), decoding_mode(model):
        for batch in batches:
            mel = torch.stack(batch).to(device_of(model), model.dtype)
            plain += model.generate(mel, **options).tolist()
            marked += model.generate(mel, **options, return_timestamps=True).tolist()
            heard += model.detect_language(mel).tolist() if table else []
    end, count = model.generation_config.eos_token_id, len(CLIPS)
    texts = [processor.tokenizer.decode(ids, skip_special_tokens=True) for ids in plain[:count]]
    timed = sum(_timed(ids, model, duration) for ids, duration in zip(marked[:count], durations, strict=True))
    endless = sum(end not in ids and len(ids) >= LIMIT for ids in plain)
    score = scoring_normalizer("en", english_spelling_of(processor.tokenizer))
    errors = word_error_rate([score(text) for text in texts], [score(text) for _, text in CLIPS])
    english = sum(one == table.get("en") for one in heard[:count]) / count if table else None
    return Probed(timed / count, english, errors, endless / len(plain))


def _features(family: Any, clip: np.ndarray, processor: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(family.features(clip, processor)))


def _timed(ids: list[int], model: Any, duration: float) -> bool:
    """Whether text stands between a time at its beginning and one at its end that lies within the clip."""
    first = model.generation_config.no_timestamps_token_id + 1
    end = model.generation_config.eos_token_id
    ids = [one for one in ids if one != end]
    times = [place for place, one in enumerate(ids) if one >= first]
    if len(times) < 2 or times[-1] != len(ids) - 1 or times[-1] - times[0] < 2:
        return False
    seconds = [(ids[place] - first) * 0.02 for place in times]
    return 0.0 < seconds[-1] <= duration + _LATE and seconds == sorted(seconds)
