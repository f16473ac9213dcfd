"""The engine `onnx`: an exported folder -> transcripts or classes, computed by onnxruntime.

Only the network is another one. Features, batches, windows of long recordings, decoding and times are those of
voxcli's own engine: a model cannot say something else here because it is cut or decoded in another way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from voxcli.api import Decoding, Prediction, config
from voxcli.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

    from vox_onnx.description import Description
    from voxcli.checkpoints import OpenModel


@config
class Options:
    """Keys of `--engine-option`."""

    threads: int = 0
    """Threads of one product of matrices; 0 takes as many as torch does (OMP_NUM_THREADS, else the cores)."""


class OnnxEngine:
    """Runs what `vox export --to onnx` wrote."""

    exporter: ClassVar[str] = "onnx"
    options: ClassVar[type] = Options

    def __init__(self, model: OpenModel, description: Description, *, batch_duration: float = 120.0) -> None:
        from voxcli.checkpoints import engine_around

        self.model = model
        """The model with a session of onnxruntime in place of its weights."""
        self._description = description
        self._within = engine_around(model, batch_duration=batch_duration)
        self.decoding: Decoding = model.decoding
        self.sampling_rate = self._within.sampling_rate

    @classmethod
    def open(
        cls,
        name: str | Path,
        *,
        device: str | None = None,
        batch_duration: float = 120.0,
        options: Options | None = None,
    ) -> Self:
        """Load an exported folder. `device`: None takes CUDA where onnxruntime can, else the CPU.

        Raises `ModelError`.
        """
        from vox_onnx.description import read
        from vox_onnx.network import Network
        from voxcli.checkpoints import open_without_weights

        folder = Path(name).expanduser().resolve()
        description = read(folder)
        opened = open_without_weights(folder)
        threads = (options or Options()).threads
        network = Network(folder, description, opened.bundle.model.config, device=device, threads=threads)
        model = dataclasses.replace(opened, bundle=opened.bundle.replace(model=network))
        return cls(model, description, batch_duration=batch_duration)

    @staticmethod
    def opens(folder: Path) -> bool:
        """Whether a folder was exported for this engine."""
        from vox_onnx.description import FILE

        return (folder / FILE).is_file()

    def transcribe_batch(self, audio: Sequence[np.ndarray], decoding: Decoding) -> Sequence[Prediction | None]:
        """Several recordings of any length, each (N,) at `sampling_rate`, in order: transcripts or classifications.

        Of a model that hears the padding behind a clip, only clips of one length share a batch. None: does not fit the
        memory. Raises `ModelError` for a language whose adapters are not in the graph.
        """
        self._require_language(decoding)
        if not self._description.hears_padding:
            return self._within.transcribe_batch(audio, decoding)
        found: dict[int, Prediction | None] = {}
        for length in sorted({len(clip) for clip in audio}):
            rows = [row for row, clip in enumerate(audio) if len(clip) == length]
            some = self._within.transcribe_batch([audio[row] for row in rows], decoding)
            found.update(zip(rows, some, strict=True))
        return [found[row] for row in range(len(audio))]

    def _require_language(self, decoding: Decoding) -> None:
        """Attention adapters (MMS) are in the graph, those of one language."""
        bundle: Any = self.model.bundle
        tokenizer = getattr(bundle.processor, "tokenizer", None)
        adapted = getattr(bundle.model.config, "adapter_attn_dim", None) is not None
        spoken = getattr(tokenizer, "target_lang", None)
        if adapted and spoken is not None and decoding.language not in (None, spoken):
            raise ModelError(
                f"this folder was exported for the language '{spoken}', not for '{decoding.language}'",
                help="--engine transformers changes languages",
            )
