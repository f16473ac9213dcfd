"""A new plugin -> the text of each of its files.

The files are templates in `voxcli/templates/plugin` (`string.Template`: `$name`, and `$$` for a dollar sign). What
differs between kinds stands in a folder of `kinds/` each: component, its test, an example recipe, a part of the README.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import voxcli

if TYPE_CHECKING:
    from voxcli.plugins.new import NewPlugin

_INDENT = 4 * " "


@dataclass(frozen=True)
class Kind:
    """What a template of one kind makes."""

    summary: str
    """What its component does, in the words of `vox plugins list`."""
    fixture: str = ""
    """A fixture that the example of its keys needs: "tmp_path"."""
    example: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """"kind/name" -> keys in Python, for a component that has required ones; both are templates."""
    model: str = ""
    """The function of `voxcli.testing_models` that the example calls."""


KINDS: dict[str, Kind] = {
    "dataset": Kind(
        "one folder a speaker, transcripts beside the audio", "speakers", {"dataset/$name": '{"root": str(speakers)}'}
    ),
    "augmentation": Kind("mains hum at a drawn level"),
    "model": Kind(
        "a CTC model with every second layer of a checkpoint",
        "tmp_path",
        {"model/$name": '{"checkpoint": str(tiny_ctc(tmp_path / "ctc"))}'},
        "tiny_ctc",
    ),
    "task": Kind(
        "classification by the focal loss",
        "tmp_path",
        {"model/$name-classifier": '{"checkpoint": str(tiny_classifier(tmp_path / "model"))}'},
        "tiny_classifier",
    ),
    "backend": Kind("voxcli's loop with a limit of time"),
    "decoder": Kind("greedy, without what the model is unsure of"),
    "engine": Kind("the trained model, computed in bfloat16"),
    "exporter": Kind("the encoder alone, for other models to begin with"),
    "check": Kind("transcripts that hold a web address"),
}


def files(plugin: NewPlugin) -> dict[str, str]:
    """Path in the new folder -> text of the file."""
    facts = _facts(plugin)
    made = {
        "pyproject.toml": _filled("pyproject.toml", facts),
        "README.md": _filled("README.md", facts),
        "LICENSE": _licence(plugin),
        "CHANGELOG.md": _filled("CHANGELOG.md", facts),
        ".gitignore": _filled("gitignore", facts),
        ".github/workflows/ci.yml": _filled("ci.yml", facts),
        ".github/workflows/publish.yml": _filled("publish.yml", facts),
        f"src/{plugin.module}/__init__.py": _filled("init.py", facts),
        "tests/test_plugin.py": _filled("test_plugin.py", facts),
    }
    for kind in plugin.kinds:
        own = _facts_of(plugin, kind, facts)
        made[f"src/{plugin.module}/{kind}.py"] = _filled(f"kinds/{kind}/component.py", own)
        made[f"tests/test_{kind}.py"] = _filled(f"kinds/{kind}/test.py", own)
        if _has(f"kinds/{kind}/recipe.toml"):
            made[own["recipe"]] = _filled(f"kinds/{kind}/recipe.toml", own)
        if _has(f"kinds/{kind}/conftest.py"):
            made["tests/conftest.py"] = _filled(f"kinds/{kind}/conftest.py", own)
    return dict(sorted(made.items()))


def range_of(version: str) -> str:
    """The versions of voxcli that a plugin made with `version` asks for: "0.3.1" -> ">=0.3.1,<0.4"."""
    major, minor = (int(part) for part in re.findall(r"\d+", version)[:2])
    return f">={version.partition('+')[0]},<{f'0.{minor + 1}' if major == 0 else major + 1}"


def _facts(plugin: NewPlugin) -> dict[str, str]:
    from voxcli.api import API_VERSION

    found = {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "module": plugin.module,
        "code": plugin.code,
        "description": plugin.description,
        "sentence": plugin.description
        if plugin.description.endswith((".", "!", "?", "…"))
        else f"{plugin.description}.",
        "description_quoted": _toml(plugin.description),
        "author_table": _author(plugin.author),
        "license": plugin.license,
        "range": range_of(voxcli.__version__),
        "api_version": str(API_VERSION),
        "changes": "\n".join(f"- The {kind} `{name}`: {summary}." for kind, name, _, summary in plugin.components),
        "registrations": "\n".join(_registration(*one) for one in plugin.components),
    }
    found |= _check_plugin(plugin)
    parts = {kind: _filled(f"kinds/{kind}/use.md", _facts_of(plugin, kind, found)) for kind in plugin.kinds}
    several = len(parts) > 1
    found["use"] = "\n".join(f"### {kind}\n\n{text}" if several else text for kind, text in parts.items()).rstrip()
    return found


def _facts_of(plugin: NewPlugin, kind: str, facts: Mapping[str, str]) -> dict[str, str]:
    recipe = "example" if len(plugin.kinds) == 1 else kind
    return {**facts, "cls": plugin.class_name(kind), "recipe": f"recipes/{recipe}.toml"}


def _registration(kind: str, name: str, target: str, summary: str) -> str:
    """One call of `registry.add`, as ruff formats it however long the name is."""
    arguments = [json.dumps(kind), json.dumps(name), json.dumps(target), f"summary={json.dumps(summary)}"]
    lines = "".join(f"{_INDENT}{_INDENT}{argument},\n" for argument in arguments)
    return f"{_INDENT}registry.add(\n{lines}{_INDENT})"


def _check_plugin(plugin: NewPlugin) -> dict[str, str]:
    """Imports, fixtures and examples of the test that calls `check_plugin`."""
    kinds = [KINDS[kind] for kind in plugin.kinds]
    examples = [(name, keys) for kind in kinds for name, keys in kind.example.items()]
    models = sorted({kind.model for kind in kinds if kind.model})
    fixtures = sorted({kind.fixture for kind in kinds if kind.fixture})
    imports = "from voxcli.testing import check_plugin\n"
    if models:
        imports += f"from voxcli.testing_models import {', '.join(models)}\n"
    if fixtures:
        imports = f"from pathlib import Path\n\n{imports}"
    call = f'{_INDENT}check_plugin("{plugin.module}")'
    if examples:
        lines = [f'{2 * _INDENT}"{plugin.module}",', f"{2 * _INDENT}examples={{"]
        lines += [f'{3 * _INDENT}"{Template(name).substitute(name=plugin.name)}": {keys},' for name, keys in examples]
        call = "\n".join([f"{_INDENT}check_plugin(", *lines, f"{2 * _INDENT}}},", f"{_INDENT})"])
    fixture = ", ".join(f"{name}: Path" for name in fixtures)
    return {"imports": imports, "fixtures": fixture, "check": call}


def _author(author: str) -> str:
    name, email = _name_and_address(author)
    parts = {"name": name, "email": email}
    return f"{{ {', '.join(f'{key} = {_toml(value)}' for key, value in parts.items() if value)} }}"


def _name_and_address(author: str) -> tuple[str, str]:
    """ "Ada <ada@example.org>" -> "Ada", "ada@example.org"; either may be missing: "Ada", "<ada@example.org>"."""
    bare = r"[^<>@\s]+@[^<>@\s]+"
    match = re.fullmatch(rf"(.*?)\s*<({bare})>", author) or re.fullmatch(rf"()({bare})", author)
    return (match[1], match[2]) if match is not None else (author, "")


def _toml(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _licence(plugin: NewPlugin) -> str:
    text = (_folder() / "licenses" / f"{plugin.license}.txt").read_text(encoding="utf-8")
    if plugin.license == "MIT":
        name, email = _name_and_address(plugin.author)
        return Template(text).substitute(year=datetime.datetime.now(datetime.UTC).year, author=name or email)
    return text


def _filled(name: str, facts: Mapping[str, str]) -> str:
    return Template(text(name)).substitute(facts)


def text(name: str) -> str:
    """A template as it is: "kinds/task/component.py"."""
    return _file(name).read_text(encoding="utf-8")


def _has(name: str) -> bool:
    return _file(name).is_file()


def _file(name: str) -> Path:
    return _folder() / f"{name}.tmpl"


def _folder() -> Path:
    return Path(voxcli.__file__).parent / "templates" / "plugin"
