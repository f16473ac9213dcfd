"""Runs in a process of its own: names of libraries in, one line of JSON before and one after each import, out.

The line before says what was being imported when the process crashed or hung.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any


def main(names: Sequence[str]) -> None:
    """Import libraries in turn. What they print goes to stderr. Ends the process without tidying up."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for name in names:
        tell(out, {"name": name})
        begin = time.perf_counter()
        made: dict[str, Any] = {"name": name, "failure": None, "facts": {}}
        try:
            made["facts"] = _LOOKS.get(name, _plain)(name)
        except (Exception, SystemExit) as error:  # whatever a library raises is what is asked for
            made["failure"] = failure(error)
        tell(out, {**made, "seconds": time.perf_counter() - begin})
    os._exit(0)


def failure(error: BaseException) -> dict[str, Any]:
    """The first cause of an error, and the packages whose code was running, the outermost first."""
    packages: list[str] = []
    place = ""
    while True:
        for frame, line in traceback.walk_tb(error.__traceback__):
            package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if package in ("importlib", "voxcli", "ctypes") or frame.f_code.co_filename.startswith("<frozen"):
                continue
            place = f"{frame.f_code.co_filename}:{line}"
            if packages[-1:] != [package]:
                packages.append(package)
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            break
        error = cause
    return {
        "message": f"{type(error).__name__}: {error}".strip(),
        "packages": packages,
        "place": place,
        "missing": error.name if isinstance(error, ModuleNotFoundError) else None,
    }


def tell(out: Any, content: dict[str, Any]) -> None:
    """A line of JSON, at once."""
    out.write(json.dumps(content) + "\n")
    out.flush()


def _plain(name: str) -> dict[str, Any]:
    importlib.import_module(name)
    return {}


def _transformers(name: str) -> dict[str, Any]:
    """Its models are imported when they are asked for: one of each kind that is trained here."""
    library = importlib.import_module(name)
    for model in ("WhisperForConditionalGeneration", "Wav2Vec2ForCTC", "WhisperProcessor"):
        getattr(library, model)
    return {}


def _torch(name: str) -> dict[str, Any]:
    """What it was built for, and whether a GPU answers it."""
    torch = importlib.import_module(name)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = bool(torch.cuda.is_available())
    found: dict[str, Any] = {
        "version": str(torch.__version__),
        "cuda": getattr(torch.version, "cuda", None),
        "hip": getattr(torch.version, "hip", None),
        "available": available,
        "said": [str(one.message) for one in said],
        "threads": _quietly(lambda: int(torch.get_num_threads())),
        "archs": [],
        "devices": [],
    }
    if available:
        found["archs"] = list(_quietly(torch.cuda.get_arch_list) or ())
        found["devices"] = [_device(torch, index) for index in range(torch.cuda.device_count())]
    elif found["cuda"] or found["hip"]:
        try:
            torch.cuda.init()
        except Exception as error:  # RuntimeError, AssertionError or what the driver's library raises
            found["said"].append(str(error))
    return found


def _device(torch: Any, index: int) -> dict[str, Any]:
    """One GPU: a small sum shows whether torch has kernels for it."""
    found: dict[str, Any] = {"name": f"GPU {index}", "capability": None, "failure": None}
    try:
        found["name"] = str(torch.cuda.get_device_name(index))
        found["capability"] = list(torch.cuda.get_device_capability(index))
        (torch.ones(2, device=f"cuda:{index}") + 1).sum().item()
    except Exception as error:  # RuntimeError of any kind: its first line says which
        found["failure"] = str(error).strip().partition("\n")[0]
    return found


def _bitsandbytes(name: str) -> dict[str, Any]:
    """It imports without its native library and raises where that is used, so the library is looked at."""
    importlib.import_module(name)
    native = importlib.import_module(f"{name}.cextension").lib
    return {
        "native": not type(native).__name__.startswith("ErrorHandler"),
        "gpu": bool(getattr(native, "compiled_with_cuda", False)),
        "said": str(vars(native).get("error_msg", "")),
    }


def _quietly(ask: Callable[[], Any]) -> Any:
    with contextlib.suppress(Exception):
        return ask()
    return None


_LOOKS: dict[str, Callable[[str], dict[str, Any]]] = {
    "torch": _torch,
    "transformers": _transformers,
    "bitsandbytes": _bitsandbytes,
}
