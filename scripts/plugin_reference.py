"""Write docs/plugins/reference.md from the hooks, the contracts and the data classes, so that page and code are one.

python scripts/plugin_reference.py      tests/contract/test_plugin_reference.py fails where this would change the page
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pluggy

import voxcli.api
import voxcli.checkpoints
import voxcli.errors
import voxcli.testing
import voxcli.testing_audio
import voxcli.testing_models
import voxcli.train.launching
from voxcli import protocols
from voxcli.api import API_VERSION, KINDS
from voxcli.contract.rules import RULES
from voxcli.models.open import OpenModel
from voxcli.plugins import hooks

PAGE = Path(__file__).resolve().parents[1] / "docs" / "plugins" / "reference.md"
WIDTH = 110  # characters of a signature on one line

HEAD = f"""\
# The interface of plugins

Everything that a plugin meets: the hooks it may implement, the contract of each kind of component, the classes that go
in and out, and what helps to test it. `API_VERSION` is {API_VERSION}; [compatibility](compatibility.md) says what may
change. [The tutorial](tutorial.md) builds one component of each kind. This page is written from the code by
`scripts/plugin_reference.py`.

Letters: B batch, N samples, T frames, C mel bins, L target tokens, V vocabulary. Audio is float32, mono, within -1 and
1, of shape (N,). Times and durations are seconds, rates are Hz, sizes are bytes.

| module | public | what is in it |
|---|---|---|
| `voxcli.api` | yes | `hookimpl`, `config`, the data classes, one Protocol a kind of component |
| `voxcli.errors` | yes | the errors that people cause |
| `voxcli.checkpoints` | yes | a trained checkpoint as an ordinary folder, or in memory |
| `voxcli.testing`, `voxcli.testing_models` | yes | a pytest plugin, small audio, tiny models, `check_plugin` |
| everything else | no | may change in any release |

