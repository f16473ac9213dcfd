"""The first Ctrl-C asks, the second one ends."""

from __future__ import annotations

import os
import signal

import pytest

from voxcli.train.interrupt import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_asks_and_twice_ends(number: signal.Signals) -> None:
    said: list[str] = []
    before = signal.getsignal(number)
    with Interruption(said.append) as interruption:
        assert not interruption.requested
        os.kill(os.getpid(), number)
        assert interruption.requested
        assert "once more ends at once" in said[0]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before
