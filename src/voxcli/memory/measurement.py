"""A prediction -> the same batches run for real on this machine's device, and their tensors counted.

Training and evaluation run one after the other on one model, which is loaded with its weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxcli.api import Decoding
from voxcli.engines.halving import is_out_of_memory
from voxcli.errors import ModelError
from voxcli.memory.counted import build, count_evaluation, count_step
from voxcli.memory.predict import Phase, Prediction
from voxcli.progress import NULL, Progress

_NOT_HELD = ("gradients", "optimizer", "averages")  # by an evaluation that is run by itself


@dataclass(frozen=True)
class Measurement:
    """One phase as it was predicted and as it was counted, bytes of tensors."""

    name: str
    predicted: int
    counted: int

    @property
    def error(self) -> float:
        """Relative; above 0 where too much was predicted."""
        return self.predicted / self.counted - 1.0 if self.counted else 0.0


def measure(prediction: Prediction, decoding: Decoding, *, progress: Progress = NULL) -> list[Measurement]:
    """Run the worst training batch for two optimizer steps, then the worst evaluation batch.

    Raises `ModelError` where the weights cannot be loaded, and where the device's memory runs out.
    """
    setup = prediction.setup
    phases = {phase.name: phase for phase in prediction.phases}
    first, later = phases["first step"], phases["later steps"]
    found: list[Measurement] = []
    try:
        progress.say("loading the weights")
        bundle = build(setup)
        if (evaluation := phases.get("evaluation")) is not None:
            progress.say(f"evaluating {_words(evaluation)}")
            held = sum(evaluation.peak.parts.get(name, 0) for name in _NOT_HELD)
            counted = count_evaluation(setup, evaluation.shape, decoding, bundle=bundle).total
            found.append(Measurement("evaluation, by itself", evaluation.peak.total - held, counted))
        progress.say(f"training two steps of {_words(first)}")
        peaks = count_step(setup, first.shape, bundle=bundle)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        done = "".join(f"; {one.name}: {one.error:+.2%}" for one in found)
        raise ModelError(
            f"this device's memory ran out while it was measured: {str(error).splitlines()[0]}{done}",
            help="plan without --measure, and change the recipe until it fits",
        ) from error
    return [
        Measurement("first step", first.peak.total, peaks.first.total),
        Measurement("later steps", later.peak.total, peaks.steady.total),
        *found,
    ]


def _words(phase: Phase) -> str:
    return f"{phase.shape.n_utterances} clips of {phase.shape.duration:.1f} s"
