"""About how many bytes training a checkpoint takes at the least: one clip at a time, activations computed again.

Weights, gradients and optimizer states are counted; activations are an estimate for the layout that all these models
share (arXiv 2205.05198, section 4: about 34 T d bytes a layer in half precision, and what attention needs; only each
layer's input is kept with checkpointing). `vox plan` counts a recipe exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxcli.suggest.catalogue import Known

GIB = 2**30
CONTEXT = 0.9 * GIB
"""What CUDA and its libraries take before any tensor (memory.fixed: 0.5 to 1.2 GiB, by card)."""
FRAMES = 50  # a second, in every encoder here after its convolutions
LONGEST = 15.0  # s; the clip that decides, where no window does
_LORA = 0.02  # share of the weights that an adapter of rank 32 adds
_ROOM = 1.1
"""Fragmentation and the loss."""


@dataclass(frozen=True)
class Method:
    """A way to train."""

    name: str
    preset: str
    frozen: float
    """Bytes of a weight that is not trained; of full training, none."""
    trained: float
    """Share of the weights that is trained."""
    bytes_trained: float = 16.0
    """fp32 weight, gradient, two Adam moments."""


FULL = "full"
METHODS: dict[str, tuple[Method, ...]] = {
    "whisper": (
        Method(FULL, "whisper-full", 0.0, 1.0),
        Method("LoRA on int8", "whisper-lora-int8", 1.15, _LORA),
        Method("LoRA on 4 bit", "whisper-qlora", 0.75, _LORA),
    ),
    "ctc": (
        Method(FULL, "ctc-full", 0.0, 1.0),
        Method("LoRA on half precision", "ctc-lora", 2.0, 2 * _LORA),
    ),
    "classifier": (
        Method(FULL, "classifier-full", 0.0, 1.0),
        Method("output layer alone", "classifier-frozen", 4.0, 0.005),
    ),
    "pretraining": (Method(FULL, "pretraining", 0.0, 1.0),),
}


def least(known: Known, method: Method) -> float:
    """Bytes of training with the smallest batch."""
    weights = known.parameters * 1e6
    resting = weights * (method.frozen * (1 - method.trained) + method.bytes_trained * method.trained)
    frames = (known.window or LONGEST) * FRAMES
    layers = known.layers + known.decoder_layers
    kept = 4.0 * frames * known.width * layers  # each layer's input, fp32
    inside = 34.0 * frames * known.width + 2.0 * frames * known.width * 8  # one layer, and its gradients
    convolutions = 0.0 if known.window else 60.0 * 16_000 * LONGEST  # the first layers of raw audio: 512 channels
    return CONTEXT + _ROOM * (resting + kept + inside + convolutions)