Contents: [hooks](#hooks) · [components](#components) · [data classes](#data-classes) ·
[making components](#making-components) · [errors](#errors) · [checkpoints](#checkpoints) · [testing](#testing) ·
[what check_plugin tries](#what-check_plugin-tries)
"""
CONTRACTS = {
    "dataset": "Dataset",
    "augmentation": "Augmentation",
    "model": "ModelFamily",
    "task": "Task",
    "backend": "Backend",
    "decoder": "Decoder",
    "engine": "Engine",
    "exporter": "Exporter",
    "check": "Check",
}
DATA = (
    "Utterance", "Segment", "Word", "Corpus", "Limits", "Bundle", "Others", "Decoding", "Transcript", "Classification",
    "Prediction", "Alphabet", "Emission", "Finding", "Fix",
)  # fmt: skip
FIXTURES = ("vox_project", "speech_folder", "vox_snapshot")
TESTING = ("check_plugin", "Project", "Result", "write_speech", "tones")
WHERE = {
    "dataset": "`[[data]]`",
    "augmentation": "`[[augment]]`",
    "model": "`[model]`",
    "task": "a model family names it",
    "backend": "`[backend]`",
    "decoder": "`[decoder]`, `--decoder`",
    "engine": "`--engine`",
    "exporter": "`vox export --to`",
    "check": "`vox doctor`",
}


def main() -> None:
    """Renew the page."""
    text = page()
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE.name} renewed")


def page() -> str:
    """The page as it has to be."""
    parts = [HEAD, *_hooks(), *_components(), *_data(), *_making(), *_errors(), *_checkpoints(), *_testing(), *_rules()]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _hooks() -> Iterator[str]:
    yield "## Hooks"
    yield prose(inspect.getdoc(hooks) or "")
    for name, hook in vars(hooks).items():
        if name.startswith("vox_"):
            yield f"### {name}"
            yield fenced(f"{name}{signature(hook)}")
            yield prose(inspect.getdoc(hook) or "")
    yield "### registry"
    yield from described(protocols.ComponentRegistry)
    yield f"Kinds: {', '.join(f'`{kind}`' for kind in KINDS)}."


def _components() -> Iterator[str]:
    yield "## Components"
    yield (
        "A component need not inherit from these classes: it has the attributes and the methods. What the text of a\n"
        "class calls optional may be left out. A component may also have\n"
        "`findings() -> Iterator[Finding]`, which says what is wrong with its keys before anything runs, and\n"
        "`example: ClassVar[dict[str, Any]]`, keys with which `check_plugin` tries it."
    )
    yield "| kind | contract | where it is named |\n|---|---|---|\n" + "\n".join(
        f"| {kind} | [{CONTRACTS[kind]}](#{CONTRACTS[kind].lower()}) | {WHERE[kind]} |" for kind in KINDS
    )
    for kind in KINDS:
        cls = getattr(voxcli.api, CONTRACTS[kind])
        yield f"### {cls.__name__}"
        yield from described(cls)
    yield "### Job"
    yield "What `Backend.launch` receives; the only part of `voxcli.train` that a plugin may use."
    yield from described(voxcli.train.launching.Job)


def _data() -> Iterator[str]:
    yield "## Data classes"
    for name in DATA:
        found = getattr(voxcli.api, name)
        yield f"### {name}"
        if isinstance(found, types.UnionType):
            yield fenced(f"{name} = {' | '.join(one.__name__ for one in found.__args__)}")
        else:
            yield from described(found)


def _making() -> Iterator[str]:
    yield "## Making components"
    yield "### config"
    yield fenced(f"config{signature(voxcli.api.config)}")
    yield prose(inspect.getdoc(voxcli.api.config) or "")
    yield "### field, hookimpl, constants"
    yield (
        "`field` is `dataclasses.field`, for keys whose default is made anew: `field(default_factory=dict)`.\n"
        "`hookimpl` marks a function as the implementation of a hook. `API_VERSION`, `KINDS`, `SPLITS` and the type\n"
        "`Split` are constants."
    )


def _errors() -> Iterator[str]:
    yield "## Errors"
    yield prose(inspect.getdoc(voxcli.errors) or "")
    yield fenced(f"VoxError{signature(voxcli.errors.VoxError.__init__)}")
    yield prose(inspect.getdoc(voxcli.errors.VoxError) or "")


def _checkpoints() -> Iterator[str]:
    yield "## Checkpoints"
    yield from _functions(voxcli.checkpoints, voxcli.checkpoints.__all__)
    yield "#### OpenModel"
    yield from described(OpenModel)


def _testing() -> Iterator[str]:
    yield "## Testing"
    yield prose(inspect.getdoc(voxcli.testing) or "")
    yield "Fixtures, there wherever voxcli is installed:"
    for name in FIXTURES:
        made = inspect.unwrap(getattr(voxcli.testing, name))
        made = getattr(made, "_fixture_function", getattr(made, "__wrapped__", made))
        yield f"#### {name}"
        yield prose(inspect.getdoc(made) or "")
    for name in TESTING:
        found = getattr(voxcli.testing, name)
        yield f"### {name}"
        if inspect.isclass(found):
            yield from described(found)
        else:
            yield fenced(f"{name}{signature(found)}")
            yield prose(inspect.getdoc(found) or "")
    yield "### Tiny models"
    yield prose(inspect.getdoc(voxcli.testing_models) or "")
    yield from _functions(
        voxcli.testing_models, [name for name in vars(voxcli.testing_models) if name.startswith("tiny_")]
    )


def _rules() -> Iterator[str]:
    yield "## What check_plugin tries"
    yield (
        "`check_plugin` in a test, and `vox plugins check` on the command line, look for these. A note does not fail;\n"
        "what is not tried fails the test and not the command."
    )
    for of in ("plugin", "component", *KINDS):
        rows = [one for one in RULES.values() if one.of == of]
        yield f"### Rules: {'every component' if of == 'component' else 'the plugin itself' if of == 'plugin' else of}"
        yield "| rule | expected | |\n|---|---|---|\n" + "\n".join(
            f"| {one.name} | {_cell(one.expected)} | {'' if one.level == 'problem' else one.level} |" for one in rows
        )


# ------------------------------------------------------------------------------------------------------------- classes


def described(cls: type) -> Iterator[str]:
    """Signature or docstring of a class, its attributes and its methods."""
    yield prose(inspect.getdoc(cls) or "")
    fields = attributes(cls)
    if fields:
        yield fenced("\n".join(f"{name}: {text}" for name, (text, _) in fields.items()))
        about = [f"- `{name}`: {' '.join(help.split())}" for name, (_, help) in fields.items() if help]
        if about:
            yield "\n".join(about)
    for name, method in methods(cls).items():
        yield fenced(f"{name}{signature(method)}")
        if text := inspect.getdoc(method):
            yield prose(text)


def attributes(cls: type) -> Mapping[str, tuple[str, str]]:
    """name -> (annotation with its default, the string under it), in the order of the source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, tuple[str, str]] = {}
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id[0] != "_":
            text = ast.unparse(node.annotation) + (f" = {ast.unparse(node.value)}" if node.value is not None else "")
            after = tree.body[place + 1] if place + 1 < len(tree.body) else None
            help = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            found[node.target.id] = (text, str(help))
    return found


def methods(cls: type) -> Mapping[str, Any]:
    """The public methods that the class itself defines; properties and class methods as functions."""
    found = {}
    for name, value in vars(cls).items():
        if isinstance(value, property):
            value = value.fget
        if isinstance(value, classmethod | staticmethod):
            value = value.__func__
        shown = name == "__call__" or name == "__len__" or name[0] != "_"
        if shown and inspect.isfunction(value) and inspect.getsourcefile(value) == inspect.getsourcefile(cls):
            found[name] = value
    return found


def signature(function: Any) -> str:
    """ "(name: type = default, *, …) -> type" as it stands in the source, without `self`."""
    made = inspect.signature(function)
    parts, star = [], False
    for place, one in enumerate(made.parameters.values()):
        if place == 0 and (one.name == "self" or (one.name == "cls" and "." in function.__qualname__)):
            continue
        if one.kind is one.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        star = star or one.kind is one.VAR_POSITIONAL
        prefix = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        text = prefix + one.name
        if one.annotation is not one.empty:
            text += f": {_annotation(one.annotation)}"
        if one.default is not one.empty:
            default = "..." if repr(one.default).startswith("<") else repr(one.default)
            text += f" = {default}" if one.annotation is not one.empty else f"={default}"
        parts.append(text)
    back = f" -> {_annotation(made.return_annotation)}" if made.return_annotation is not made.empty else ""
    line = f"({', '.join(parts)}){back}"
    if len(line) <= WIDTH:
        return line
    return "(\n" + "".join(f"    {part},\n" for part in parts) + f"){back}"


def _annotation(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", str(value))


def _functions(module: types.ModuleType, names: list[str]) -> Iterator[str]:
    for name in names:
        function = getattr(module, name)
        yield f"#### {name}"
        yield fenced(f"{name}{signature(function)}")
        yield prose(inspect.getdoc(function) or "")


# ---------------------------------------------------------------------------------------------------------------- text


def prose(text: str) -> str:
    """A docstring as Markdown: what is indented becomes a block."""
    parts = []
    for part in re.split(r"\n\s*\n", text.strip("\n")):
        lines = part.splitlines()
        if all(line.startswith("    ") for line in lines):
            if parts and parts[-1].startswith("```"):
                parts[-1] = fenced(parts[-1].split("\n", 1)[1].rsplit("\n```", 1)[0] + "\n\n" + textwrap.dedent(part))
            else:
                parts.append(fenced(textwrap.dedent(part)))
        else:
            parts.append(part)
    return "\n\n".join(parts)


def fenced(text: str) -> str:
    """A block that is shown and not run."""
    return f"```text\n{text.rstrip()}\n```"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# ------------------------------------------------------------------------------------------------------------- surface


def surface() -> str:
    """Every public name with its signature, for the snapshot that a change has to renew on purpose.

    What a Protocol leaves to choice stands in its text, so the pieces of code in it are part of the surface.
    """
    lines = [f"API_VERSION = {API_VERSION}", ""]
    modules = (voxcli.api, voxcli.errors, voxcli.checkpoints, voxcli.testing, voxcli.testing_models)
    for module in modules:
        lines.append(f"# {module.__name__}")
        for name in sorted(_public(module)):
            lines += _surface(name, getattr(module, name))
        lines.append("")
    lines.append("# hooks")
    lines += [f"{name}{_flat(hook)}" for name, hook in vars(hooks).items() if name.startswith("vox_")]
    return "\n".join(lines) + "\n"


def _public(module: types.ModuleType) -> list[str]:
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if name[0] != "_" and getattr(value, "__module__", None) == module.__name__ and callable(value)
    ]


def _surface(name: str, found: Any) -> Iterator[str]:
    if (fixture := getattr(found, "_fixture_function", None)) is not None:
        found, name = fixture, f"fixture {name}"
    if inspect.isclass(found):
        parents = [one.__name__ for one in found.__bases__ if one not in (object,) and one.__name__ != "Protocol"]
        yield f"{name}({', '.join(parents)})" if parents else name
        for key, (text, _) in attributes(found).items():
            yield f"    {key}: {text}"
        plain = not dataclasses.is_dataclass(found) and not getattr(found, "_is_protocol", False)
        inside = {"__init__": found.__init__} if plain and "__init__" in vars(found) else {}
        for key, method in {**inside, **methods(found)}.items():
            yield f"    {key}{_flat(method)}"
        if getattr(found, "_is_protocol", False):
            spans = re.findall(r"`([^`]+)`", " ".join((inspect.getdoc(found) or "").split()))
            yield from (f"    its text: {span}" for span in dict.fromkeys(spans) if re.search(r"\(|: ", span))
    elif inspect.isfunction(found):
        yield f"{name}{_flat(found)}" if found.__module__.startswith("voxcli") else f"{name}: of {found.__module__}"
    elif isinstance(found, types.UnionType):
        yield f"{name} = {' | '.join(one.__name__ for one in found.__args__)}"
    elif isinstance(found, pluggy.HookimplMarker):
        yield f"{name}: {type(found).__name__}({found.project_name!r})"
    else:
        yield f"{name} = {found!r}"


def _flat(function: Any) -> str:
    return re.sub(r"\(\s+", "(", re.sub(r",\s+\)", ")", " ".join(signature(function).split())))


if __name__ == "__main__":
    main()
