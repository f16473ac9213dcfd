"""Past runs on this machine: what was predicted and what was measured, and what follows for the next prediction.

Each run is a line of `$VOX_CACHE/memory/runs.jsonl`. `errors` lists how far off they were (`vox plan --calibration`);
`constants` replaces the published constants of a device by what its runs have shown.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxcli.folders import cache_folder
from voxcli.memory import cards
from voxcli.memory.fixed import CONTEXT, MIB, Constants
from voxcli.memory.setup import Shape

if TYPE_CHECKING:
    from voxcli.memory.cards import Device

log = logging.getLogger(__name__)

RUNS = Path("memory") / "runs.jsonl"
PLAUSIBLE_CONTEXT = (100 * MIB, 1536 * MIB)
"""What lies outside PyTorch's allocator is taken for the context between these; more belongs to other programs."""
FACTORS = (0.4, 2.5)
"""What scales the estimate beside a processor's tensors; a run outside of it was in a process that did other things."""
LARGEST_CORRECTION = 0.25
"""Runs that needed more than this above their prediction were something else than predicted: a library that keeps
tensors, a batch that no rule foresaw. They are shown and correct nothing."""


@dataclass(frozen=True)
class Row:
    """One run. Sizes are bytes; what could not be measured on its device is absent from `measured`."""

    time: str
    """When it ended, ISO 8601."""
    device: str
    kind: str
    """"cuda", "cpu" or "mps"."""
    model: str
    options: str
    """What decides memory, in words: "LoRA, int8, checkpointing, bf16"."""
    shape: Shape
    """Its largest batch, which is what both figures are of."""
    predicted: dict[str, int]
    """Parts of the peak of tensors, and "tensors", their sum; "needed" with everything beside them; "published", what
    stands beside them by the published constants."""
    measured: dict[str, int]
    """"tensors" and "reserved" (CUDA), "beside" (in use on the device outside the allocator), "process" (CPU)."""
    steps: int
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Error:
    """One prediction beside its measurement, bytes."""

    row: Row
    what: str
    """"tensors" (the device's allocator has counted them) or "process" (resident memory of a CPU run)."""
    predicted: int
    measured: int

    @property
    def relative(self) -> float:
        """Above 0 where too much was predicted."""
        return self.predicted / self.measured - 1.0


def append(row: Row) -> None:
    """Keep a run. A cache folder that cannot be written loses it without a word on the screen."""
    path = cache_folder() / RUNS
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n")
    except OSError as error:
        log.info("%s cannot be written: %s", path, error)


def rows() -> list[Row]:
    """Past runs, oldest first. Lines of other versions or half written ones are left out."""
    path = cache_folder() / RUNS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [row for line in lines if (row := _row(line)) is not None]


def errors(past: Iterable[Row] | None = None) -> list[Error]:
    """How far off predictions were: of tensors where the device counts them, else of the whole process."""
    found = []
    for row in rows() if past is None else past:
        for what, predicted in (
            ("tensors", row.predicted.get("tensors", 0)),
            ("process", row.predicted.get("needed", 0)),
        ):
            measured = row.measured.get(what, 0)
            if predicted > 0 and measured > 0:
                found.append(Error(row, what, predicted, measured))
                break
    return found


def constants(device: Device, past: Sequence[Row] | None = None) -> Constants:
    """What runs on a card of this name, or on a processor, say about it; the published values where there is none.

    The context is the median of what was in use outside the allocator. Tensors are corrected upwards only, by the
    median of what was missing: libraries may take workspace of their own, and memory that stayed free is no loss. On a
    processor what stands beside the tensors is scaled, by the most that a run needed of it.
    """
    mine = [row for row in (rows() if past is None else past) if row.kind == device.kind]
    if device.kind != "cuda":
        return _of_processor(mine)
    name = _card(device.name)
    mine = [row for row in mine if _card(row.device) == name]
    beside = [row.measured["beside"] for row in mine if _plausible(row.measured.get("beside", 0))]
    missing = [-error.relative / (1.0 + error.relative) for error in errors(mine) if error.what == "tensors"]
    missing = [share for share in missing if abs(share) <= LARGEST_CORRECTION]
    if not beside and not missing:
        return Constants()
    return Constants(
        context=round(statistics.median(beside)) if beside else CONTEXT,
        missing=max(0.0, statistics.median(missing)) if missing else 0.0,
        runs=max(len(beside), len(missing)),
    )


def _of_processor(mine: Iterable[Row]) -> Constants:
    factors = []
    for error in errors(mine):
        tensors = error.row.predicted.get("tensors", 0)
        assumed = sum(error.row.predicted.get(name, 0) for name in ("process", "malloc"))
        published = error.row.predicted.get("published", assumed)
        if error.what == "process" and published > 0:
            factors.append((error.measured - tensors) / published)
    factors = [factor for factor in factors if FACTORS[0] <= factor <= FACTORS[1]]
    return Constants(beside=max(factors), runs=len(factors)) if factors else Constants()


def _card(name: str) -> str:
    """One name for what drivers and people call a card."""
    card = cards.known(name)
    return card.name if card is not None else name


def _plausible(beside: int) -> bool:
    low, high = PLAUSIBLE_CONTEXT
    return low <= beside <= high


def _row(line: str) -> Row | None:
    try:
        table: dict[str, Any] = json.loads(line)
        known = {one.name for one in dataclasses.fields(Row)}
        return Row(**{key: value for key, value in table.items() if key in known} | {"shape": Shape(**table["shape"])})
    except (ValueError, TypeError, KeyError):
        return None
