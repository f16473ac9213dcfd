"""Results and a live bar at the same time: what goes to a file must reach it while the terminal shows progress."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="needs a Unix terminal")

PROGRAM = """
from voxcli.cli import console
console.start()
with console.progress().task("transcribing", total=2, unit="files") as bar:
    for number in range(2):
        console.write(f"result {number}")
        bar.advance(1)
"""


def run(stdout: Path | None) -> str:
    """What the terminal shows; stdout goes to a file, or to the terminal as well."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    with open(stdout or os.devnull, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdout=file if stdout else slave, stderr=slave, env=environment
        )
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 4096):
                shown += part
        except OSError:  # the other end is closed
            pass
        assert process.wait(timeout=30) == 0
    os.close(master)
    return shown.decode()


def test_results_in_a_file_while_the_bar_is_on_the_terminal(tmp_path: Path) -> None:
    shown = run(tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "result 0\nresult 1\n"
    assert "result" not in shown
    assert "2/2 files" in shown


def test_results_above_the_bar(tmp_path: Path) -> None:
    shown = run(None)
    assert "result 0" in shown
    assert "result 1" in shown
    assert "2/2 files" in shown
