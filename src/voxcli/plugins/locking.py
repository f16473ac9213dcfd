"""Which plugins may run: name, version and hash of each, read from a lock and compared before any of their code runs.

A lock is `vox-plugins.lock` of a project (written by `vox plugins lock`) or `lock.json` of a run. It says what ran, so
that the same runs again; it is no sandbox: what is in it runs with the rights of the user.
"""

from __future__ import annotations

import json
import os
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.errors import PluginError
from voxcli.plugins.choices import same
from voxcli.plugins.contents import hash_of, strange_place

if TYPE_CHECKING:
    from voxcli.plugins.manager import Plugin

FILE = "vox-plugins.lock"
RUN_FILE = "lock.json"
VARIABLE = "VOX_LOCKED"  # the lock in force, so that processes which a command starts are held to it too
FORMAT = 1

HEAD = """\
# The plugins of this project. Written by `vox plugins lock`; `--locked` refuses any other.
version = 1
"""


@dataclass(frozen=True)
class Locked:
    """One plugin as a lock has it."""

    name: str
    """Its distribution; the name of the file where it is one."""
    version: str = ""
    hash: str | None = None
    """"sha256:…"; None in a `lock.json` written before hashes were."""
    is_file: bool = False


@dataclass(frozen=True)
class Difference:
    """One plugin that is not what a lock says."""

    name: str
    message: str
    help: str


class Lock:
    """The plugins that may run, and where that is written."""

    def __init__(self, plugins: Iterable[Locked], source: Path) -> None:
        self.plugins = tuple(sorted(plugins, key=lambda one: (one.is_file, same(one.name))))
        self.source = source
        self._by_name = {_key(one.name, one.is_file): one for one in self.plugins}
        self._fine: set[tuple[str, str, str]] = set()

    def require(self, plugin: Plugin) -> None:
        """Raise `PluginError` that names the difference where the plugin is not the one that was locked."""
        identity = (plugin.distribution, plugin.version, str(plugin.file or ""))
        if identity in self._fine:
            return
        found = self.difference(plugin)
        if found is not None:
            raise PluginError(found.message, help=found.help)
        self._fine.add(identity)

    def allows(self, plugin: Plugin) -> bool:
        """Whether `require` would let it pass."""
        return self.difference(plugin) is None

    def difference(self, plugin: Plugin) -> Difference | None:
        """How an installed plugin, or a plugin file, differs from what was locked."""
        if is_builtin(plugin):
            return None
        now = locked(plugin)
        who = f"plugin {now.name} {now.version}".rstrip()
        then = self._by_name.get(_key(now.name, now.is_file))
        if then is None:
            leave = f"leave `--plugin {plugin.file}` out" if now.is_file else f"`VOX_DISABLE_PLUGINS={now.name}`"
            return Difference(
                now.name,
                f"{who} ({now.hash}) is not in {self.source}, and --locked runs nothing else",
                f"{leave} leaves it out; {self._accept('takes it in')}",
            )
        if then.version != now.version and not now.is_file:
            return Difference(
                now.name,
                f"{who} is installed, {self.source} has {then.version}",
                f"`vox plugins install {now.name}=={then.version}`; {self._accept('takes the new one')}",
            )
        if not (now.hash or "").startswith(then.hash or ""):
            repair = (
                "restore the file" if now.is_file else f"`vox plugins install {now.name}=={now.version} --reinstall`"
            )
            return Difference(
                now.name,
                f"{who} is not what was locked: its files have {now.hash}, {self.source} has {then.hash}",
                f"{repair} if it should not have changed; {self._accept('takes it as it is')}",
            )
        return None if now.is_file else self.elsewhere(plugin, plugin.target)

    def elsewhere(self, plugin: Plugin, target: str) -> Difference | None:
        """Whether Python would import the module of an installed plugin from a file that its hash does not cover."""
        place = strange_place(plugin, target)
        if place is None:
            return None
        return Difference(
            plugin.distribution,
            f"plugin {plugin.distribution} {plugin.version} would import {place}, which is none of the files that "
            f"{self.source} has the hash of",
            "take that folder off the import path (PYTHONPATH); of an editable installation only those modules count "
            "that its entry points name: a wheel has all",
        )

    def names(self, plugin: Plugin) -> bool:
        """Whether a plugin of this name is in the lock, whatever its version and files."""
        name, is_file = (plugin.file.name, True) if plugin.file is not None else (plugin.distribution, False)
        return _key(name, is_file) in self._by_name

    def missing(self, plugins: Iterable[Plugin]) -> list[Difference]:
        """Locked distributions that are not among the installed plugins."""
        there = {same(one.distribution) for one in plugins if one.file is None}
        return [
            Difference(
                one.name,
                f"plugin {one.name} {one.version} of {self.source} is not installed",
                f"`vox plugins install {one.name}=={one.version}`",
            )
            for one in self.plugins
            if not one.is_file and same(one.name) not in there
        ]

    def _accept(self, what: str) -> str:
        if self.source.is_dir() or self.source.suffix == ".json":
            return f"--locked={FILE} names the project's lock instead"
        own = self.source.absolute() == Path.cwd() / FILE
        return f"`vox plugins lock{'' if own else f' --out {shlex.quote(str(self.source))}'}` {what}"


