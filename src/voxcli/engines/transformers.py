"""The engine that runs a trained model as it is: run folder, checkpoint, adapter or hub id -> transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from voxcli.api import Decoding, Transcript, Utterance
from voxcli.engines.batching import collate, fits, inference, long_enough, pack, shortest_input, transcripts

if TYPE_CHECKING:
    import numpy as np

    from voxcli.models.open import OpenModel

BATCH_DURATION = 120.0  # s of padded audio; four of Whisper's windows


class TransformersEngine:
    """Transcribes with a model in memory. Recordings that fit the model share batches; longer ones go one by one."""

    def __init__(self, model: OpenModel, *, batch_duration: float = BATCH_DURATION) -> None:
        self.model = model
        self.decoding: Decoding = model.decoding
        self._batch_duration = batch_duration
        self._limits = model.bundle.family.limits()
        self.sampling_rate = self._limits.sampling_rate

    @classmethod
    def open(cls, name: str | Path, *, device: str | None = None, batch_duration: float = BATCH_DURATION) -> Self:
        """Load a run folder, a checkpoint, an adapter or a hub id. Raises `ModelError`."""
        from voxcli.models.open import open_model

        return cls(open_model(name, device=device), batch_duration=batch_duration)

    def transcribe_batch(self, audio: Sequence[np.ndarray], decoding: Decoding) -> list[Transcript]:
        """Several recordings, each (N,) float32 at `sampling_rate`, in order; none is too short or too long."""
        bundle, task = self.model.bundle, self.model.task
        durations = [len(clip) / self.sampling_rate for clip in audio]
        short = [index for index, clip in enumerate(audio) if fits(clip, self._limits)]
        done: dict[int, Transcript] = {}
        with inference(bundle, self._batch_duration):
            for index in sorted(set(range(len(audio))) - set(short)):
                done[index] = task.transcribe(bundle, audio[index], decoding)
            packed = pack(
                [durations[index] for index in short],
                self._batch_duration,
                shortest=shortest_input(bundle, self._limits),
            )
            for positions in packed:
                members = [short[position] for position in positions]
                clips = [(_unnamed(index), long_enough(audio[index], self._limits)) for index in members]
                batch = collate(bundle, task, clips)
                of = transcripts(bundle, task, batch, [durations[index] for index in members], decoding)
                done.update(zip(members, of, strict=True))
        return [done[index] for index in range(len(audio))]


def _unnamed(index: int) -> Utterance:
    return Utterance(id=str(index), audio=Path(str(index)))
