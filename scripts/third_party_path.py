"""What the author of a plugin does, from nothing to uninstalled, for each kind of component, in a fresh environment.

    python scripts/third_party_path.py                       everything anew: 10 to 20 minutes, and the registry of pip
    python scripts/third_party_path.py --kind decoder        one kind only
    python scripts/third_party_path.py --fast --together     less than a minute, and no network

The wheel of voxcli is built and installed with its dependencies (constraints.txt), and a hash of each of its files is
kept. Then for each kind: `vox plugins new`, its wheel is built and installed with pip, its tests are run with what is
installed, `vox plugins list`, `info` and `check` are asked about it, a recipe or a command uses it, it is uninstalled,
and the same command has to fail with an error that names what is missing. In the end no file of voxcli may differ.

`--fast` takes the installed packages of the Python that runs this, but for voxcli and its plugins, through a .pth file,
and builds wheels with its hatchling. `--together` installs the plugins of all kinds side by side and shares processes.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("dataset", "augmentation", "model", "task", "backend", "decoder", "engine", "exporter", "check")
STEPS = ("new", "build", "install", "test", "ask", "use", "uninstall", "miss")

SMALL = ("train.max_steps=2", "train.use_cpu=true")
USE: dict[str, list[str]] = {
    "dataset": ["train", "{recipe}", "data.0.root={data}/speakers", "~holdout", "model.checkpoint={data}/ctc", *SMALL],
    "augmentation": ["train", "{recipe}", "augment.0.p=1.0", "model.checkpoint={data}/ctc", *SMALL],
    "model": ["train", "{recipe}", "model.checkpoint={data}/ctc", *SMALL],
    "task": ["train", "{recipe}", "data.0.path={data}/classes.csv", "model.checkpoint={data}/classifier", *SMALL],
    "backend": ["train", "{recipe}", "model.checkpoint={data}/ctc", *SMALL],
    "decoder": ["evaluate", "ctc", "--data", "data/manifest.csv", "--split", "test", "--decoder", "{name}"],
    "engine": ["transcribe", "data/audio/test-000.wav", "--model", "ctc", "--engine", "{name}"],
    "exporter": ["export", "ctc", "--to", "{name}", "--out", "exported-by-{name}"],
    "check": ["doctor", "data/manifest.csv", "--only", "{code}"],
}
"""What uses a component; `{data}` is a folder with small speech and small models, which is also where it runs."""

MATERIAL = """
import csv, pathlib, shutil, sys
from voxcli.testing import write_speech
from voxcli.testing_models import tiny_classifier, tiny_ctc
here = pathlib.Path(sys.argv[1])
write_speech(here / "data", n=4)
rows = list(csv.DictReader((here / "data" / "manifest.csv").open(encoding="utf-8")))
(here / "speakers" / "ada").mkdir(parents=True)
for row in rows:
    audio = here / "speakers" / "ada" / pathlib.Path(row["path"]).name
    shutil.copy(here / "data" / row["path"], audio)
    audio.with_suffix(".txt").write_text(row["text"], encoding="utf-8")
with (here / "classes.csv").open("w", encoding="utf-8", newline="") as file:
    table = csv.writer(file)
    table.writerow(["path", "label", "split"])
    table.writerows([f"data/{row['path']}", "ab"[number % 2], row["split"]] for number, row in enumerate(rows))
tiny_ctc(here / "ctc", num_hidden_layers=4)
tiny_classifier(here / "classifier")
"""
"""Writes the data and the models that `USE` names, by what voxcli offers to tests of plugins."""

COMMANDS = """
import importlib, json, pathlib, sys
from voxcli.testing import Project
for line in sys.stdin:
    importlib.invalidate_caches()
    done = Project(pathlib.Path.cwd()).run(*json.loads(line))
    print("\\0" + json.dumps([done.code, done.out, done.err]), flush=True)
"""
"""Runs the commands that it is told, line by line, in one process: torch is imported once."""

WHEELS = """
import os, sys, pathlib
from hatchling.build import build_wheel
for folder in sys.argv[1:]:
    os.chdir(folder)
    pathlib.Path("dist").mkdir(exist_ok=True)
    build_wheel("dist")