def is_builtin(plugin: Plugin) -> bool:
    """Whether it is voxcli itself, which is no third party."""
    return plugin.file is None and plugin.distribution == "voxcli"


def locked(plugin: Plugin) -> Locked:
    """What a lock would say of a plugin. Reads its files."""
    if plugin.file is not None:
        return Locked(plugin.file.name, "", hash_of(plugin), is_file=True)
    return Locked(plugin.distribution, plugin.version, hash_of(plugin))


def lock_of(plugins: Iterable[Plugin], source: Path) -> Lock:
    """A lock of these plugins; voxcli itself is left out. Raises `PluginError` for two files of one name."""
    found: dict[str, Locked] = {}
    for one in _third_party(plugins):
        before = found.setdefault(_key(one.name, one.is_file), one)
        if before != one:
            raise PluginError(f"two plugin files are called {one.name}", help="a lock knows them by name: rename one")
    return Lock(found.values(), source)


def _third_party(plugins: Iterable[Plugin]) -> list[Locked]:
    return [locked(one) for one in plugins if not is_builtin(one)]


def text(lock: Lock) -> str:
    """A lock as TOML: one table for each plugin, by name, so that a change is a few lines."""
    parts = [HEAD]
    for one in lock.plugins:
        lines = ["[[plugin]]", f"{'file' if one.is_file else 'name'} = {json.dumps(one.name, ensure_ascii=False)}"]
        if one.version:
            lines.append(f"version = {json.dumps(one.version)}")
        if one.hash is not None:
            lines.append(f"hash = {json.dumps(one.hash)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def entries(lock: Lock) -> dict[str, dict[str, str]]:
    """A lock as `lock.json` of a run holds it: {name: {version, hash}}; a file has no version."""
    return {one.name: _entry(one) for one in lock.plugins}


def _entry(one: Locked) -> dict[str, str]:
    found = {"file": one.name} if one.is_file else {"version": one.version}
    return found | ({"hash": one.hash} if one.hash is not None else {})


def read(path: Path) -> Lock:
    """The lock in a `vox-plugins.lock`, a `lock.json` or the folder of a run. Raises `PluginError` where it is none."""
    if path.is_dir():
        return Lock([one for file in _of_run(path) for one in read(file).plugins], path)
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PluginError(
            f"--locked: there is no {path}", help=f"`vox plugins lock` writes {FILE}; give another with --locked=FILE"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{path} cannot be read: {error}") from error
    try:
        if path.suffix == ".json":
            return Lock(of_entries(json.loads(content)["plugins"]), path)
        return Lock(_of_tables(tomllib.loads(content)), path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PluginError(
            f"{path} is no lock of plugins: {type(error).__name__}: {error}",
            help=f"`vox plugins lock --out {path}` writes it anew",
        ) from error


def holds_lock(folder: Path) -> bool:
    """Whether a folder is a run that says which plugins it used."""
    return bool(_of_run(folder))


def _of_run(folder: Path) -> list[Path]:
    """The `lock.json` of a run, or those of its stages."""
    if (folder / RUN_FILE).is_file():
        return [folder / RUN_FILE]
    return sorted(folder.glob(f"stages/*/{RUN_FILE}"))


def of_entries(plugins: Mapping[str, Any]) -> list[Locked]:
    """What `lock.json` holds: {name: {version, hash}}, and {name: version} as older runs have it."""
    found = []
    for name, entry in plugins.items():
        if same(name) == "voxcli":
            continue
        if isinstance(entry, str):
            is_file = name.endswith(".py")
            short = f"sha256:{entry}" if is_file else None  # the first digits
            found.append(Locked(Path(name).name if is_file else name, "" if is_file else entry, short, is_file))
        else:
            found.append(Locked(name, entry.get("version", ""), entry.get("hash"), "file" in entry))
    return found


def _of_tables(content: dict[str, Any]) -> list[Locked]:
    if content.get("version") != FORMAT:
        raise ValueError(f"its version is {content.get('version')!r}, this voxcli reads {FORMAT}")
    found = []
    for table in content.get("plugin", []):
        name = table.get("file") or table["name"]
        found.append(Locked(name, table.get("version", ""), table["hash"], "file" in table))
    return found


def _key(name: str, is_file: bool) -> str:
    return f"file {name}" if is_file else same(name)


_used: Lock | None = None
_before: str | None = None
"""What the environment variable was."""


def use(lock: Lock | Path) -> None:
    """Put a lock in force, for this process and those it starts."""
    global _used, _before
    if _used is None:
        _before = os.environ.get(VARIABLE)
    _used = read(lock) if isinstance(lock, Path) else lock
    os.environ[VARIABLE] = str(_used.source.resolve())


def current() -> Lock | None:
    """The lock in force, or None. Raises `PluginError` where the one that a parent process named cannot be read."""
    if _used is None and os.environ.get(VARIABLE):
        use(Path(os.environ[VARIABLE]))
    return _used


def forget() -> None:
    """Take back what `use` did. For tests."""
    global _used
    if _used is not None:
        os.environ.pop(VARIABLE, None)
        if _before is not None:
            os.environ[VARIABLE] = _before
    _used = None
