"""The pages hold: recipes resolve, Python runs, commands parse, links lead somewhere, key tables are those of the code.

How a block of a page is read:

    ```toml     a recipe where it has [[data]] and a [model] (its own or an inherited one); anything less is a part of
                a recipe and is completed by `BASE` before it is resolved. Paths need not exist.
    ```python   is run, in a folder of the page
    ```sh       each line that begins with `vox` is parsed by the real command line, which is not run
    anything    whose first line is a comment that is a file's name (`# vox_clip.py`) is that file: the other blocks of
                the page find it. A file called test_….py is run by pytest; pyproject.toml has to be TOML.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

BASE: dict[str, Any] = {
    "data": [{"type": "manifest", "path": "speech/manifest.csv"}],
    "model": {"type": "whisper", "checkpoint": "openai/whisper-small"},
    "train": {"max_steps": 100, "batch_duration": 60.0},
}
BATCH_SIZES = {"batch_duration", "per_device_train_batch_size"}

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"#(?::schema)? ([\w./-]+\.(?:py|toml))\s*$")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
KEY = re.compile(
    r"`\[{0,2}([a-z]+)\]{1,2} ([a-z][a-z0-9_]*)(?: = [^`]*)?`|`([a-z]+)\.(?:\d\.)?([a-z][a-z0-9_]*)(?:=[^`]*)?`"
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The name under which the block is a file."""
        match = FILE.match(self.text.split("\n", 1)[0])
        return match[1] if match else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match[2] in languages:
                inside = "".join(line.removeprefix(match[1]) for line in match[3].splitlines(keepends=True))
                yield Block(page, text.count("\n", 0, match.start()) + 1, match[2], inside)


def parameters(found: Iterator[Any]) -> list[Any]:
    return [pytest.param(one, id=str(one)) for one in found]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`folder(page)`: the working directory with the files that the page writes; plugins are forgotten afterwards."""
    from voxcli.testing import forget_plugins

    def enter(page: Path) -> Path:
        for block in blocks("python", "toml"):
            if block.page == page and block.file:
                path = tmp_path / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        return tmp_path

    before = set(sys.modules)
    forget_plugins()
    yield enter
    forget_plugins()
    for name in set(sys.modules) - before:
        if name.startswith(("vox_", "test_vox")):
            del sys.modules[name]


# ---------------------------------------------------------------------------------------------------------------- toml


@pytest.mark.parametrize("block", parameters(blocks("toml")))
def test_a_recipe_resolves(block: Block, folder: Any, first_party: None) -> None:
    from voxcli.plugins.manager import use_files
    from voxcli.recipe.render import toml
    from voxcli.recipe.resolve import resolve

    path = folder(block.page)
    tables = tomllib.loads(block.text)
    if block.file and block.file.endswith("pyproject.toml"):
        return
    use_files(sorted(path.glob("vox_*.py")))
    recipe = path / (block.file or "block.toml")
    recipe.write_text(block.text if _whole(tables) else toml(_completed(tables)), encoding="utf-8")
    resolve(recipe, missing="warning")


def _whole(tables: dict[str, Any]) -> bool:
    return "data" in tables and ("model" in tables or "extends" in tables)


def _completed(tables: dict[str, Any]) -> dict[str, Any]:
    made = dict(tables)
    made.setdefault("data", BASE["data"])
    if "extends" in tables:
        return made
    if "type" not in tables.get("model", {}):
        made["model"] = {**BASE["model"], **tables.get("model", {})}
    train = dict(BASE["train"])
    if BATCH_SIZES & set(tables.get("train", {})):
        del train["batch_duration"]
    made["train"] = {**train, **tables.get("train", {})}
    return made


# -------------------------------------------------------------------------------------------------------------- python


def _is_test(block: Block) -> bool:
    return Path(block.file or "").name.startswith("test_")


@pytest.mark.parametrize("block", parameters(one for one in blocks("python") if not _is_test(one)))
def test_python_runs(block: Block, folder: Any) -> None:
    folder(block.page)
    if block.file:
        importlib.import_module(Path(block.file).stem)
    else:
        exec(compile("\n" * block.line + block.text, str(block.page), "exec"), {"__name__": "page"})


@pytest.mark.parametrize(
    "page", sorted({one.page for one in blocks("python") if _is_test(one)}), ids=lambda one: one.name
)
def test_the_tests_of_a_page_pass(page: Path, folder: Any) -> None:
    path = folder(page)
    files = sorted(file.name for file in path.glob("test_*.py"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files]
    there = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(command, cwd=path, env=there, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


# ------------------------------------------------------------------------------------------------------------ commands


@dataclass(frozen=True)
class Command:
    """One `vox …` of a page."""

    block: Block
    line: int
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.block.page.relative_to(ROOT)}:{self.line}"


def commands() -> Iterator[Command]:
    for block in blocks("sh"):
        begun, whole = 0, ""
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            begun, whole = (number, line) if not whole else (begun, whole + line.strip())
            if whole.endswith("\\"):
                whole = whole[:-1]
                continue
            for words in _commands_in(whole):
                yield Command(block, begun, tuple(words))
            whole = ""


def _commands_in(line: str) -> Iterator[list[str]]:
    """The arguments of each `vox` on a line, whatever stands before it and is piped into it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;<>()"):
            while words and re.fullmatch(r"\w+=.*|-m|python|nohup|torchrun|--nproc-per-node|\d+", words[0]):
                words.pop(0)
            if words and words[0].rpartition("/")[2] in ("vox", "voxcli"):
                yield words[1:]
            words = []
        else:
            words.append(word)