"""
"""Builds wheels as pip does, with the hatchling that is there, several in one process."""


class Failed(Exception):
    """A step did not do what it has to."""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    command: str
    code: int
    out: str
    err: str

    def expect(self, code: int, *said: str) -> Done:
        """Raise `Failed` for another exit code, and where something is not said."""
        missing = [one for one in said if one not in self.out + self.err]
        if self.code != code or missing:
            wanted = f"expected {code}" + (f" and to read {missing}" if missing else "")
            raise Failed(f"{self.command}\nexit code {self.code}, {wanted}\n{self.out}\n{self.err}")
        return self


@dataclass
class Environment:
    """A Python of its own, with voxcli as it is installed."""

    folder: Path
    fast: bool
    together: bool
    shared: subprocess.Popen[str] | None = None
    """The process that runs commands, where they share one."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "env" / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Where pip installs to."""
        return self.folder / "env" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"

    @property
    def data(self) -> Path:
        """Small speech and small models."""
        return self.folder / "project"

    def make(self) -> None:
        """Make it, and install voxcli and what tests need."""
        if self.fast:
            self.run([sys.executable, "-m", "venv", "--without-pip", str(self.folder / "env")])
            self._share()
        else:
            self.run([sys.executable, "-m", "venv", str(self.folder / "env")])
            self.pip("install", "--upgrade", "pip>=25.1")
            self.pip("install", "--constraint", str(ROOT / "constraints.txt"), "torch", "pytest", "build")
        wheel = self.wheel_of_voxcli()
        more = ("--no-deps", "--no-compile") if self.fast else ("--constraint", str(ROOT / "constraints.txt"))
        self.pip("install", *more, str(wheel))
        self.data.mkdir()
        if self.together:
            self.start(MATERIAL)
        else:
            self.run([str(self.python), "-c", MATERIAL, str(self.data)])

    def wheel_of_voxcli(self) -> Path:
        """Build it."""
        if self.fast:
            script = f"from hatchling.build import build_wheel; build_wheel({str(self.folder / 'dist')!r})"
            (self.folder / "dist").mkdir()
            self.run([str(self.python), "-c", script], cwd=ROOT)
        else:
            self.pip("wheel", "--no-deps", "--wheel-dir", str(self.folder / "dist"), str(ROOT))
        (wheel,) = (self.folder / "dist").glob("voxcli-*.whl")
        return wheel

    def _share(self) -> None:
        """Packages of this Python, each by a link, without voxcli, its plugins, and what .pth files would bring."""
        shared = self.folder / "shared"
        shared.mkdir()
        for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            for path in Path(site).iterdir():
                if not re.match(r"vox|_?_editable|_vox", path.name) and path.suffix != ".pth":
                    (shared / path.name).symlink_to(path)
        (self.packages / "shared.pth").write_text(f"{shared}\n", encoding="utf-8")

    def run(self, command: Sequence[str], *, cwd: Path | None = None, input: str = "", check: bool = True) -> Done:
        """Run a program in it. Raises `Failed` where `check` is asked for and it fails."""
        done = subprocess.run(
            command, cwd=cwd or self.folder, env=self.variables(), input=input, capture_output=True, text=True
        )
        made = Done(" ".join(command)[:300], done.returncode, done.stdout, done.stderr)
        return made.expect(0) if check else made

    def variables(self) -> dict[str, str]:
        """Nothing of the outer environment decides what is imported, and nothing is looked up on a hub."""
        kept = {key: value for key, value in os.environ.items() if not re.match(r"PYTHON|VOX_|VIRTUAL_ENV|PYTEST", key)}
        own = {"VOX_CACHE": str(self.folder / "cache"), "VOX_CONFIG": str(self.folder / "config")}
        quick = {"VOX_PREDICT_MEMORY": "0"} if self.fast else {}
        tools = f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        fixed = {"PATH": tools, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        return {**kept, **own, **quick, **fixed}

    def pip(self, *arguments: str) -> Done:
        """Its pip."""
        return self.run([str(self.python), "-m", "pip", "--disable-pip-version-check", *arguments, "--quiet"])

    def vox(self, *commands: Sequence[str]) -> list[Done]:
        """Run commands of `vox` among the small data, each in a process of its own unless processes are shared."""
        if not self.together:
            program = str(self.python.parent / "vox")
            return [self.run([program, *one], cwd=self.data, check=False) for one in commands]
        return [Done(f"vox {' '.join(one)}", *self._ask(one)) for one in commands]

    def start(self, first: str = "") -> None:
        """Start the process that runs commands, anew where there is one; `first` is Python that it runs before."""
        self.end()
        script = [str(self.python), "-c", first + COMMANDS, str(self.data)]
        with (self.folder / "shared.log").open("w", encoding="utf-8") as log:
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True}
            self.shared = subprocess.Popen(script, cwd=self.data, env=self.variables(), **pipes)

    def _ask(self, command: Sequence[str]) -> list[Any]:
        """Let the shared process run a command. Raises `Failed` where it has ended."""
        assert self.shared is not None
        assert self.shared.stdin is not None
        assert self.shared.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.shared.stdin.write(json.dumps(list(command)) + "\n")
            self.shared.stdin.flush()
        for line in self.shared.stdout:
            if line.startswith("\0"):
                found: list[Any] = json.loads(line[1:])
                return found
        raise Failed(f"vox {' '.join(command)}: {(self.folder / 'shared.log').read_text(encoding='utf-8')}")

    def end(self) -> None:
        """End the shared process."""
        if self.shared is not None:
            self.shared.communicate()

    def hashes(self) -> dict[str, str]:
        """File of voxcli -> its hash; what Python compiles is left out."""
        files = [
            path for path in self.packages.glob("voxcli*/**/*") if path.is_file() and "__pycache__" not in path.parts
        ]
        return {
            str(path.relative_to(self.packages)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(files)
        }


@dataclass
class Plugin:
    """One generated distribution."""

    kind: str
    folder: Path
    facts: dict[str, Any]

    @property
    def distribution(self) -> str:
        """Its name for pip."""
        return str(self.facts["distribution"])

    @property
    def name(self) -> str:
        """Its name for recipes."""
        return self.distribution.removeprefix("vox-")

    @property
    def component(self) -> Path:
        """The file of its component."""
        return self.folder / "src" / str(self.facts["module"]) / f"{self.kind}.py"

    def use(self, data: Path) -> list[str]:
        """The command that uses it."""
        code = next((one["name"] for one in self.facts["components"] if one["kind"] == "check"), "")
        recipe = str(self.folder / "recipes" / "example.toml")
        return [one.format(recipe=recipe, data=data, name=self.name, code=code) for one in USE[self.kind]]


@dataclass
class Row:
    """What came of one kind, or of all together."""

    kinds: tuple[str, ...]
    lines: list[tuple[int, int]] = field(default_factory=list)
    """Of each component: lines of the file, and those with code."""
    seconds: dict[str, float] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    """What the command says without the plugin, one for each kind."""

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a step."""
        say(f"{' '.join(self.kinds)}: {name}")
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin


def code_lines(text: str) -> int:
    """Lines of Python with more than comments and docstrings."""
    layout = {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENDMARKER}
    found: set[int] = set()
    begun = True  # at the first token of a statement
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in layout:
            begun = begun or token.type == tokenize.NEWLINE
            continue
        if not (begun and token.type == tokenize.STRING):
            found.update(range(token.start[0], token.end[0] + 1))
        begun = False
    return len(found)


def travel(environment: Environment, kinds: Sequence[str]) -> Row:
    """The whole path for plugins that are installed side by side. Raises `Failed`."""
    row = Row(tuple(kinds))
    with row.step("new"):
        plugins = [generated(environment, kind) for kind in kinds]
    for plugin in plugins:
        text = plugin.component.read_text(encoding="utf-8")
        row.lines.append((text.count("\n"), code_lines(text)))
    with row.step("build"):
        folders = [str(one.folder) for one in plugins]
        if environment.fast:
            environment.run([str(environment.python), "-c", WHEELS, *folders])
        else:
            for folder in folders:
                environment.run([str(environment.python), "-m", "build", folder])
    with row.step("install"):
        wheels = [str(wheel) for one in plugins for wheel in (one.folder / "dist").glob("*.whl")]
        environment.pip("install", *(("--no-deps", "--no-compile") if environment.fast else ()), *wheels)
    with row.step("test"):
        command = [str(environment.python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        if environment.together:
            command += ["--import-mode=importlib", "--rootdir", str(environment.folder / "plugins")]
            environment.run([*command, *(str(one.folder / "tests") for one in plugins)])
        else:
            environment.run(command, cwd=plugins[0].folder)
    with row.step("ask"):
        asked = [["plugins", "list", "--json"]]
        asked += [
            ["plugins", what, one.distribution]
            for one in plugins
            for what in ("info", "check")[: 1 if environment.together else 2]
        ]
        listed, *answers = environment.vox(*asked)
        here = {one["distribution"]: one for one in json.loads(listed.expect(0).out)["plugins"]}
        for one in plugins:
            if here.get(one.distribution, {}).get("state") != "ok":
                raise Failed(f"vox plugins list says of {one.distribution}: {here.get(one.distribution)}")
        for answer in answers:
            answer.expect(0)
    with row.step("use"):
        used = [one.use(environment.data) for one in plugins]
        for done in environment.vox(*used):
            done.expect(0)
    with row.step("uninstall"):
        environment.pip("uninstall", "--yes", *(one.distribution for one in plugins))
        if environment.together:
            environment.start()  # nothing that is imported or kept in memory may help
    with row.step("miss"):
        for plugin, command, missed in zip(plugins, used, environment.vox(*used), strict=True):
            kind = "model" if plugin.kind == "task" else plugin.kind
            name = {"task": f"{plugin.name}-classifier", "check": command[-1]}.get(plugin.kind, plugin.name)
            missed.expect(2, f"no {kind} is called '{name}'")
            row.errors.append(next(line for line in missed.err.splitlines() if "is called" in line).strip())
    return row


def generated(environment: Environment, kind: str) -> Plugin:
    """A new distribution of one kind."""
    folder = environment.folder / "plugins" / f"vox-tried-{kind}"
    (made,) = environment.vox(["plugins", "new", f"tried-{kind}", "--kind", kind, "--out", str(folder), "--json"])
    return Plugin(kind, folder, json.loads(made.expect(0).out))


def report(rows: Sequence[Row], environment: Environment, seconds: float) -> str:
    """The table, and what the commands say without the plugins."""
    header = ["kind", "lines", "code", *STEPS, "s"]
    table = [header]
    for row in rows:
        lines = [" ".join(str(pair[which]) for pair in row.lines) for which in (0, 1)]
        times = [f"{row.seconds[step]:.1f}" for step in STEPS]
        table.append([" ".join(row.kinds), *lines, *times, f"{sum(row.seconds.values()):.1f}"])
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    said = [error for row in rows for error in row.errors]
    return "\n".join([*shown, "", *said, "", f"{len(environment.hashes())} files of voxcli unchanged; {seconds:.0f} s"])


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Travel, and print what was found; 1 where a step failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="share the packages of this Python")
    parser.add_argument("--together", action="store_true", help="all kinds side by side, in shared processes")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this kind; repeatable")
    parser.add_argument("--folder", type=Path, help="work in this new folder, and keep it")
    given = parser.parse_args()
    kinds = tuple(given.kind or KINDS)
    with contextlib.ExitStack() as stack:
        if given.folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vox-third-party-")))
        else:
            folder = given.folder
            folder.mkdir(parents=True)
        environment = Environment(folder.resolve(), fast=given.fast, together=given.together)
        stack.callback(environment.end)
        begin = time.perf_counter()
        try:
            say("making an environment with voxcli's wheel")
            environment.make()
            say(f"made in {time.perf_counter() - begin:.0f} s")
            before = environment.hashes()
            groups = [kinds] if given.together else [(kind,) for kind in kinds]
            rows = [travel(environment, group) for group in groups]
            after = environment.hashes()
            if not before or (changed := sorted(name for name, _ in set(before.items()) ^ set(after.items()))):
                raise Failed(f"files of voxcli changed: {', '.join(changed) if before else 'there are none'}")
        except Failed as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
        print(report(rows, environment, time.perf_counter() - begin))
    return 0


if __name__ == "__main__":
    sys.exit(main())
