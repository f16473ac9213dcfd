"""Text -> the same without secrets, without the names of people and machines, and without the folders of this user.

What is masked is known in three ways: by its form (tokens of hubs and clouds, credentials in URLs), by the name it
stands under (`token = "…"`), or because this machine, this environment or these data say what it is.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from voxcli.recipe.schema import SECTIONS

SECRET = "<secret>"
TEXT = "<text>"
WORDS = frozenset(
    (*SECTIONS, "root", "user", "audio", "speech", "test", "validation", "whisper", "voxcli", "checkpoint")
)
"""What a report says itself: no name of a user, should one be called so."""

_NAMED = (
    r"(?:token|password|passwd|passphrase|secret|api_?key|access_?key|private_?key|credentials?|auth|authorization)"
)
SECRET_NAME = re.compile(rf"(?:^|[_\-.]){_NAMED}(?:$|[_\-.])", re.IGNORECASE)
"""A key or a variable whose value is nobody's business: `hf_token`, `WANDB_API_KEY`."""
_VARIABLE = re.compile(r"TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|AUTH|_KEY$|APIKEY", re.IGNORECASE)

_FORMS = (
    re.compile(r"(?<=://)[^/\s@'\"]+@"),  # URLs: user:password@host
    re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{10,}"),  # Hugging Face
    re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,})"),
    re.compile(r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}"),
    re.compile(r"\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\bxox[abprs]-[\w-]{10,}"),  # AWS, Google, Slack
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # JSON web tokens
    re.compile(r"(?i)\bbearer\s+[\w.~+/=-]{8,}"),
    re.compile(r"\b[0-9a-fA-F]{32,}\b"),  # also hashes, which nobody misses
    re.compile(r"(?<![\w/.-])(?=[\w+=-]*\d)(?=[\w+=-]*[a-z])(?=[\w+=-]*[A-Z])[A-Za-z0-9_+=-]{32,}(?![\w/.-])"),
    re.compile(r"-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|$)", re.DOTALL),
)
_ASSIGNED = re.compile(
    rf"""(?P<name>(?<![^\W_])(?:[\w.\-]*[_\-.])?{_NAMED}(?:[_\-]\w+)?["']?\s*(?:=|:\s)\s*)"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s,;&{}()\[\]"']+)""",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"'([^'\n]{3,})'|\"([^\"\n]{3,})\"|“([^”\n]{3,})”|‘([^’\n]{3,})’|«([^»\n]{3,})»")
_HOMES = re.compile(r"(?<![\w.])(/home|/Users|[A-Za-z]:\\Users)([/\\])[^/\\\s'\":,]+")


_SYSTEM = "dev|usr|lib|lib64|opt|etc|proc|sys|var|run|bin|sbin|snap|nix"
_ABSOLUTE = re.compile(rf"(?<![\w.~<>:/%-])/(?!(?:{_SYSTEM})/)[^/\s'\":,;)\]}}]+/[^\s'\":,;)\]}}]+")
"""A path of two parts or more that is not the system's."""
_QUOTED_PATH = re.compile(rf"([\"'])/(?!(?:{_SYSTEM})/)[^\"'\n]*/([^\"'/\n]+)/?\1")


