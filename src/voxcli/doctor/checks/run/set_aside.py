"""T120: training utterances that the run left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import SET_ASIDE
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

KINDS = {
    "frames": "labels that need more frames than the audio has",
    "memory": "clips that do not fit the memory",
    "cannot be read": "audio that cannot be read",
    "damaged": "audio that cannot be read",
    "does not exist": "audio that is missing",
    "not numbers": "samples that are not numbers",
    "silent": "silent audio",
    "shorter than": "clips that are too short",
    "ends before": "audio that ends too early",
}
OTHER = "other reasons"


class UtterancesSetAside:
    """The run set training utterances aside.

    Why: recordings that cannot be read, labels that do not fit their frames and clips that do not fit the memory are
    left out while a run goes on. A few are usual; many mean that the model learned from less than you think, and often
    that one mistake (a path, a wrong offset, one speaker's files) lies behind them.

    Repair: culprits.jsonl names each with its reason. Repair the files, or leave them out by `[filter] exclude`, and
    check the data before the next run: `vox doctor RECIPE`.

    Sources: docs/train.md, "What is in the folder".
    """

    code: ClassVar[str] = "T120"
    name: ClassVar[str] = "utterances-set-aside"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """Those of culprits.jsonl, by split."""
        record = context.record
        for split in ("train", "validation"):
            here = {
                str(one["id"]): one for one in record.culprits if one.get("split", "train") == split and "id" in one
            }
            if not here:
                continue
            known = (record.lock.get("data") or {}).get(split) or {}
            whole = known.get("utterances")
            kinds = Counter(_kind(str(one.get("reason"))) for one in here.values())
            words = ", ".join(f"{count}: {kind}" for kind, count in kinds.most_common())
            of = f" of {whole}" if isinstance(whole, int) else ""
            share = len(here) / whole if isinstance(whole, int) and whole else 0.0
            named = f"{len(here)}{of} {split} utterances were set aside" + (f" ({share:.1%})" if share else "")
            first = next(iter(here.values()))
            yield Finding(
                "warning" if share > SET_ASIDE else "note",
                f"{named}: {words if len(here) > 1 else first.get('reason')}",
                "culprits.jsonl says why for each; repair the files, or leave the ids out by [filter] exclude",
                utterances=tuple(here),
                where=str(record.path / "culprits.jsonl"),
            )


def _kind(reason: str) -> str:
    return next((kind for word, kind in KINDS.items() if word in reason), OTHER)
