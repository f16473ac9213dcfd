"""Names of packages in, the command of pip or uv out, and what its failure means.

The environment that is changed is the one that runs. pip is taken where the environment has it, uv where it has not.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from voxcli.errors import VoxError
from voxcli.plugins.choices import same


@dataclass(frozen=True)
class Installer:
    """pip or uv, and how it is started."""

    name: str
    start: tuple[str, ...]

    def install(
        self, requirements: Sequence[str], *, editable: Sequence[str] = (), upgrade: bool, reinstall: bool
    ) -> list[str]:
        """The command that installs names, paths, wheels and URLs."""
        command = [*self.start, "install", *self._environment()]
        if upgrade:
            command.append("--upgrade")
        if reinstall:
            command += ["--force-reinstall" if self.name == "pip" else "--reinstall", "--no-deps"]
        for path in editable:
            command += ["-e", path]
        return [*command, *requirements]

    def uninstall(self, names: Sequence[str]) -> list[str]:
        """The command that takes distributions away without asking."""
        yes = ["-y"] if self.name == "pip" else []
        return [*self.start, "uninstall", *self._environment(), *yes, *names]

    def _environment(self) -> list[str]:
        return ["--python", sys.executable] if self.name == "uv" else []


def installer() -> Installer:
    """What installs into the running environment. Raises `VoxError` where there is neither pip nor uv."""
    if importlib.util.find_spec("pip") is not None:
        return Installer("pip", (sys.executable, "-m", "pip"))
    if found := shutil.which("uv"):
        return Installer("uv", (found, "pip"))
    if importlib.util.find_spec("uv") is not None:
        return Installer("uv", (sys.executable, "-m", "uv", "pip"))
    raise VoxError(
        f"there is no pip in {sys.prefix}, and no uv on the PATH",
        help=f"`{sys.executable} -m ensurepip` brings pip; or install uv (https://docs.astral.sh/uv)",
    )


def check_environment(chosen: Installer) -> None:
    """Raise `VoxError` where nothing may be installed here: better said before than in the middle."""
    in_venv = sys.prefix != sys.base_prefix
    folder = Path(sysconfig.get_path("purelib"))
    own_folder = chosen.name == "pip" and not in_venv and bool(site.ENABLE_USER_SITE)  # pip then takes the user's
    if not own_folder and not os.access(folder, os.W_OK):
        raise VoxError(
            f"{folder} cannot be written", help="install into an environment of your own, or ask whoever keeps this one"
        )


def run(command: Sequence[str], tell: Callable[[str], None], *, done: str = "installed") -> None:
    """Run the command and tell each line that it prints. Raises `VoxError` where it fails: nothing was `done`."""
    printed: list[str] = []
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise VoxError(f"{command[0]} cannot be started: {error.strerror}") from error
    with process:
        for line in process.stdout or ():
            printed.append(line)
            tell(line.rstrip("\n"))
    text = "".join(printed)
    if process.returncode:
        raise failure(text, process.returncode, "pip" if "-m" in command and "pip" in command else "uv", done=done)


FAILURES: tuple[tuple[str, str, str], ...] = (
    # what pip or uv prints, what it means, the repair; the first that fits is taken
    (
        r"externally[- ]managed",  # PEP 668
        "the packages of this Python belong to the system",
        "make an environment of your own: `python3 -m venv .venv`, and install voxcli and its plugins there",
    ),
    (
        r"Failed to establish a new connection|Failed to fetch|dns error|NameResolutionError|ConnectTimeout|"
        r"Network connectivity is disabled|network was disabled",
        "the package index cannot be reached",
        "look at the network, the proxy (HTTPS_PROXY) and the index (PIP_INDEX_URL, UV_INDEX_URL); "
        "a wheel or a folder installs without one",
    ),
    (
        r"No space left on device",
        "the disk is full",
        "free some space",
    ),
    (
        r"Permission denied|Read-only file system",
        "the environment cannot be written",
        "install into an environment of your own, or ask whoever keeps this one",
    ),
    (
        r"Cannot find command 'git'|Git executable not found",
        "a git URL needs git, which is not on the PATH",
        "install git",
    ),
    (
        r"version that satisfies the requirement (?P<what>\S+) \(from (?!versions)(?P<who>[^)\s]+)\) "
        r"\(from versions: (?P<there>[^)]+)\)",
        "{who} needs {what}, and there is {there}",
        "another version of {who} may do with what there is: `vox plugins install '{who}<VERSION'`",
    ),
    (
        r"there is no version of (?P<what>\S+) and all versions of (?P<who>\S+) depend",
        "{who} needs {what}, which there is not",
        "another version of {who} may do with what there is: `vox plugins install '{who}<VERSION'`",
    ),
    (
        r"version that satisfies the requirement (?P<name>[\w.-]+)\S* \(from versions: none\)|"
        r"(?P<other>[\w.-]+) was not found in the (?:package registry|provided package locations)",
        "no index has a package called {name}",
        "look at its spelling; a wheel, a folder and a git URL can be installed too",
    ),
    (
        r"version that satisfies the requirement (?P<what>\S+) \(from versions: (?P<there>[^)]+)\)",
        "there is no {what}: the index has {there}",
        "choose one of them, or leave the version out",
    ),
    (
        r"there (?:is|are) no versions? of (?P<what>\S+)",
        "there is no {what}",
        "choose another version, or leave it out",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies|No solution found",
        "what it needs does not go together with what is asked for or installed",
        "the lines above name the packages; another version of one of them may fit",
    ),
    (
        r"metadata-generation-failed|Failed (?:to build|building)|subprocess-exited-with-error",
        "the package cannot be built here",
        "the lines above say why; a wheel of it needs no building",
    ),
    (
        r"not (?:appear to be|found|a valid|installable)|does not exist|neither a valid|Distribution not found|"
        r"Invalid requirement|Failed to parse",
        "what was asked for is no package",
        "give a name, `NAME==VERSION`, a folder with a pyproject.toml, a wheel or `git+https://…`",
    ),
)


def failure(text: str, code: int, program: str, *, done: str = "installed") -> VoxError:
    """What went wrong, from what pip or uv printed."""
    plain = " ".join(text.split())
    for pattern, message, help in FAILURES:
        if found := re.search(pattern, plain, re.IGNORECASE):
            words = {key: one for key, one in found.groupdict().items() if one}
            words.setdefault("name", words.get("other", ""))
            return VoxError(f"nothing was {done}: {message.format(**words)}", help=help.format(**words))
    return VoxError(f"{program} ended with exit code {code}", help="its last lines, above, say why")


Installed = dict[str, tuple[Distribution, str]]
"""name, as `same` writes it -> (distribution, what changes where it is installed anew)"""


def installed() -> Installed:
    """Every distribution of the environment as it is on disk now."""
    importlib.invalidate_caches()
    found: Installed = {}
    for one in distributions():
        folder = getattr(one, "_path", None)  # importlib.metadata has no public name for it
        if not isinstance(folder, Path):
            continue
        # reading the metadata of 170 distributions takes 0.15 s, their folders have the name too
        name = folder.name.partition("-")[0] if folder.suffix == ".dist-info" else one.metadata["Name"]
        try:
            stamp = f"{folder} {os.stat(folder / 'RECORD').st_mtime_ns}"
        except OSError:
            stamp = str(folder)
        if name:  # the remains of a failed installation may have none
            found.setdefault(same(name), (one, stamp))
    return found


def changed(before: Installed, after: Installed) -> list[Distribution]:
    """Distributions that were installed, upgraded or installed anew, by name."""
    return [one for name, (one, stamp) in sorted(after.items()) if before.get(name, (None, ""))[1] != stamp]


def name_of(requirement: str) -> str | None:
    """The distribution that a requirement names: `vox-x[all]>=1`, a wheel, a folder; None of a URL without `NAME @`."""
    path = Path(requirement)
    match = re.match(r"([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[[^]]*\])?\s*(?:@|[=<>!~;]|$)", requirement)
    if match and match[0].endswith("@"):
        return same(match[1])
    if requirement.endswith(".whl"):
        return same(path.name.partition("-")[0])
    if (path / "pyproject.toml").is_file():
        import tomllib

        try:
            project = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
        except (OSError, ValueError, KeyError):
            return None
        return same(str(project))
    return same(match[1]) if match else None


def from_urls(brought: Sequence[Distribution]) -> set[str]:
    """Names of those that came from a file or URL (PEP 610) and that no other of them needs."""
    needed = {name_of(text.partition(";")[0].strip()) for one in brought for text in one.requires or ()}
    return {
        name
        for one in brought
        if one.read_text("direct_url.json") and (name := same(one.metadata["Name"])) not in needed
    }


def note_unasked(chosen: Installer, brought: Sequence[Distribution], asked: set[str]) -> None:
    """Leave the mark of PEP 376 on what was asked for alone: uv puts REQUESTED beside dependencies too."""
    if chosen.name != "uv":
        return
    for one in brought:
        if same(one.metadata["Name"]) not in asked:
            (Path(str(getattr(one, "_path"))) / "REQUESTED").unlink(missing_ok=True)  # noqa: B009


def unmet(distributions: Sequence[Distribution], there: Installed) -> list[str]:
    """What these need and is not there, or in another version: pip installs in spite of what others need."""
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:  # comes with transformers
        return []
    found = []
    for one in distributions:
        for text in one.requires or ():
            try:
                need = Requirement(text)
            except InvalidRequirement:
                continue
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            who = f"{one.metadata['Name']} {one.version}"
            match = there.get(same(need.name))
            if match is None:
                found.append(f"{who} needs {need}, which is not installed")
            elif not need.specifier.contains(match[0].version, prereleases=True):
                found.append(f"{who} needs {need}, and {match[0].version} is installed")
    return found


def needed_by(names: Iterable[str]) -> dict[str, list[str]]:
    """Which of the names other installed distributions need, and which those are; not those among the names."""
    leaving = {same(name): name for name in names}
    found: dict[str, set[str]] = {}
    for one, _ in installed().values():
        who = one.metadata["Name"]
        for text in one.requires or ():
            name = name_of(text.partition(";")[0].strip())
            if name in leaving and same(who) not in leaving and "extra ==" not in text:
                found.setdefault(leaving[name], set()).add(who)
    return {name: sorted(those) for name, those in found.items()}
