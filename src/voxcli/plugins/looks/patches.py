"""What a plugin replaces in modules that are not its own: functions, classes and their methods.

Modules are remembered as they were before the plugin ran, and those it imports first (torch, for example) as they were
right after their own import. Libraries replace functions of each other, ray those of logging and torch those of typing:
what is not the plugin's own doing is left out.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Iterator
from types import MethodType
from typing import Any

Names = dict[str, Any]
LIMIT = 20  # names that are listed


class Patches:
    """Remembers modules and says what was replaced in them since."""

    def __init__(self, own: str) -> None:
        """`own`: the top-level module of the plugin."""
        self._own = own
        self._before: dict[str, tuple[Names, dict[str, Names], set[str]]] = {}
        for name in list(sys.modules):
            self._remember(name)

    def imported(self, name: str) -> None:
        """Remember a module, and those below it, as they are now."""
        with warnings.catch_warnings():  # a deprecated class warns when it is asked for its module
            warnings.simplefilter("ignore")
            for one in list(sys.modules):
                if one == name or one.startswith(f"{name}."):
                    self._remember(one)

    def found(self) -> tuple[str, ...]:
        """ "module.function" and "module.Class.method" of everything that was replaced."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tuple(sorted(set(self._replaced()))[:LIMIT])

    def _remember(self, name: str) -> None:
        module = sys.modules.get(name)
        if name in self._before or not isinstance(getattr(module, "__dict__", None), dict):
            return
        top = name.partition(".")[0]
        if top == self._own or name == "__main__":
            return
        attributes = dict(vars(module))
        classes = {
            attribute: dict(vars(value))
            for attribute, value in attributes.items()
            if isinstance(value, type) and _module_of(value) == name
        }
        self._before[name] = attributes, classes, {one.partition(".")[0] for one in sys.modules}

    def _replaced(self) -> Iterator[str]:
        for name, (attributes, classes, loaded) in self._before.items():
            module = sys.modules.get(name)
            if module is None:
                continue
            now = vars(module)
            for attribute, value in attributes.items():
                if self._is_patch(value, now.get(attribute, value), loaded, name):
                    yield f"{name}.{attribute}"
            if name == "builtins" and not self._others(loaded, name):
                yield from (f"{name}.{attribute}" for attribute in now if attribute not in attributes)
            for owner, methods in classes.items():
                for attribute, value in vars(attributes[owner]).items():
                    if self._is_patch(methods.get(attribute), value, loaded, name):
                        yield f"{name}.{attributes[owner].__qualname__}.{attribute}"

    def _is_patch(self, before: Any, after: Any, loaded: set[str], name: str) -> bool:
        if before is after or not (_is_code(before) or _is_code(after)):
            return False
        origin = _module_of(after).partition(".")[0]
        if origin == self._own:
            return True
        if before is None:
            return False  # added by somebody else
        return not self._others(loaded, name)

    def _others(self, loaded: set[str], name: str) -> set[str]:
        """Who else was imported since: any of them may have done it."""
        now = {one.partition(".")[0] for one in sys.modules}
        return now - loaded - {self._own, name.partition(".")[0]} - sys.stdlib_module_names


def _is_code(value: Any) -> bool:
    return callable(value) or isinstance(value, property | classmethod | staticmethod)


def _module_of(value: Any) -> str:
    """Where a function or class was written; "" where it does not say."""
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, functools.partial):
        value = value.func
    elif isinstance(value, classmethod | staticmethod | MethodType):
        value = value.__func__
    try:
        return str(getattr(value, "__module__", None) or "")
    except Exception:  # an object that answers in a way of its own
        return ""
