"""The engine that runs a trained model as it is: run folder, checkpoint, adapter or hub id -> transcripts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from voxcli.api import Decoding, Transcript, Utterance
from voxcli.decoders.opening import check
from voxcli.engines.batching import collate, fits, inference, long_enough, pack, shortest_input, transcripts
from voxcli.engines.ceiling import Ceiling, Size
from voxcli.engines.halving import Halving, advice

if TYPE_CHECKING:
    import numpy as np

    from voxcli.models.open import OpenModel

log = logging.getLogger(__name__)

BATCH_DURATION = 120.0  # s of padded audio; four of Whisper's windows


class TransformersEngine:
    """Transcribes with a model in memory. Recordings that fit the model share batches; longer ones go one by one."""

    def __init__(self, model: OpenModel, *, batch_duration: float = BATCH_DURATION) -> None:
        self.model = model
        self.decoding: Decoding = model.decoding
        self._batch_duration = batch_duration
        self._limits = model.bundle.family.limits()
        self.sampling_rate = self._limits.sampling_rate
        self._ceiling = Ceiling()
        self._said = False

    @classmethod
    def open(
        cls,
        name: str | Path,
        *,
        device: str | None = None,
        batch_duration: float = BATCH_DURATION,
        encoder_context: str | None = None,
    ) -> Self:
        """Load a run folder, a checkpoint, an adapter or a hub id; `encoder_context` as in `open_model`.

        Raises `ModelError`.
        """
        from voxcli.errors import ModelError
        from voxcli.models.open import open_model

        opened = open_model(name, device=device, encoder_context=encoder_context)
        if getattr(opened.task, "learns", "text") == "label":
            raise ModelError(f"{name} classifies: it writes no text", help=f"vox classify FILE --model {name}")
        return cls(opened, batch_duration=batch_duration)

    def transcribe_batch(self, audio: Sequence[np.ndarray], decoding: Decoding) -> list[Transcript | None]:
        """Several recordings, each (N,) float32 at `sampling_rate`, in order; none is too short or too long.

        A batch that does not fit the memory is decoded in halves, which is said once, and so are later ones of its
        size. None stands for a recording that does not fit alone.
        """
        bundle, task = self.model.bundle, self.model.task
        check(task, bundle, decoding)
        durations = [len(clip) / self.sampling_rate for clip in audio]
        short = [index for index, clip in enumerate(audio) if fits(clip, self._limits)]
        shortest = shortest_input(bundle, self._limits)
        done: dict[int, Transcript | None] = {}

        def alone(indices: list[int]) -> list[Transcript]:
            return [task.transcribe(bundle, audio[index], decoding) for index in indices]

        def together(indices: list[int]) -> list[Transcript]:
            clips = [(_unnamed(index), long_enough(audio[index], self._limits)) for index in indices]
            batch = collate(bundle, task, clips)
            return transcripts(bundle, task, batch, [durations[index] for index in indices], decoding)

        one, several = Halving(alone), Halving(together, told=self._told, ceiling=self._ceiling)
        with inference(bundle, self._batch_duration):
            for index in sorted(set(range(len(audio))) - set(short)):
                (done[index],) = one([index], [durations[index]])
            for positions in pack([durations[index] for index in short], self._batch_duration, shortest=shortest):
                members = [short[position] for position in positions]
                found = several(members, [max(durations[index], shortest) for index in members])
                done.update(zip(members, found, strict=True))
        return [done[index] for index in range(len(audio))]

    def _told(self, size: Size, message: str, cut: bool) -> None:
        if cut and not self._said:
            self._said = True
            log.warning(advice(size))


def _unnamed(index: int) -> Utterance:
    return Utterance(id=str(index), audio=Path(str(index)))
