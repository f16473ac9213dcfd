"""How long `vox --help` takes with 50 installed plugins, and without, and beside bare imports: the bound is 1.3 times.

python benchmarks/startup.py [--plugins 50] [--rounds 21]

The plugins are made in a folder of their own: a module with two components, a command and a hook each; those that are
installed beside voxcli are there in every case. Every round runs each case once, in turn, so that what else the machine
does meets all of them; medians of wall time and of processor time are compared within this run. `all imported` is what
loading every entry point costs, as most plugin systems do; `bare imports` is a Python that imports typer, pluggy, and
rich as far as a table needs it, and `bare app` prints the help of a Typer application of one command.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = '''
from voxcli.api import config, hookimpl

@config
class Tones:
    """Tones of one pitch."""
    pitch: float = 440.0
    """Hz."""

    def utterances(self, split):
        return iter(())

@hookimpl
def vox_register(registry):
    registry.add("dataset", "tones-NUMBER", "vox_many_NUMBER:Tones", summary="tones of one pitch")
    registry.add("augmentation", "hum-NUMBER", "vox_many_NUMBER:Hum", summary="mains hum")

@hookimpl
def vox_commands(app):
    @app.command("many-NUMBER")
    def many(name: str = "you"):
        "Greet."
        print("hello", name)

@hookimpl
def vox_run_log(run, step, metrics):
    pass
'''
EAGER = """
from importlib.metadata import entry_points
for point in entry_points(group="voxcli"):
    point.load()
from voxcli.cli.app import main
main(["--help"])
"""
BARE = "import typer, pluggy, rich.console, rich.table"
BARE_APP = (
    BARE
    + """
app = typer.Typer()
@app.command()
def hello(name: str = "you"):
    "Greet."
app()
"""
)
HELP = [sys.executable, "-P", "-m", "voxcli", "--help"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugins", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=21)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make(folder / "site", asked.plugins)
        without = {**os.environ, "VOX_CACHE": str(folder / "cache"), "VOX_CONFIG": str(folder / "config")}
        for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):  # without compiled files each start would compile anew
            without.pop(name, None)
        plugged = without | {"PYTHONPATH": str(folder / "site")}
        cases = {
            "without": (HELP, without),
            f"{asked.plugins} plugins": (HELP, plugged),
            "all imported": ([sys.executable, "-P", "-c", EAGER], plugged),
            "plugins list": ([*HELP[:-1], "plugins", "list"], without | {"VOX_CACHE": str(folder / "listed")}),
            "bare imports": ([sys.executable, "-P", "-c", BARE], without),
            "bare app": ([sys.executable, "-P", "-c", BARE_APP, "--help"], without),
        }
        cold = {label: _run(*cases[label]) for label in list(cases)[:2]}
        _run([*HELP[:-1], "plugins", "list"], plugged)  # waits until every plugin has been looked at
        _run([*HELP[:-1], "plugins", "list"], without)
        _run(*cases["plugins list"])  # a cache of its own: it looks anew where the installed plugins are other ones
        taken: dict[str, list[tuple[float, float]]] = {label: [] for label in cases}
        for _ in range(asked.rounds):
            for label, case in cases.items():
                taken[label].append(_run(*case))
    base = [statistics.median(column) for column in zip(*taken["without"], strict=True)]
    print(f"{'vox --help':14} {'wall s':>8} {'cpu s':>8} {'wall':>7} {'cpu':>7}")
    for label, rows in taken.items():
        wall, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{label:14} {wall:8.3f} {cpu:8.3f} {wall / base[0]:6.2f}x {cpu / base[1]:6.2f}x")
    for label, (wall, cpu) in cold.items():
        print(f"{label:14} {wall:8.3f} {cpu:8.3f}   the first command, which nobody has looked for")


def _make(site: Path, count: int) -> None:
    for number in range(count):
        info = site / f"vox_many_{number}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vox-many-{number}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[voxcli]\nmany-{number} = vox_many_{number}\n")
        (site / f"vox_many_{number}.py").write_text(SOURCE.replace("NUMBER", str(number)))


def _run(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """(wall, processor) seconds of a command; the processor's are its own, without what it leaves running."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
