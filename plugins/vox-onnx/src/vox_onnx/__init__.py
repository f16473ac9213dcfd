"""A voxcli plugin: the exporter `onnx` (CTC models and classifiers as model.onnx) and the engine that runs them.

Reading order: exporter (the keys of `vox export`), noise (what is traced and compared), graph (how a model becomes a
graph), logits (whether it is the same), description (onnx.json), engine, network (a session as a model).
"""

from __future__ import annotations

from voxcli.api import ComponentRegistry, hookimpl


@hookimpl
def vox_register(registry: ComponentRegistry) -> None:
    """Offer exporter and engine."""
    registry.add(
        "exporter",
        "onnx",
        "vox_onnx.exporter:Onnx",
        summary="a CTC model or a classifier for onnxruntime, also in int8",
    )
    registry.add("engine", "onnx", "vox_onnx.engine:OnnxEngine", summary="CTC models and classifiers on onnxruntime")
