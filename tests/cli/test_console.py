from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from voxcli.cli import console
from voxcli.progress import NULL


@pytest.fixture(autouse=True)
def fresh():
    console.start()
    yield
    console.start()


def test_plain_lines_are_few_and_end_with_the_last(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.progress().task("reading headers", total=100, unit="files") as bar:
        for number in range(100):
            now[0] += 0.25
            bar.advance(loss=1.23456 if number else None)
    assert capsys.readouterr().err.splitlines() == [
        "reading headers: 40/100 files, 4 files/s, 0:15 left, loss 1.23",
        "reading headers: 80/100 files, 4 files/s, 0:05 left, loss 1.23",
        "reading headers: 100/100 files, 4 files/s, 0:25, loss 1.23",
    ]


def test_work_of_unknown_length(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.progress().task("listing") as bar:
        now[0] = 2.0
        bar.advance(3)
    assert capsys.readouterr().err == "listing: 3, 1.5/s, 0:02\n"


def test_a_long_line_is_neither_wrapped_nor_cut(capsys):
    path = "/" + "x" * 500 + " [bold]y[/bold]"
    console.progress().say(path)
    assert capsys.readouterr().err == path + "\n"


def test_quiet_shows_nothing(capsys):
    console.start(verbosity=-1)
    console.say("x")
    assert console.progress() is NULL
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.23456, "1.23"), (0.00012345, "0.000123"), (12345.6, "12346"), (7, "7"), ("a b", "a b"), (float("nan"), "nan")],
)
def test_figures(value, expected):
    assert console.fact(value) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(7, "0:07"), (214, "3:34"), (7384, "2:03:04")])
def test_clock(seconds, expected):
    assert console.clock(seconds) == expected


LIVE = """
import time
from voxcli.cli import console
console.start()
progress = console.progress()
with progress.task("training", total=4, unit="steps") as bar:
    for n in range(4):
        bar.advance(loss=1.5)
        with progress.task("inner", total=1) as inner:
            inner.advance()
        progress.say("[a] " + "long " * 60 + "line")
print("done")
"""


def on_a_terminal(**environment):
    """What the script shows on a terminal of 80 columns."""
    master, slave = pty.openpty()
    settings = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **environment}
    for name in [name for name in ("NO_COLOR", "FORCE_COLOR") if name not in environment]:
        settings.pop(name, None)
    command = [sys.executable, "-c", LIVE]
    process = subprocess.Popen(command, stderr=slave, stdout=subprocess.PIPE, env=settings)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 65536):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    assert process.stdout is not None
    assert process.stdout.read() == b"done\n"
    assert process.wait(30) == 0
    return shown.decode()


def test_a_terminal_sees_a_bar_and_whole_lines():
    shown = on_a_terminal()
    assert "training" in shown
    assert "4/4 steps" in shown
    assert "loss 1.5" in shown
    assert shown.count("[a] " + "long " * 60 + "line") == 4
    assert "\x1b[38;" in shown or "\x1b[3" in shown


def test_no_color_is_respected():
    import re

    shown = on_a_terminal(NO_COLOR="1")
    assert "4/4 steps" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown.replace("\x1b[?25", ""))


def test_a_dumb_terminal_gets_lines():
    assert "\x1b" not in on_a_terminal(TERM="dumb")
