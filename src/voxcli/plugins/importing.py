"""Code of a plugin runs in this process -> what it prints goes to stderr, what it raises is named."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from voxcli.errors import PluginError


def load(target: str) -> Any:
    """What an entry point names: "module" or "module:attribute.attribute". Raises what the import raises."""
    module, _, attributes = target.partition("[")[0].strip().partition(":")
    names = [one for one in attributes.strip().split(".") if one]
    return functools.reduce(getattr, names, importlib.import_module(module.strip()))


def load_file(path: Path, content: bytes) -> ModuleType:
    """The module that a plugin file makes, from the bytes that were read of it. Raises what the file raises."""
    name = f"vox_plugin_{path.stem.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"--plugin {path} is not a Python file", help="its name has to end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that its components can be imported and pickled by name
    exec(compile(content, str(path), "exec"), module.__dict__)
    return module


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Send to stderr what is written to stdout meanwhile: stdout is for results."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    kept, errors = _turned(), sys.stderr
    try:
        with contextlib.redirect_stdout(errors):
            yield
    finally:
        sys.stderr = errors
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _turned() -> int | None:
    """Make file descriptor 1 the same as 2; a copy of what it was, or None where one of them is closed."""
    try:
        kept = os.dup(1)
    except OSError:
        return None
    try:
        os.dup2(2, 1)
    except OSError:
        os.close(kept)
        return None
    return kept
