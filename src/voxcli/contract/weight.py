"""What a plugin costs every command at import, in a process of its own: seconds, libraries, output, changes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from voxcli.contract.bench import Bench
from voxcli.contract.rules import rule

BUDGET = 0.3
"""s at import, of all modules that entry points name. `vox --help` takes 0.15 s; a module of one's own is read in a few
milliseconds, so what takes longer is a library that could have waited."""
COMPONENT_BUDGET = 1.0
"""s at import of a component's module; only recipes that name it wait for it."""
MEASURED = 3  # times where the first takes too long: the machine may have been busy
LONGEST = 60  # s of a process

SLOW = rule(
    "plugin",
    "slow-import",
    f"at most {BUDGET:g} s beyond `import voxcli.api`: every `vox` command waits for it",
    "import libraries inside the methods that need them; `python -X importtime -c 'import MODULE'` shows which",
)
HEAVY = rule(
    "plugin",
    "heavy-import",
    "voxcli.api and the standard library at module level",
    "move the import into the method that needs it; for annotations alone: `if TYPE_CHECKING:`",
)
PRINTED = rule(
    "plugin",
    "prints-at-import",
    "nothing on stdout: it would stand in front of every `--json`",
    "use `logging`, in methods",
)
CHANGED = rule(
    "plugin",
    "changes-at-import",
    "nothing of Python's, of voxcli's or of the process changes: others rely on it",
    "do it where a component needs it, and take it back there",
)
CRASHED = rule(
    "plugin",
    "crashes-at-import",
    "the module is imported in a fresh process",
    "see for yourself: python -c 'import MODULE'",
)
COMPONENT_HEAVY = rule(
    "component",
    "heavy-module",
    "a light module: `vox recipe check` imports the classes that a recipe names and none of their libraries",
    "move the import into the method that needs it; for annotations alone: `if TYPE_CHECKING:`",
    level="note",
)


def try_weight(bench: Bench) -> None:
    """Import the plugin in a process of its own. Nothing where it cannot be imported, which has been said."""
    if all(part.error is not None for part in bench.target.parts):
        return
    with bench.trial(None, "import in a process of its own"):
        told, ending = _weigh(bench)
        if told is None:
            bench.remark(None, CRASHED, f"the process that imports it ends with {ending}")
            return
        seconds = told["seconds"]
        for _ in range(MEASURED - 1):
            if seconds <= BUDGET or told["heavy"]:
                break
            again, _ = _weigh(bench)
            seconds = min(seconds, again["seconds"] if again is not None else seconds)
        if told["heavy"]:
            bench.remark(None, HEAVY, f"importing it imports {', '.join(told['heavy'])} ({seconds:.2f} s)")
        elif seconds > BUDGET:
            bench.remark(None, SLOW, f"importing it takes {seconds:.2f} s")
        if told["printed"]:
            bench.remark(None, PRINTED, f"importing it prints {told['printed'][:200]!r}")
        for change in told["changed"]:
            bench.remark(None, CHANGED, change)
        for one in told["components"]:
            _component(bench, one)


def _component(bench: Bench, told: dict[str, Any]) -> None:
    """A component's own module; a heavy library counts for the first that imports it."""
    if told["heavy"] or told["seconds"] > COMPONENT_BUDGET:
        what = f"imports {', '.join(told['heavy'])}" if told["heavy"] else "is slow"
        found = f"importing its module {what} ({told['seconds']:.2f} s)"
        bench.remark_of(told["component"], COMPONENT_HEAVY, found)


def _weigh(bench: Bench) -> tuple[dict[str, Any] | None, str]:
    """What the process says; None and how it ended where it says nothing."""
    target = bench.target
    entries = [part.target for part in target.parts if part.error is None]
    asked = json.dumps({"entries": entries, "file": str(target.file) if target.file is not None else None})
    path = [one for one in sys.path if one]
    script = f"import sys; sys.path[:] = {path!r}; from voxcli.contract.weighing import main; main([{asked!r}])"
    try:
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return None, f"no answer in {LONGEST} s"
    try:
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return None, f"code {done.returncode}: {last}"
    return told, ""
