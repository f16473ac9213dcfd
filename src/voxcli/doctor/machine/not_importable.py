"""An error -> the library whose import raised it, so that one broken installation is one finding and not forty."""

from __future__ import annotations

from collections.abc import Iterator

LIBRARIES = frozenset(
    {
        *("torch", "torchaudio", "torchvision", "torchcodec", "triton", "kernels"),
        *("transformers", "tokenizers", "safetensors", "huggingface_hub", "accelerate", "peft", "bitsandbytes"),
        *("datasets", "numpy", "pyarrow", "soundfile", "soxr", "jiwer", "pydantic"),
    }
)
"""Top-level modules of what voxcli is built on, and of what those import where it is installed."""


def library_of(error: BaseException) -> str | None:
    """The innermost library in whose import the error was raised, or that is not installed; None where it is none."""
    found = None
    for one in _chain(error):
        trace = one.__traceback__
        while trace is not None:
            name = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
            if trace.tb_frame.f_code.co_name == "<module>" and name in LIBRARIES:
                found = name
            trace = trace.tb_next
        if isinstance(one, ModuleNotFoundError) and (one.name or "").partition(".")[0] in LIBRARIES:
            found = (one.name or "").partition(".")[0]
    return found


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it, the cause last."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
