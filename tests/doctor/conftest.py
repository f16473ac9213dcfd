"""What the tests of the doctor share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from voxcli.testing import Project

sys.path.insert(0, str(Path(__file__).parent / "faults"))

ACME = '''
    """Checks of a third party, one for each way in which a check may end."""

    import os
    from voxcli.api import Finding, Fix, hookimpl
    from voxcli.doctor.context import Unavailable


    class Acme:
        """Something is acme.

        Why: so.

        Repair: so.

        Sources: none.
        """

        code, name, about = "ACME001", "acme", "recipe"

        def run(self, context):
            yield Finding("warning", "the first", "repair it", utterances=("u1", "u2"))
            {body}


    @hookimpl
    def vox_register(registry):
        registry.add("check", "ACME001", "{target}")
    '''


@pytest.fixture
def acme(vox_project: Callable[..., Project]) -> Callable[..., Project]:
    """`acme("raise SystemExit")`: a project with a healthy recipe `r.toml` and the plugin file `acme.py`."""
    from planted import recipe

    def made(body: str = "pass", *, target: str = "vox_plugin_acme:Acme", more: str = "") -> Project:
        project = vox_project({"acme.py": ACME.replace("{body}", body).replace("{target}", target)})
        path = project.path / "acme.py"
        path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
        recipe(project)
        return project

    return made
