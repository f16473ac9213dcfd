"""One plugin: what it is called, where it comes from, whether it runs and why not, what it brings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voxcli.plugins.looks.look import Failure, Look


@dataclass(eq=False)
class Plugin:
    """One installed plugin, or one plugin file, and what came of it."""

    name: str
    distribution: str
    version: str
    state: str = "ok"
    """ok; broken; disabled (somebody said so); held (came as a dependency, nobody asked for it); slow (nobody knows yet
    what it brings: it is being looked at)."""
    reason: str = ""
    import_seconds: float = 0.0
    """To import it and to call `vox_register`, alone in a process; 0 where nobody has looked at it."""
    module: Any = field(default=None, repr=False)
    """Where its code runs in this process, see `Manager.module`."""
    target: str = ""
    """What its entry point names, "module" or "module:attribute"; empty for voxcli itself and for a file."""
    file: Path | None = None
    """Where it is one file, given with `--plugin`."""
    error: BaseException | None = field(default=None, repr=False)
    """What it raised in this process."""
    look: Look | None = field(default=None, repr=False)
    """What it brings; None where it is broken, or where nobody has looked at it."""
    failure: Failure | None = field(default=None, repr=False)
    """Why it is broken."""
    folder: str = ""
    """The metadata of its distribution, `….dist-info`."""

    @property
    def title(self) -> str:
        """What it is called in messages: with its distribution and version."""
        return f"plugin {self.name} ({self.distribution} {self.version})" if self.target else f"plugin {self.name}"

    def refuse(self, failure: Failure, error: BaseException | None = None) -> None:
        """Mark it as broken."""
        self.state, self.reason, self.look = "broken", failure.message, None
        self.failure, self.error = failure, error
