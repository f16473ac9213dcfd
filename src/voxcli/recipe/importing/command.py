"""A shell command, or a JSON file of arguments -> which script, and its arguments by name.

Understood: environment variables before the command; python, python -m torch.distributed.launch, torchrun and
accelerate launch with options of their own; --flag, --flag value, --flag=value, --flag a b c, --no_flag, --some-flag;
a JSON file as the only argument, as HfArgumentParser takes it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxcli.errors import UsageError
from voxcli.recipe.importing.arguments import PROCESSES, SCRIPTS, script_of

FORMS = "vox recipe import -- python run_speech_recognition_ctc.py --model_name_or_path …"


@dataclass(frozen=True)
class Command:
    """What was asked of which script."""

    script: str
    """ctc, adapter, seq2seq, classification or pretraining."""
    given: dict[str, list[str]]
    """Argument -> the words after it, as written; an argument that is given twice has its last words."""
    processes: int = 1
    """Processes that the launcher starts on a machine."""
    notes: list[str] = field(default_factory=list)


def read(words: Sequence[str], *, script: str | None = None) -> Command:
    """The words of a command, or one file that holds a command or a table of arguments.

    `script` names the script where nothing else does. Raises `UsageError` where it is unknown, and where a word is no
    argument.
    """
    words = _of_file(words)
    at = next((index for index, word in enumerate(words) if script_of(word)), None)
    launch, rest = (list(words[:at]), list(words[at + 1 :])) if at is not None else ([], list(words))
    named = script or (script_of(words[at]) if at is not None else None)
    if named is not None and named not in SCRIPTS:
        raise UsageError(f"there is no script '{named}'", help=f"--script {' | '.join(SCRIPTS)}")
    if at is None and launch == [] and any(word.endswith(".py") for word in words):
        other = next(word for word in words if word.endswith(".py"))
        names = ", ".join(file for _, file in SCRIPTS.values())
        raise UsageError(f"{other} is none of the scripts that can be imported", help=f"those are {names}")
    as_file = len(rest) == 1 and rest[0].endswith(".json")
    given = _of_json(Path(rest[0])) if as_file else _arguments(rest)
    named = named or _guess(given)
    return Command(named, given, _processes(launch))


def _of_file(words: Sequence[str]) -> Sequence[str]:
    """A file that holds one command, with its line breaks."""
    if len(words) != 1 or words[0].endswith(".json") or not Path(words[0]).is_file():
        return words if len(words) != 1 or " " not in words[0] else _split(words[0])
    lines = Path(words[0]).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    asked = [line for line in lines if not line.lstrip().startswith("#") and ".py" in line]
    if len(asked) != 1:
        raise UsageError(f"{words[0]} holds {len(asked)} commands that run a script", help="leave one of them")
    return _split(asked[0])


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the command cannot be read: {error}", help=f"as in a shell: {FORMS}") from error


def _arguments(words: Sequence[str]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    name: str | None = None
    for word in words:
        if word.startswith("--") and word[2:3].isalpha():
            name, equals, value = word[2:].partition("=")
            name = name.replace("-", "_")
            given[name] = [value] if equals else []
        elif not word.strip():
            continue  # a line break that the shell kept
        elif name is None:
            raise UsageError(f"'{word}' stands before any argument", help=FORMS)
        else:
            given[name].append(word)
    return given


def _of_json(path: Path) -> dict[str, list[str]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", help="name the file of arguments") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}", help='{"model_name_or_path": "…", …}') from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds no table of arguments", help='{"model_name_or_path": "…", …}')
    return {str(name).replace("-", "_"): _words(value) for name, value in content.items() if value is not None}


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(one) for one in value]
    return [
        str(value).lower() if isinstance(value, bool) else json.dumps(value) if isinstance(value, dict) else str(value)
    ]


def _processes(launch: Sequence[str]) -> int:
    for index, word in enumerate(launch):
        name, equals, value = word.lstrip("-").replace("-", "_").partition("=")
        text = value if equals else next(iter(launch[index + 1 :]), "")
        if name in PROCESSES and text.isdigit():
            return int(text)
    return 1


def _guess(given: dict[str, list[str]]) -> str:
    """The script that alone has these arguments."""
    for script, telling in (
        ("pretraining", {"dataset_config_names", "dataset_split_names", "max_gumbel_temperature"}),
        ("adapter", {"target_language", "adapter_attn_dim"}),
        ("classification", {"label_column_name", "max_length_seconds", "ignore_mismatched_sizes"}),
        ("seq2seq", {"predict_with_generate", "generation_max_length", "language", "freeze_encoder", "do_lower_case"}),
        ("ctc", {"chars_to_ignore", "eval_metrics", "ctc_loss_reduction", "word_delimiter_token"}),
    ):
        if telling & set(given):
            return script
    raise UsageError("nothing says which script this is for", help=f"--script {' | '.join(SCRIPTS)}, or {FORMS}")
