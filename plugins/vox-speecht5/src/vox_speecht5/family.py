"""SpeechT5 (arXiv 2110.07205) as a text-to-speech model: `[model] type = "speecht5"`.

From a checkpoint, or from random weights with the sizes in the recipe and a vocabulary of the training texts' letters:

    [model]
    type = "speecht5"
    [model.config]
    hidden_size = 256
    encoder_layers = 4
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from voxcli.api import Bundle, Corpus, Finding, Limits, config, field


@config
class SpeechT5:
    """Text to speech with SpeechT5: letters in, log-mel frames out."""

    task: ClassVar[str] = "text-to-speech"

    checkpoint: str | None = None
    """A local folder or a hub id, for example microsoft/speecht5_tts. None: random weights, which take many hours of
    speech to learn from."""
    config: dict[str, Any] = field(default_factory=dict)
    """Sizes for random weights, or changes of a checkpoint's config: keys of transformers.SpeechT5Config."""
    speakers: Path | None = None
    """Vectors of the voices: a .parquet that `vox features x-vector RECIPE` has written (each speaker's mean is taken),
    or an .npz with an array for each speaker. None: those of the checkpoint, else one voice, whose vector is zero."""
    guided_attention: float | None = None
    """Weight of the loss that keeps letters and frames in step (arXiv 1710.08969); 0 leaves it out and saves time. None
    leaves the config's, 10."""
    freeze_encoder: bool = False
    """Keep the text encoder as it is: less memory, and enough for another voice of the same language."""

    def limits(self) -> Limits:
        """Longest text, longest and shortest clip, from the config alone. Raises `ModelError`."""
        return _limits(self._key)

    def saved_in(self, checkpoint: str) -> SpeechT5:
        """The same keys for a checkpoint that was trained with them: sizes and voices are the checkpoint's now."""
        return dataclasses.replace(self, checkpoint=checkpoint, config={}, speakers=None)

    def build(self, corpus: Corpus, **loading: Any) -> Bundle:
        """Load or initialise model, tokenizer and voices; `loading` goes to `from_pretrained`.

        Raises `ModelError` where the checkpoint is missing or is another model, `DataError` for vectors of no use.
        """
        from vox_speecht5.loading import build

        return build(self, copy.deepcopy(_config(self._key)), corpus, loading)

    def findings(self) -> Iterator[Finding]:
        """Weights below nothing; voices in a file that is none."""
        if self.guided_attention is not None and self.guided_attention < 0:
            message = f"guided_attention = {self.guided_attention:g}, expected 0 or more"
            yield Finding("error", message, "10.0 is usual, 0.0 leaves it out", path=("guided_attention",))
        if self.speakers is not None and self.speakers.suffix not in (".npz", ".parquet"):
            message = f"speakers = {self.speakers}: vectors of voices are in an .npz or a .parquet"
            yield Finding("error", message, "vox features x-vector RECIPE -o speakers.parquet", path=("speakers",))
        if self.freeze_encoder and self.checkpoint is None:
            message = "freeze_encoder keeps random weights as they are"
            yield Finding("error", message, "remove it, or name a checkpoint", path=("freeze_encoder",))

    @functools.cached_property
    def _key(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True, default=str)


@functools.lru_cache(maxsize=16)
def _config(key: str) -> Any:
    from vox_speecht5.loading import read_config

    keys = json.loads(key)
    made = read_config(keys["checkpoint"], keys["config"])
    if (weight := keys["guided_attention"]) is not None:
        made.use_guided_attention_loss, made.guided_attention_loss_scale = weight > 0, weight
    return made


@functools.lru_cache(maxsize=16)
def _limits(key: str) -> Limits:
    from vox_speecht5.loading import count, read_extractor

    made, extractor = _config(key), read_extractor(json.loads(key)["checkpoint"], _config(key))
    stride = extractor.hop_length * extractor.sampling_rate // 1000
    reduction = made.reduction_factor
    return Limits(
        sampling_rate=extractor.sampling_rate,
        min_duration=max(reduction - 1, 4) * stride / extractor.sampling_rate,  # the window has to be mirrored
        max_duration=made.max_speech_positions * reduction * stride / extractor.sampling_rate,
        stride=stride,
        max_label_length=made.max_text_positions,
        n_parameters=count(made),
    )
