"""T120: training utterances that the run left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import SET_ASIDE, SET_ASIDE_AUGMENTED
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

AUGMENTED = "after augmentation"
BROKEN = ("unreadable", "ctc-infeasible", "audio-not-finite", "audio-amplitude", "silent")
KINDS = {
    "not numbers": "audio-not-finite",
    "samples reach": "audio-amplitude",
    "silent": "silent",
    "does not fit the memory": "memory",
    AUGMENTED: "augmented",
    "frames": "ctc-infeasible",
    "shorter than": "too-short",
    "cannot be read": "unreadable",
    "damaged": "unreadable",
    "does not exist": "unreadable",
    "ends before": "unreadable",
}
"""What stands in a reason -> its kind."""
WORDS = {
    "audio-not-finite": "samples that are not numbers",
    "audio-amplitude": "samples that are far too loud",
    "silent": "silent audio",
    "memory": "clips that do not fit the memory",
    "augmented": "labels that need more frames than are left after augmentation",
    "ctc-infeasible": "labels that need more frames than the audio has",
    "too-short": "clips that are too short",
    "unreadable": "audio that cannot be read",
}


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
            whole = record.utterances(split)
            kinds = Counter(_kind(one) for one in here.values())
            words = ", ".join(f"{count}: {WORDS.get(kind, 'other reasons')}" for kind, count in kinds.most_common())
            of = f" of {whole}" if whole else ""
            share = len(here) / whole if whole else 0.0
            were = "was" if len(here) == 1 else "were"
            named = f"{len(here)}{of} {split} utterances {were} set aside" + (f" ({share:.1%})" if share else "")
            first = next(iter(here.values()))
            limit = SET_ASIDE_AUGMENTED if set(kinds) == {"augmented"} else SET_ASIDE
            bad = share > limit or any(kinds[kind] for kind in BROKEN)
            yield Finding(
                "warning" if bad else "note",
                f"{named}: {words if len(here) > 1 else first.get('reason')}",
                "culprits.jsonl says why for each; repair the files, or leave the ids out by [filter] exclude",
                utterances=tuple(here),
                where=str(record.path / "culprits.jsonl"),
            )


def _kind(culprit: dict[str, Any]) -> str:
    reason, cause = str(culprit.get("reason")), culprit.get("cause")
    return next((kind for word, kind in KINDS.items() if word in reason), str(cause or "unknown"))
