"""The path of a third party, short: plugins of all kinds beside voxcli's wheel in an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from voxcli.api import KINDS

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "third_party_path.py"


def test_a_plugin_of_each_kind_is_made_installed_tested_used_and_uninstalled(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--fast", "--together", "--folder", str(tmp_path / "work")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=500, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in KINDS:
        named = {"task": "no model is called 'tried-task-classifier'", "check": "no check is called 'TRIEDCHECK001'"}
        assert named.get(kind, f"no {kind} is called 'tried-{kind}'") in done.stdout
    assert "files of voxcli unchanged" in done.stdout