class Masks:
    """What is taken out of a text that others will read."""

    def __init__(self, names: Mapping[str, str] | None = None, transcripts: Iterable[Any] = ()) -> None:
        """`names`: what data call their speakers and utterances, and what stands for it; `transcripts`: Arrow columns
        in which what a finding quotes is looked for.
        """
        self._data = sorted((names or {}).items(), key=lambda pair: len(pair[0]), reverse=True)
        self._columns = [column for column in transcripts if len(column)]

    def findings(self, text: str) -> str:
        """What was found, without what it quotes of the data."""
        if self._columns:
            text = _QUOTED.sub(self._without_transcript, text)
        for name, short in self._data:
            if name in text:
                text = _word(name).sub(short, text)
        return text

    def __call__(self, text: str) -> str:
        """Any text without secrets, folders and names of this user."""
        for secret in self._secrets:
            text = text.replace(secret, SECRET)
        for form in _FORMS:
            text = form.sub(SECRET + "@" if form is _FORMS[0] else SECRET, text)
        text = _ASSIGNED.sub(_without_value, text)
        return self.paths(text)

    def paths(self, text: str) -> str:
        """The text without the folders and the name of this user; of other folders the last part stays."""
        for folder, short in self._folders:
            text = re.sub(re.escape(folder) + r"(?![\w.-])", short, text)
        text = _QUOTED_PATH.sub(r"\1<path>/\2\1", text)  # with spaces in it
        text = _ABSOLUTE.sub(_without_folders, text)
        text = _HOMES.sub(r"\1\2USER", text)
        for name, short in self._names:
            text = _word(name).sub(short, text)
        return text

    def values(self, table: Any) -> Any:
        """Plain tables whose values under secret names are masked."""
        if isinstance(table, Mapping):
            return {
                name: SECRET if SECRET_NAME.search(str(name)) and isinstance(value, str) else self.values(value)
                for name, value in table.items()
            }
        return [self.values(one) for one in table] if isinstance(table, list) else table

    @cached_property
    def _secrets(self) -> list[str]:
        """Values of the environment and of the hub's file that are secret, longest first."""
        found = {value.strip() for name, value in os.environ.items() if _VARIABLE.search(name)}
        home = os.environ.get("HF_HOME") or os.path.join(_home(), ".cache", "huggingface")
        for path in (os.environ.get("HF_TOKEN_PATH"), os.path.join(home, "token")):
            try:
                found.add(Path(path or "").read_text(encoding="utf-8").strip())
            except (OSError, UnicodeDecodeError, ValueError):
                continue
        return sorted((one for one in found if len(one) >= 8), key=len, reverse=True)

    @cached_property
    def _folders(self) -> list[tuple[str, str]]:
        """(folder, what stands for it), longest first."""
        here = {os.getcwd(), os.environ.get("PWD", ""), os.path.realpath(os.getcwd())}
        homes = {_home(), os.path.realpath(_home())}
        pairs = [(folder, ".") for folder in here] + [(folder, "~") for folder in homes if folder not in here]
        return sorted(((one, short) for one, short in pairs if len(one) > 1), key=lambda pair: -len(pair[0]))

    @cached_property
    def _names(self) -> list[tuple[str, str]]:
        users = {os.environ.get("USER", ""), os.environ.get("LOGNAME", ""), os.path.basename(_home())}
        with contextlib.suppress(OSError, KeyError):  # a user id without a name
            users.add(getpass.getuser())
        users = {name for name in users if len(name) > 2 and name not in WORDS}
        host = socket.gethostname()
        hosts = [(host, "HOST")] if re.search(r"[\d.-]", host) else []  # a host may be called "whisper"
        return [*((name, "USER") for name in sorted(users, key=len, reverse=True)), *hosts]

    def _without_transcript(self, match: re.Match[str]) -> str:
        import pyarrow.compute as pc

        inside = next(group for group in match.groups() if group is not None).strip().rstrip("…").strip()
        if len(inside) < 3:
            return match[0]
        for column in self._columns:
            if pc.any(pc.match_substring(column, inside)).as_py():
                return match[0][0] + TEXT + match[0][-1]
        return match[0]


def _without_folders(match: re.Match[str]) -> str:
    """The last part of a path, which says what it is; of a package, what lies in it."""
    package = match[0].rpartition("/site-packages/")[2]
    return f"<path>/{package if package != match[0] else match[0].rstrip('/').rpartition('/')[2]}"


def _without_value(match: re.Match[str]) -> str:
    """A figure or a truth under such a name is no secret: `max_new_tokens = 5`."""
    value = match["value"]
    if re.fullmatch(r"[-+]?\d{1,6}(?:\.\d+)?|true|false|none|null", value, re.IGNORECASE):
        return match[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{match['name']}{quote}{SECRET}{quote}"


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")


def _home() -> str:
    return os.path.expanduser("~")
