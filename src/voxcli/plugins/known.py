"""The name of a component or a command that is not there -> which package brings it, and the command that repairs it.

Shipped in `known.toml`; a plugin adds what other distributions bring with `registry.known(kind, name, distribution)`. A
package that is installed may be disabled, held, broken or not looked at yet: that is said instead.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from voxcli.plugins import locking
from voxcli.plugins.choices import DISABLE_VARIABLE, same

if TYPE_CHECKING:
    from voxcli.plugins.locking import Difference
    from voxcli.plugins.manager import Plugin

COMMAND = "command"
Index = Mapping[tuple[str, str], Iterable[str]]
"""(kind, name) -> distributions"""


@functools.cache
def shipped() -> dict[tuple[str, str], tuple[str, ...]]:
    """What `known.toml` says."""
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for distribution, kinds in sorted(tables.items()):
        for kind, names in kinds.items():
            for name in names:
                found[kind, name] = (*found.get((kind, name), ()), distribution)
    return found


def distributions_of(kind: str, name: str, plugins: Iterable[Plugin] = (), told: Index | None = None) -> list[str]:
    """The distributions that bring a component (or, with the kind `command`, a command), installed ones first.

    `told`: what plugins say of other distributions.
    """
    found = [one.distribution for one in plugins if _offers(one, kind, name)]
    found += shipped().get((kind, name), ())
    found += (told or {}).get((kind, name), ())
    return list({same(one): one for one in reversed(found)}.values())[::-1]


def repair(kind: str, name: str, plugins: Iterable[Plugin] = (), told: Index | None = None) -> str:
    """What to do where nothing that is loaded brings `name`: a sentence or several; "" where nothing is known of it.

    Plugins that cannot be asked what they bring are named too, since it may be one of theirs.
    """
    plugins = list(plugins)
    by_name: dict[str, list[Plugin]] = {}
    for one in plugins:
        by_name.setdefault(same(one.distribution), []).append(one)
    sentences, explained = [], set()
    bringing = distributions_of(kind, name, plugins, told)
    for distribution in bringing:
        group = by_name.get(same(distribution), [])
        sentences.append(_installed(group, kind, name) if group else _not_installed(distribution, kind, name))
        explained |= {id(one) for one in group}
    rest = [one for one in plugins if id(one) not in explained and one.state != "ok" and one.look is None]
    if rest:
        sentences.append("; ".join(state(one) for one in rest))
    lock = locking.current()
    gone = lock.missing(plugins) if lock is not None else []
    sentences += [f"{one.message}: {one.help}" for one in gone if one.name not in bringing]
    return ". ".join(sentences)


def state(plugin: Plugin) -> str:
    """A plugin that does not run, why, and what makes it run."""
    if (difference := _locked_out(plugin)) is not None:
        return f"{difference.message}: {difference.help}"
    reason = f" ({plugin.reason})" if plugin.reason else ""
    repair = repair_of(plugin)
    return f"plugin {plugin.name} {plugin.version} is {plugin.state}{reason}" + (f": {repair}" if repair else "")


def repair_of(plugin: Plugin) -> str:
    """What makes a plugin run that does not; "" for one that runs."""
    name = plugin.distribution
    if (difference := _locked_out(plugin)) is not None:
        return difference.help
    if plugin.state in ("held", "disabled"):
        by_variable = DISABLE_VARIABLE in plugin.reason
        return f"take it out of {DISABLE_VARIABLE}" if by_variable else f"`vox plugins enable {name}`"
    if plugin.state == "slow":
        return f"`vox plugins info {name}` waits for it"
    if plugin.state == "broken":
        again = f"`vox plugins info {name}` looks at it again"
        return f"{again}; `vox plugins install --upgrade {name}`, or `vox plugins uninstall {name}`"
    return ""


def _locked_out(plugin: Plugin) -> Difference | None:
    """How it differs from the lock that holds it."""
    lock = locking.current()
    return lock.difference(plugin) if plugin.state == "held" and lock is not None else None


def _installed(plugins: list[Plugin], kind: str, name: str) -> str:
    resting = [one for one in plugins if one.state != "ok"]
    if resting:
        return "; ".join(f"{state(one)}" for one in resting)
    one = plugins[0]
    return (
        f"{one.distribution} {one.version} is installed and has no {kind} '{name}': "
        f"`vox plugins install --upgrade {one.distribution}`"
    )


def _not_installed(distribution: str, kind: str, name: str) -> str:
    lock = locking.current()
    version = next((one.version for one in _entries(lock) if one.name == distribution), "") if lock else ""
    what = f"{distribution}=={version}" if version else distribution
    return f"`vox plugins install {what}` brings the {kind} '{name}'"


def _entries(lock: locking.Lock) -> Iterator[locking.Locked]:
    yield from (one for one in lock.plugins if not one.is_file)


def _offers(plugin: Plugin, kind: str, name: str) -> bool:
    """Whether a look at it found the component. Of a plugin that runs the registry says so."""
    look = plugin.look
    if look is None:
        return False
    if kind == COMMAND:
        return name in look.commands
    return any((one.kind, one.name) == (kind, name) for one in look.components)
