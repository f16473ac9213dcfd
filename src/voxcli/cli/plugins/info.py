"""`vox plugins info`: one plugin, or one component, with everything that is known of it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voxcli.cli import console
from voxcli.errors import PluginError

if TYPE_CHECKING:
    from voxcli.plugins.manager import Manager, Plugin
    from voxcli.plugins.registry import Registration

WIDTH = 100  # characters of a line of help


def info(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A plugin, its distribution or file, a component, KIND/COMPONENT."),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a plugin or a component, with every key.

    Where it comes from, its state, what it brings, what it does when it is imported.

    \b
    vox plugins info vox-lm
    vox plugins info voxcli
    vox plugins info noise
    vox plugins info augmentation/noise
    """
    from voxcli.cli.plugins import described
    from voxcli.plugins.find import called
    from voxcli.plugins.manager import manager

    loaded = manager()
    loaded.wait()
    group = _whole(called(loaded.plugins, name), loaded)
    loaded.look_again(group)
    if group:
        own = group[0].distribution == "voxcli"
        found = described.distribution(group, loaded, keys=not own)
    else:
        registration = _component(name, loaded)
        found = described.component(registration, loaded, keys=True)
    if json:
        console.write_json(found)
        return
    console.write("\n".join(_distribution(found) if group else _component_lines(found, alone=True)))


def _whole(group: Sequence[Plugin], loaded: Manager) -> list[Plugin]:
    """All plugins of the distribution of the first."""
    if not group:
        return []
    first = group[0]
    return [one for one in loaded.plugins if (one.distribution, one.file) == (first.distribution, first.file)]


def _component(name: str, loaded: Manager) -> Registration:
    """The component of "noise", "augmentation/noise", "voxcli/noise" or "augmentation/voxcli/noise"."""
    from voxcli.api import KINDS
    from voxcli.plugins.find import suggestion

    kind, _, rest = name.partition("/")
    if kind in KINDS and rest:
        return loaded.registry.find(kind, rest)
    distribution, _, bare = name.rpartition("/")
    found = [one for one in loaded.registry if one.name == bare and distribution in ("", one.distribution)]
    if not found:
        raise PluginError(f"no plugin and no component is called '{name}'", help=_help(name, loaded, suggestion))
    if len(found) > 1:
        choices = " or ".join(
            f"`{one.kind}/{one.name}`" if len({each.kind for each in found}) == len(found) else f"`{_long(one)}`"
            for one in found
        )
        raise PluginError(f"{len(found)} components are called '{name}'", help=f"choose one: {choices}")
    return found[0]


def _long(one: Registration) -> str:
    return f"{one.kind}/{one.distribution}/{one.name}"


def _help(name: str, loaded: Manager, suggestion: Any) -> str:
    import difflib

    from voxcli.api import KINDS
    from voxcli.plugins.known import COMMAND, distributions_of, repair

    for kind in (*KINDS, COMMAND):
        if distributions_of(kind, name, loaded.plugins, loaded.registry.told_of()):
            return repair(kind, name, loaded.plugins, loaded.registry.told_of())
    close = difflib.get_close_matches(name, sorted({one.name for one in loaded.registry}), n=1)
    if close:
        return f"did you mean `{close[0]}`? `vox plugins list` shows all"
    return str(suggestion(loaded.plugins, name))


def _distribution(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['distribution']} {found['version']}".rstrip()
    if found.get("summary"):
        yield textwrap.fill(found["summary"], WIDTH)
    yield ""
    how = [word for word in ("editable" if found.get("editable") else "", found.get("installer")) if word]
    rows = [
        ("licence", found.get("licence", "")),
        ("homepage", found.get("homepage", "")),
        ("code", found.get("code", "")),
        ("from", found.get("source", "")),
        ("installed", f"by {how[-1]}{', editable' if found.get('editable') else ''}" if how else ""),
        ("hash", found.get("hash", "")),
    ]
    yield from _facts(rows)
    for plugin in found["plugins"]:
        yield from _plugin(plugin)


def _plugin(one: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"plugin {one['name']} is {one['state']}" + (f": {one['reason']}" if one["reason"] else "")
    heavy = ", ".join(f"{each['module']} ({each['seconds']:.1f} s)" for each in one["heavy"])
    rows = [
        ("at", one["place"]),
        ("help", one["help"]),
        ("module", one["module"]),
        ("import", f"{1000 * one['import_seconds']:.0f} ms{f', of that {heavy}' if heavy else ''}"),
        ("api", str(one["api_version"] or "")),
        ("hooks", ", ".join(one["hooks"])),
        ("patches", ", ".join(one["patched"])),
        ("prints", " ".join(one["printed"].split())[:WIDTH]),
    ]
    yield from _facts(rows, indent="  ")
    for each in one["misfits"]:
        yield f"  {each['message']}: {each['help']}"
    if one["commands"]:
        yield ""
        commands = [(f"vox {name}", help) for name, help in one["commands"].items()]
        yield from console.table(("command", ""), commands).split("\n")
    described = [each for each in one["components"] if "about" in each or "error" in each]
    listed = [each for each in one["components"] if each not in described]
    checks = [each for each in listed if each["kind"] == "check"]
    others = [(each["kind"], each["name"], each["summary"]) for each in listed if each["kind"] != "check"]
    if checks:
        others.append(("check", f"{len(checks)} {'check' if len(checks) == 1 else 'checks'}", "vox doctor --list"))
    if others:
        yield ""
        yield from console.table(("kind", "name", ""), others).split("\n")
    for each in described:
        yield ""
        yield from _component_lines(each, alone=False)


def _component_lines(one: dict[str, Any], *, alone: bool) -> Iterator[str]:
    """A component and its keys; `alone` with where it comes from."""
    yield f"{one['kind']} {one['name']}" + (f": {one['summary']}" if one["summary"] else "")
    rows = [("code", one.get("file", ""))]
    if alone:
        rows = [("from", f"{one['distribution']} {one['version']}"), ("class", one["target"]), *rows]
    yield from _facts(rows, indent="  ")
    if one.get("error"):
        yield f"  {one['error']}"
        return
    if one.get("about"):
        yield textwrap.fill(one["about"], WIDTH, initial_indent="  ", subsequent_indent="  ")
    for key in one.get("keys", ()):
        default = "has to be set" if key["required"] else f"default {key['default']}" if key["default"] else "not set"
        yield ""
        yield f"  {key['name']}: {key['values']}; {default}"
        if key["help"]:
            yield textwrap.fill(key["help"], WIDTH, initial_indent="      ", subsequent_indent="      ")


def _facts(rows: Sequence[tuple[str, str]], indent: str = "") -> Iterator[str]:
    """Those that are known, in two columns."""
    known = [(label, value) for label, value in rows if value]
    width = max((len(label) for label, _ in known), default=0)
    for label, value in known:
        yield f"{indent}{label.ljust(width)}  {value}"
