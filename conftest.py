"""What holds for all tests, those of the plugins too."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator

import pytest

# Tiny models gain nothing from threads, and threads of several test processes wait for each other: 55 s instead of 2 s
# for one test on two cores. Set before torch is imported, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A prediction costs a second or two before each run; those tests that are about it ask for it.
os.environ.setdefault("VOX_PREDICT_MEMORY", "0")

LONGEST = "vox-ray"
"""The folder whose tests take longest: they come first, so that no process waits for them in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, else in the order of the files."""
    items.sort(key=lambda item: LONGEST not in item.path.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """What the tests of a file have imported stays: the garbage collector need not look at it again and again.

    A million objects of torch and transformers cost each full collection half a second: of the suite, a quarter.
    """
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()
