"""Whether something draws from the generators that everybody shares: those of Python, numpy and torch."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any


def draws_elsewhere(work: Callable[[], Any]) -> list[str]:
    """Names of the global generators that have moved when `work` is done."""
    before = _states()
    work()
    after = _states()
    return [name for name, state in before.items() if after[name] != state]


def stirred(seed: int) -> None:
    """Put all global generators into a state of their own."""
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)


class Kept:
    """The global generators stand after the block where they stood before it."""

    def __enter__(self) -> None:
        import numpy as np

        self._python, self._numpy = random.getstate(), np.random.get_state()
        torch = sys.modules.get("torch")
        self._torch = torch.get_rng_state() if torch is not None else None

    def __exit__(self, *raised: object) -> None:
        import numpy as np

        random.setstate(self._python)
        np.random.set_state(self._numpy)
        if self._torch is not None:
            sys.modules["torch"].set_rng_state(self._torch)


def _states() -> dict[str, Any]:
    import numpy as np

    state: Any = np.random.get_state()
    found: dict[str, Any] = {"random": random.getstate(), "numpy.random": (state[0], state[1].tobytes(), state[2])}
    if (torch := sys.modules.get("torch")) is not None:
        found["torch"] = torch.get_rng_state().numpy().tobytes()
    return found
