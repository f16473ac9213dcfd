"""`vox export RUN --to onnx`: a checkpoint -> model.onnx, what reads audio and text, and onnx.json.

The graph is compared with the model on noise before anything else is; voxcli then compares what both say of speech.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voxcli.api import config
from voxcli.errors import ModelError

if TYPE_CHECKING:
    from voxcli.checkpoints import OpenModel

log = logging.getLogger(__name__)

TASKS = ("ctc", "classification")


@config
class Onnx:
    """A CTC model or an audio classifier for onnxruntime. Adapters are merged."""

    engine: ClassVar[str] = "onnx"

    quantization: Literal["none", "int8"] = "none"
    """`none` keeps float32. `int8` keeps the weights of all linear layers in 8 bits: a third of the room and quicker on
    processors, at the price of a little exactness, which is measured on speech before the folder is kept."""
    tracer: Literal["torchscript", "dynamo"] = "torchscript"
    """How torch makes the graph: `torchscript` takes a second, `dynamo` (torch.export, needs onnxscript) ten to twenty;
    the graphs were equally exact and quick."""

    @property
    def repair(self) -> str | None:
        """What may help where the exported model says otherwise."""
        return "quantization=none keeps float32" if self.quantization == "int8" else None

    def export(self, checkpoint: Path, out: Path) -> Path:
        """Write model.onnx and all that belongs to it into the new folder `out`.

        Raises `ModelError` for a model that is neither CTC nor a classifier, and where the graph is not the model.
        """
        from voxcli.checkpoints import open_checkpoint, open_without_weights, save_without_weights

        if not (checkpoint / "adapter_config.json").is_file():
            _require_task(open_without_weights(checkpoint), checkpoint)  # a large model is not loaded to be refused
        opened = open_checkpoint(checkpoint, device="cpu")
        _require_task(opened, checkpoint)
        if opened.decoding.language is not None and (prepare := getattr(opened.task, "check_decoding", None)):
            prepare(opened.bundle, dataclasses.replace(opened.decoding, decoder=None))  # adapters of that language
        save_without_weights(opened, out)
        self._write(opened, out)
        return out

    def _write(self, opened: OpenModel, out: Path) -> None:
        import onnx

        from vox_onnx import graph, logits, noise
        from vox_onnx.description import GRAPH, Description
        from vox_onnx.network import runner

        model: Any = opened.bundle.model
        traced = noise.batch(opened, (noise.MIDDLE, noise.SHORT))
        other = noise.batch(opened, (1.7 * noise.MIDDLE, noise.SHORT, noise.MIDDLE))
        axes = graph.free_axes(traced.inputs, other.inputs)
        batches = [noise.batch(opened, durations) for durations in logits.CASES]
        wanted = logits.by(model)
        path = out / GRAPH
        first = path if self.quantization == "none" else out / f"float32.{GRAPH}"
        graph.write(model, traced.inputs, axes, first, tracer=self.tracer)
        plain = logits.difference(wanted, runner(first), batches, tolerance=logits.EXACT)
        other_way = "dynamo" if self.tracer == "torchscript" else "torchscript"
        plain.require(f"the graph of {type(model).__name__}", f"tracer={other_way} makes it in another way")
        shares = {"float32": plain.share}
        if self.quantization == "int8":
            graph.quantize(first, path, apart=graph.beyond_one_file(model))
            for file in (first, first.with_name(f"{first.name}.data")):
                file.unlink(missing_ok=True)
            rough = logits.difference(wanted, runner(path), batches, tolerance=logits.QUANTIZED)
            shares["int8"] = rough.require("the model in int8", "quantization=none keeps float32").share
        held = onnx.load(str(path), load_external_data=False)
        limits = opened.bundle.family.limits()
        short = logits.TOGETHER.index(noise.SHORT)
        description = Description(
            task=opened.bundle.family.task,
            sampling_rate=limits.sampling_rate,
            stride=limits.stride,
            inputs={
                one.name: {"type": str(traced.inputs[one.name].dtype).removeprefix("torch."), "axes": axes[one.name]}
                for one in held.graph.input
            },
            quantization=self.quantization,
            opset=held.opset_import[0].version,
            hears_padding=logits.hears_padding(wanted, batches[0], batches[-1], short),
            compared={"audio": "noise, alone and padded", **shares},
        )
        description.write(out)
        log.info("logits differ by up to %.1e of the largest", max(shares.values()))


def _require_task(opened: OpenModel, checkpoint: Path) -> None:
    task = opened.bundle.family.task
    if task in TASKS:
        return
    model_type = getattr(getattr(opened.bundle.model, "config", None), "model_type", None)
    whisper = model_type == "whisper"
    raise ModelError(
        f"{checkpoint} is a {model_type or type(opened.bundle.model).__name__} for {task}; "
        "onnx is for CTC models and classifiers",
        help="--to ctranslate2 (pip install vox-ctranslate2) runs a Whisper" if whisper else "--to merged",
    )
