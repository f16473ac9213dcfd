"""Where a run stands: the few numbers that, with weights, optimizer and generators, make a resume exact."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class State:
    """The progress of a run. Written with every checkpoint as `training_state/state.json`."""

    step: int = 0
    """Optimizer steps taken."""
    epoch: int = 0
    """The pass over the training split that the next step reads from."""
    position: int = 0
    """Batches of that epoch already used, over all processes."""
    seconds: float = 0.0
    """Spent in steps, over all sessions of the run."""
    audio_seconds: float = 0.0
    """Of audio trained on, padding not counted."""
    best_metric: float | None = None
    """The best value so far of the first metric of `[evaluate]`."""
    best_step: int | None = None
    evaluated_step: int = 0
    """The last step that was evaluated; an interrupted evaluation is made up for after a resume."""
    sample: int | None = None
    """Utterances of an evaluation, at most, as the run began with; None: all, or not yet known."""
    evaluations_without_gain: int = 0
    stopped_early: bool = False
    ceiling: list[list[float]] = field(default_factory=list)
    """(clips, s, tokens) of batches that did not fit the memory, see `voxcli.engines.ceiling`."""
    too_large: list[str] = field(default_factory=list)
    """Ids of clips that do not fit even alone."""
    memory: str = ""
    """The device that the two above hold for."""
    culprits: dict[str, str] = field(default_factory=dict)
    """Id -> cause of utterances whose loss or gradient was not finite, see `voxcli.train.culprits`."""
    norms: list[float] = field(default_factory=list)
    """The gradient norms of the newest steps, see `voxcli.train.spikes`."""
    stream: list[dict[str, Any]] = field(default_factory=list)
    """Where each data set stands at the beginning of `epoch`, of streamed data; see `voxcli.data.windows`."""
    world: int = 1
    """Processes that took these steps: batches of an epoch are cut for their number."""

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> State:
        """Read what `write` wrote; keys of other versions are left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        table = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{key: value for key, value in table.items() if key in known})