@pytest.mark.parametrize("command", parameters(commands()))
def test_a_command_exists_with_its_options(command: Command, folder: Any, first_party: None) -> None:
    folder(command.block.page)
    parsed = _parsed(list(command.arguments))
    for override in parsed.get("overrides") or ():
        assert not override.startswith("-")
        section, _, key = override.lstrip("~").partition("=")[0].partition(".")
        _exists(section, re.sub(r"^\d+\.", "", key).partition(".")[0])


def _parsed(arguments: list[str]) -> dict[str, Any]:
    """What the command would be called with. Fails for a command, an option or a value that does not exist."""
    import typer

    from voxcli.cli import app

    group, ended = app._group(), (typer.Exit, SystemExit)
    with contextlib.suppress(*ended):
        context = group.make_context("vox", app.hoisted(arguments))
        while True:
            rest = [*context._protected_args, *context.args]
            name, group, rest = group.resolve_command(context, rest)
            context = group.make_context(name, list(rest), parent=context)
            if not hasattr(group, "resolve_command"):
                return dict(context.params)
    return {}


def test_the_check_of_commands_can_fail() -> None:
    for wrong in (["trian", "r.toml"], ["train", "r.toml", "--resum"], ["transcribe", "a.wav", "--format", "doc"]):
        with pytest.raises(Exception, match=r"(?i)no such|invalid|is not one of"):
            _parsed(wrong)
    assert _parsed(["train", "r.toml", "train.max_steps=1"])["overrides"] == ("train.max_steps=1",)


# --------------------------------------------------------------------------------------------------------------- links


@dataclass(frozen=True)
class Link:
    """One link of a page."""

    page: Path
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def links() -> Iterator[Link]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        prose = FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
        for match in LINK.finditer(prose):
            if not re.match(r"\w+:", match[1]):
                yield Link(page, prose.count("\n", 0, match.start()) + 1, match[1])


@pytest.mark.parametrize("link", parameters(links()))
def test_a_link_leads_somewhere(link: Link) -> None:
    name, _, heading = link.target.partition("#")
    target = (link.page.parent / name).resolve() if name else link.page
    assert target.exists(), f"there is no {name}"
    if heading:
        assert heading in _headings(target)


def _headings(page: Path) -> set[str]:
    """Names of the headings as GitHub makes them."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_can_be_found() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {link.target for link in links() if link.page == index}
    plugins = index.parent / "plugins" / "index.md"
    listed |= {f"plugins/{link.target}" for link in links() if link.page == plugins}
    assert {page.relative_to(index.parent).as_posix() for page in PAGES[1:]} - {"index.md"} <= listed


# ---------------------------------------------------------------------------------------------------------------- keys


@pytest.fixture(scope="module")
def key_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("key_tables", ROOT / "scripts" / "key_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_key_tables_are_those_of_the_code(page: Path, key_tables: ModuleType) -> None:
    text = page.read_text(encoding="utf-8")
    assert key_tables.renewed(text) == text, "run: python scripts/key_tables.py"


def test_every_table_has_its_page(key_tables: ModuleType) -> None:
    shown = [name for page in PAGES for _, name, _ in key_tables.MARKED.findall(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(key_tables.tables())


def named_keys() -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        for match in KEY.finditer(prose):
            yield page.name, match[1] or match[3], match[2] or match[4]


def test_no_page_names_a_key_that_does_not_exist() -> None:
    found = list(named_keys())
    assert len(found) > 20
    for page, section, key in found:
        with contextlib.suppress(LookupError):
            _exists(section, key, where=page)


def _exists(section: str, key: str, *, where: str = "") -> None:
    """Fail for a key that its section does not have. Raises `LookupError` for a name that is no section."""
    from voxcli.plugins.manager import manager
    from voxcli.recipe.schema import COMPONENT_SECTIONS, CORE, TOP_KEYS
    from voxcli.recipe.validate import field_names

    if section in TOP_KEYS and not key:
        return
    if (section, key) == ("decoder", "layers"):  # a group of train.freeze
        return
    if section in CORE:
        known = set(field_names(CORE[section]))
    elif section in COMPONENT_SECTIONS:
        registry = manager().registry
        kind = COMPONENT_SECTIONS[section]
        classes = [registry.load(kind, name) for name in registry.names(kind)]
        known = {"type"}.union(*(field_names(cls) for cls in classes))
    elif where:
        raise LookupError(section)
    else:
        raise AssertionError(f"there is no section '{section}'")
    assert not key or key in known, f"{where}: [{section}] has no key '{key}'"
