"""Work on a batch of clips that runs out of memory -> the same work on its halves, and which clips do not fit alone.

What failed once is not tried at that size again. Nothing that the failed attempt held survives it: an exception keeps
the frames it passed through, and with them every tensor in their variables.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from voxcli.engines.ceiling import Ceiling, Size

_Clip = TypeVar("_Clip")
_Out = TypeVar("_Out")

_SAID = (
    "out of memory",  # CUDA, MPS, XPU, and drivers: "CUDA error: out of memory"
    "can't allocate memory",  # DefaultCPUAllocator on Linux and macOS
    "not enough memory",  # DefaultCPUAllocator on Windows
    "ALLOC_FAILED",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED, CUFFT_ALLOC_FAILED
    "std::bad_alloc",
)
_SAID_WHOLLY = ("could not create a primitive", "could not create a memory object")
"""All that oneDNN says where a convolution on a processor gets no memory (seen with torch 2.13 under a limit)."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that memory ran out, on any device."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    # torch has no class of its own for a processor's memory
    return isinstance(error, RuntimeError) and (text.strip() in _SAID_WHOLLY or any(said in text for said in _SAID))


def forget(error: BaseException) -> None:
    """Clear the variables of every frame that an error passed through, and of the errors before it."""
    known: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in known:
        known.add(id(one))
        traceback.clear_frames(one.__traceback__)
        one = one.__cause__ or one.__context__


def release() -> None:
    """Give back what nothing refers to: cycles of objects, cached blocks of the device, free pages of the heap."""
    import ctypes
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
    with contextlib.suppress(OSError, AttributeError):  # malloc_trim(3) is glibc's
        ctypes.CDLL(None).malloc_trim(0)


class Halving(Generic[_Clip, _Out]):
    """Does `work` on batches of clips, in halves where memory runs out.

    Args:
        work: clips -> one result each, in order. It is called again with fewer clips, so nothing of it may be counted
            before it has returned.
        told: called with the size of every batch that did not fit, the message of torch, and whether it could be cut.
        ceiling: what failed before; every failure lowers it.
    """

    def __init__(
        self,
        work: Callable[[list[_Clip]], Sequence[_Out]],
        *,
        told: Callable[[Size, str, bool], None] | None = None,
        ceiling: Ceiling | None = None,
    ) -> None:
        self._work = work
        self._told = told
        self.ceiling = ceiling if ceiling is not None else Ceiling()

    def __call__(self, clips: Sequence[_Clip], durations: Sequence[float]) -> list[_Out | None]:
        """A result for each clip, in order; None for one that does not fit even alone. `durations`: s, of each clip.

        Errors of other kinds are raised as they are.
        """
        done: list[_Out | None] = []
        waiting = [list(range(len(clips)))] if len(clips) else []
        while waiting:
            members = waiting.pop(0)
            size = Size(len(members), max(durations[index] for index in members))
            said = "" if self.ceiling.reached(size) else self._attempt([clips[index] for index in members], done)
            if said is None:
                continue
            if said:
                release()
                self.ceiling.lower(size)
                if self._told is not None:
                    self._told(size, said, len(members) > 1)
            if len(members) == 1:
                done.append(None)
            else:
                middle = (len(members) + 1) // 2
                waiting[:0] = [members[:middle], members[middle:]]
        return done

    def _attempt(self, clips: list[_Clip], done: list[_Out | None]) -> str | None:
        """What torch says where the memory runs out; None where the results were added to `done`."""
        try:
            results = list(self._work(clips))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            forget(error)
            return str(error).splitlines()[0] if str(error) else type(error).__name__
        if len(results) != len(clips):
            raise ValueError(f"{len(results)} results for {len(clips)} clips")
        done += results
        return None


def whole(results: Sequence[_Out | None]) -> list[_Out]:
    """The results of a `Halving`. Raises `MemoryError` where one is missing, for the work that this was a part of."""
    found = [one for one in results if one is not None]
    if len(found) < len(results):
        raise MemoryError(f"out of memory with {len(results) - len(found)} of {len(results)} parts, each alone")
    return found


def advice(size: Size) -> str:
    """What a person is told once, when a batch of this size did not fit and is cut."""
    less = max(size.duration, size.padded / 2)
    return (
        f"out of memory with {size.n_utterances} clips of {size.duration:.1f} s: going on in halves, "
        f"--batch-duration {less:.0f} needs less"
    )
