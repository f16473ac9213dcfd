"""A name and kinds of component -> a new plugin: what it is called, whether that is taken, its folder on the disk.

The text of its files comes from `voxcli.plugins.template`.
"""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voxcli.errors import PluginError, UsageError
from voxcli.plugins import template
from voxcli.plugins.registry import Registry
from voxcli.plugins.template import KINDS

License = Literal["Apache-2.0", "MIT"]
LICENSES: tuple[License, ...] = ("Apache-2.0", "MIT")

PREFIX = "vox-"
LONGEST = 26  # characters of a name: lines of the templates stay below 120
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class NewPlugin:
    """What is to be written."""

    name: str
    """Of its components and its entry point: "telugu"."""
    kinds: tuple[str, ...]
    description: str
    author: str
    """"Ada" or "Ada <ada@example.org>"."""
    license: License

    @property
    def distribution(self) -> str:
        """What is installed: "vox-telugu"."""
        return PREFIX + self.name

    @property
    def module(self) -> str:
        """What is imported: "vox_telugu"."""
        return self.distribution.replace("-", "_")

    @property
    def code(self) -> str:
        """Of its check: its own letters, and never one alone, which is how voxcli's codes begin."""
        letters = "".join(re.findall("[a-z]", self.name)).upper()
        return f"{letters if len(letters) > 1 else 'X' + letters}001"

    @property
    def components(self) -> list[tuple[str, str, str, str]]:
        """(kind, name, "module:Class", summary) of what it registers, in the order of its kinds."""
        found = []
        for kind in self.kinds:
            made, place = self.class_name(kind), f"{self.module}.{kind}"
            registered = self.code if kind == "check" else self.name
            found.append((kind, registered, f"{place}:{made}", KINDS[kind].summary))
            if kind == "task":
                summary = f"an audio classifier for the task {self.name}"
                found.append(("model", f"{self.name}-classifier", f"{place}:{made}Classifier", summary))
        return found

    def class_name(self, kind: str) -> str:
        """ "band-stop" -> "BandStop"; with the kind behind it where the templates use that word themselves."""
        made = "".join(part.capitalize() for part in self.name.split("-"))
        texts = [template.text(f"kinds/{kind}/{file}.py") for file in ("component", "test")]
        taken = keyword.iskeyword(made) or any(re.search(rf"\b{made}\b", text) for text in texts)
        return made + kind.capitalize() if taken else made


def named(name: str) -> str:
    """What a person typed -> the plugin's name without "vox-". Raises `UsageError` for one that cannot be used."""
    bare = name.removeprefix(PREFIX)
    if _NAME.fullmatch(bare) and len(bare) <= LONGEST:
        return bare
    said = "too long" if _NAME.fullmatch(bare) else "no name for a plugin"
    words = re.findall(r"[a-z0-9]+", bare.lower())
    better = "-".join(words).lstrip("0123456789-")[:LONGEST].rstrip("-")
    help = f"at most {LONGEST} lower-case letters and digits, words joined by hyphens, a letter first"
    raise UsageError(f"'{name}' is {said}", help=f"{help}: {PREFIX}{better}" if better else help)


def kinds_of(asked: Sequence[str]) -> tuple[str, ...]:
    """Kinds as they were asked for, each once. Raises `UsageError` for one that there is not, and for none."""
    known = f"kinds: {', '.join(KINDS)}"
    if not asked:
        raise UsageError("which kind of component? --kind is missing", help=known)
    for one in asked:
        if one not in KINDS:
            close = difflib.get_close_matches(one, KINDS, n=1)
            raise UsageError(
                f"no kind of component is called '{one}'",
                help=f"did you mean `{close[0]}`? {known}" if close else known,
            )
    return tuple(dict.fromkeys(asked))


def refuse_taken(plugin: NewPlugin, registry: Registry) -> None:
    """Raise `UsageError` where something that is installed has the distribution's or a component's name."""
    from importlib import metadata

    help = f"choose another name, or uninstall it first: pip uninstall {plugin.distribution}"
    try:
        version = metadata.version(plugin.distribution)
    except metadata.PackageNotFoundError:
        pass
    else:
        raise UsageError(f"{plugin.distribution} {version} is installed already", help=help)
    for kind, name, _, _ in plugin.components:
        if name in registry.names(kind):
            try:
                who = registry.find(kind, name).distribution
            except PluginError:
                who = "more than one plugin"
            article = "an" if kind[0] in "aeiou" else "a"
            raise UsageError(f"{who} has {article} {kind} called '{name}' already", help="choose another name")


def write(folder: Path, made: Mapping[str, str]) -> None:
    """Write the files into a new folder, all or none. Raises `UsageError` where it cannot be made."""
    import tempfile

    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} exists already", help="give another name, or another folder with --out")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
            partial = Path(beside) / folder.name
            for name, text in made.items():
                path = partial / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
            partial.rename(folder)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror or error}", help="choose a folder with --out"
        ) from error
