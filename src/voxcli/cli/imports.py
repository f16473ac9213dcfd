"""torch and transformers, imported at once by the commands that need them, and hidden from the garbage collector.

They bring half a million objects, and none of them is garbage before the process is. The collector would walk over all
of them again and again while they are made, now and then while the command works, and once more when Python ends:
together a third of the time of a short command.
"""

from __future__ import annotations

import gc
import importlib
import sys

LIBRARIES = ("torch", "torch._dynamo", "transformers.modeling_utils")
"""What every model and every optimizer imports sooner or later."""


def libraries() -> None:
    """Import them without the garbage collector, which from then on leaves alone what was there before."""
    if all(name in sys.modules for name in LIBRARIES):
        return
    was_on = gc.isenabled()
    gc.disable()
    try:
        for name in LIBRARIES:
            importlib.import_module(name)
    except Exception:  # a build that does not fit this machine raises anything: whoever needs it says what is wrong
        return
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
