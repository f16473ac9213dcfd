"""An engine by its name, or the one that a model's folder names, with the model open in it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from voxcli.cli import console, imports
from voxcli.errors import UsageError


def opened_by(engine: str | None, options: Sequence[str], model: str, *, device: str | None, **loading: Any) -> Any:
    """An engine with a model: one that is exported for it already, or now. `loading` goes to its `open`.

    Raises `UsageError` for options that the engine does not have, `PluginError` where none is called so, `ModelError`.
    """
    from voxcli.export.origin import DEFAULT, engine_of, require_openable
    from voxcli.plugins.manager import manager

    name = engine or engine_of(model)
    runtime: Any = manager().registry.load("engine", name)
    require_openable(model, name, runtime)
    keys = getattr(runtime, "options", None)
    if "encoder_context" in loading and "encoder_context" not in inspect.signature(runtime.open).parameters:
        if "encoder_context" not in getattr(keys, "__annotations__", ()):
            raise UsageError(f"the engine '{name}' has no choice of contexts", help="leave --encoder-context out")
        options = [*options, f"encoder_context={loading.pop('encoder_context')}"]
    if options and keys is None:
        raise UsageError(f"the engine '{name}' takes no options", help="leave --engine-option out")
    if keys is not None:
        from voxcli.export.options import configured

        loading["options"] = configured(keys, name, options, kind="engine")
    if getattr(runtime, "exporter", None) is not None:
        from voxcli.export.ready import folder_for

        model = folder_for(
            runtime,
            name,
            model,
            device=device,
            batch_duration=loading.get("batch_duration", 120.0),
            progress=console.progress(),
        )
    if name == DEFAULT:
        imports.libraries()
    return runtime.open(model, device=device, **loading)
