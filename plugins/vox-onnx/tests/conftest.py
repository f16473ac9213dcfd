"""These tests are about the installed plugin, which voxcli's own tests do without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from voxcli.plugins.manager import forget


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("VOX_DISABLE_PLUGINS", raising=False)
    forget()
    yield
    forget()
