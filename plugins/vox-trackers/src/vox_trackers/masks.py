"""What no tracker gets and nobody reads on the screen: passwords in addresses, values under secret names."""

from __future__ import annotations

import re

SECRET = "<secret>"
_CREDENTIALS = re.compile(r"(?<=://)[^/\s'\"]+@")


def masked(text: str) -> str:
    """A text without the user and password of its addresses."""
    return _CREDENTIALS.sub(f"{SECRET}@", text)


def value_of(name: str, value: bool | int | float | str) -> bool | int | float | str:
    """A recipe's value as a tracker may have it. A number under such a name is no secret: `pad_token_id = 0`."""
    from voxcli.doctor.masks import SECRET_NAME

    if not isinstance(value, str):
        return value
    return SECRET if SECRET_NAME.search(name) else masked(value)
