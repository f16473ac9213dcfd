"""D070: splits of which much, or all, is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import SPLITS, Finding
from voxcli.doctor.checks.thresholds import LOST, LOST_BY_KEY
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.api import Split
    from voxcli.doctor.context import Context

_CHOSEN = ("filter.exclude", "filter.languages")  # what they leave out is meant


class MuchLeftOut:
    """`[filter]`, or what the model takes, leaves out a large part of a split.

    Why: hours of recordings that somebody paid for are never heard, or a score is counted on the easy rest. Often a
    limit is in another unit than the data, or a rule has changed all texts.

    Repair: the message names the key or the limit; raise it, or cut long recordings into utterances.

    Sources: the reference scripts filter in silence (transformers examples, `is_audio_in_length_range`); LOST and
    LOST_BY_KEY say where the lines are drawn.
    """

    code: ClassVar[str] = "D070"
    name: ClassVar[str] = "much-left-out"
    about: ClassVar[About] = "data"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """What went, split by split and reason by reason."""
        from voxcli.data.corpus import clock
        from voxcli.doctor.data.rows import of

        data = context.data
        splits, chosen = data.splits, _chosen(context)
        for split in SPLITS:
            drops = [drop for drop in splits.drops if drop.split == split and drop.key not in chosen]
            if not drops:
                continue
            kept = data.used(split)
            utterances = len(kept) + sum(drop.count for drop in drops)
            seconds = kept.duration + sum(drop.duration for drop in drops)
            if not len(kept):
                yield Finding(
                    "error" if split == "validation" else "warning",
                    f"nothing is left of the {split} split: "
                    + "; ".join(f"{drop.count} utterances left out, {drop.reason}" for drop in drops),
                    "change what leaves them out, or take the split out of [[data]]",
                    path=_path(drops[0].key),
                )
                continue
            for drop in drops:
                share = max(drop.duration / seconds if seconds else 0.0, drop.count / utterances)
                by_key = drop.key not in ("", "filter.min_characters")
                if share <= (LOST_BY_KEY if by_key else LOST) or " that the model " in drop.reason:
                    continue
                yield Finding(
                    "warning",
                    f"{of(drop.count, utterances)} of the {split} split ({clock(drop.duration)} of {clock(seconds)}) "
                    f"are left out, {drop.reason}",
                    f"raise or remove {drop.key}" if by_key else "mend the rows, or leave them out",
                    path=_path(drop.key),
                    utterances=self._ids(context, split, drop.key),
                )

    def _ids(self, context: Context, split: Split, key: str) -> tuple[str, ...]:
        """All that a key leaves out of a split, in the order of `[filter]`."""
        from voxcli.data.filters import checks_of
        from voxcli.doctor.data.rows import named

        data = context.data
        table = data.listed(split)
        for check in checks_of(data.filter, transcripts=data.transcripts, unicode_form=data.text.unicode_form):
            hit = check.hit(table)
            if check.key == key and hit.any():
                return named(table, hit)
            table = table.select(~hit)
        return ()


def _chosen(context: Context) -> tuple[str, ...]:
    """Keys whose drops are meant; that of the longest clip too, where the model could not take more anyway."""
    from voxcli.doctor.context import Unavailable

    most = context.data.filter.max_duration
    try:
        meant = most is not None and most >= context.limits.max_duration
    except Unavailable:
        meant = False
    return (*_CHOSEN, "filter.max_duration") if meant else _CHOSEN


def _path(key: str) -> tuple[str, ...]:
    return tuple(key.split(".")) if key else ()
