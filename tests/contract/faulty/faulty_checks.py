"""Checks of `vox doctor` with one fault each."""

import itertools

from voxcli.api import Finding, hookimpl

CALLS = itertools.count()


class Sound:
    """A check without a fault.

    Why: one has to be.

    Repair: none.

    Sources: none.
    """

    name = "nothing-wrong"
    about = "machine"

    def run(self, context):
        yield from ()


class MisCoded(Sound):
    __doc__ = Sound.__doc__
    code = "P001"


class MisNamed(Sound):
    __doc__ = Sound.__doc__
    code = "ACME002"
    name = "Fix It"


class Aimless(Sound):
    __doc__ = Sound.__doc__
    code = "ACME003"
    about = "weather"


class Terse(Sound):
    """Says nothing more."""

    code = "ACME004"


class Printing(Sound):
    __doc__ = Sound.__doc__
    code = "ACME005"

    def run(self, context):
        yield "all is lost"


class Helpless(Sound):
    __doc__ = Sound.__doc__
    code = "ACME006"

    def run(self, context):
        yield Finding("warning", "all is lost")


class Moody(Sound):
    __doc__ = Sound.__doc__
    code = "ACME007"

    def run(self, context):
        yield Finding("note", f"call {next(CALLS)}")


@hookimpl
def vox_register(registry):
    for name, found in list(globals().items()):
        if isinstance(found, type) and hasattr(found, "code") and issubclass(found, Sound):
            registry.add("check", found.code if found.code != "P001" else "ACME001", f"{__name__}:{name}")
