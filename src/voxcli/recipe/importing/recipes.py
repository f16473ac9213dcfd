"""A command -> a recipe's text, with every line about it as comments, and the findings of resolving it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence

from voxcli.errors import UsageError
from voxcli.recipe.importing import classification, ctc, pretraining, seq2seq
from voxcli.recipe.importing.arguments import PARTING, REMOVED, SCRIPTS, close, known
from voxcli.recipe.importing.command import read
from voxcli.recipe.importing.imported import Imported
from voxcli.recipe.render import toml
from voxcli.recipe.schema import SECTIONS

_SCRIPTS: dict[str, Callable[[Imported], None]] = {
    "ctc": ctc.ctc,
    "adapter": ctc.adapter,
    "seq2seq": seq2seq.seq2seq,
    "classification": classification.classification,
    "pretraining": pretraining.pretraining,
}
_WIDTH = 116


def imported(words: Sequence[str], *, script: str | None = None) -> Imported:
    """A command, or a file of one, as recipe tables and notes.

    Raises `UsageError` where it is no command of these scripts, or has arguments that none of them knows.
    """
    command = read(words, script=script)
    unknown = [name for name in command.given if not {name, name.removeprefix("no_")} & known(command.script)]
    if unknown:
        named = [f"--{name}" + (f" (--{meant}?)" if (meant := close(name, command.script)) else "") for name in unknown]
        what = "is no argument" if len(unknown) == 1 else "are no arguments"
        raise UsageError(
            f"{', '.join(named)} {what} of {SCRIPTS[command.script][1]}",
            help="mend or remove it; --script names another script",
        )
    made = Imported(command)
    _SCRIPTS[command.script](made)
    for name in list(made.untaken()):
        if name in REMOVED:
            made.note("left out", f"--{name}", "removed from transformers 5, and not needed here")
        elif name in PARTING:
            made.note("left out", f"--{name}", "[backend] fsdp = true parts a model over processes: docs/train.md")
        else:
            text = 'no key of its own: [backend] type = "transformers", arguments = { … } hands it to the Trainer'
            made.note("left out", f"--{name}", text)
    order = {name: place for place, name in enumerate(("name", "seed", *SECTIONS))}
    made.tables = dict(sorted(made.tables.items(), key=lambda item: order[item[0]]))
    return made


def text(made: Imported) -> str:
    """The recipe as a file."""
    head = [f"# From a command of {SCRIPTS[made.command.script][1]}, by vox recipe import", "#"]
    for line in lines(made):
        head += [f"# {part}" for part in textwrap.wrap(line, _WIDTH, subsequent_indent="    ")]
    return "\n".join(head) + "\n\n" + toml(made.tables)


def lines(made: Imported) -> Iterator[str]:
    """What has to be said, the mended first."""
    for kind in ("mended", "to do", "changed", "left out"):
        for note in made.notes:
            if note.kind == kind:
                yield f"{kind}: {note.argument}: {note.text}"
