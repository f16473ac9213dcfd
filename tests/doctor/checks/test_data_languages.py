"""Names of languages, as recipes and data sets write them."""

from __future__ import annotations

import pytest

from voxcli.doctor.data.languages import differ


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("en", "es", True), ("en", "en-GB", False), ("English", "en", False), ("swahili", "sw", False),
        ("tur", "tr", False), ("nb", "no", False), ("zh-CN", "cmn", False), ("turkish", "azerbaijani", True),
        ("swa", "sw", False), ("kmr", "tr", False), (None, "en", False),
    ],
)  # fmt: skip
def test_differ(one, other, expected):
    assert differ(one, other) is expected
