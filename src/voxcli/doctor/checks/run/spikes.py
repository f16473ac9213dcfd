"""T105: steps whose gradient is far above the usual."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import (
    MANY_SPIKES,
    SPIKE,
    SPIKE_FIRST,
    SPIKE_WINDOW,
    SPIKES_AT_LEAST,
    UNLIKELY,
)
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context
    from voxcli.doctor.run.record import Record

MOST_COUNTED = 200  # spikes


class GradientSpikes:
    """Single steps had a gradient far above the usual.

    Why: a clip whose text is another clip's, noise, or a cut recording asks for a large change of a good model. With
    `train.max_grad_norm` one such step does little, but its clips cost every pass over the data, and without clipping
    it can undo hours. The same utterance in several spikes is nearly always a wrong transcript.

    Repair: listen to the utterances that are named and compare their transcripts; correct them or leave them out. Where
    spikes name no utterance twice, `train.max_grad_norm = 1.0` and a lower `train.learning_rate`.

    Sources: icefall, ScaledAdam (clipping by the running median of the gradient's norm); measured here on eleven
    healthy runs, see thresholds.
    """

    code: ClassVar[str] = "T105"
    name: ClassVar[str] = "gradient-spikes"
    about: ClassVar[About] = "run"

    def run(self, context: Context) -> Iterator[Finding]:
        """By the log's incidents, and by the norms of a log without."""
        import numpy as np

        from voxcli.doctor.run.course import usual

        record = context.record
        told = [one for one in record.incidents if one.get("incident") == "spike"]
        norm = record.column("grad_norm")
        median = usual(norm, width=SPIKE_WINDOW)
        high = np.zeros(len(norm), dtype=bool)
        np.greater(norm, SPIKE * median, out=high, where=np.isfinite(norm) & np.isfinite(median))
        high[:SPIKE_FIRST] = False
        steps = {int(step) for step in record.steps[high]} | {int(one["step"]) for one in told}
        if not steps:
            return
        worst = max(
            [(float(norm[at]), float(median[at]), int(record.steps[at])) for at in np.flatnonzero(high)]
            + [(float(one.get("grad_norm") or 0), float(one.get("median") or 0), int(one["step"])) for one in told]
        )
        message = (
            f"the gradient's norm was over {SPIKE:g} times the usual in {len(steps)} of {len(norm)} steps, "
            f"the worst at step {worst[2]}: {worst[0]:.3g} beside {worst[1]:.3g}"
        )
        again = _again(record, told)
        suspects = tuple(dict.fromkeys(one["worst"][0] for one in told if one.get("worst")))
        many = len(steps) >= SPIKES_AT_LEAST and len(steps) > MANY_SPIKES * len(norm)
        if again:
            who = f"{again[0]} was" if len(again) == 1 else f"{len(again)} utterances were"
            message += f"; {who} in more of them than chance explains"
        elif suspects:
            message += f"; the worst loss was that of {suspects[0]}"
        if again or many or record.train.get("max_grad_norm") == 0:
            help = "listen to the utterances and compare their transcripts; leave them out by [filter] exclude"
            if not told:
                clipped = f"{record.key('max_grad_norm')}=1.0 and {record.lower_rate()}"
                help = f"listen to the clips of these steps; {clipped}"
            yield Finding("warning", message, help, utterances=again or suspects, where=f"step {worst[2]}")
        else:
            help = "single spikes that the clipping holds do no harm; listen to their utterances if you have a minute"
            yield Finding("note", message, help, utterances=suspects, where=f"step {worst[2]}")


def _again(record: Record, told: list[dict[str, Any]]) -> tuple[str, ...]:
    """Utterances that had the worst loss of, or at least were in, more spikes than chance explains."""
    every = [set(one.get("utterances") or ()) for one in told]
    n = record.utterances("train") or len(set().union(*every)) or 1
    worst = Counter(one["worst"][0] for one in told if one.get("worst"))
    found = [name for name, count in worst.items() if _chance(count, len(told), 1 / n) * n < UNLIKELY]
    if not found:
        share = sum(len(one) for one in every) / (len(every) * n) if every else 1.0
        names = Counter(name for one in every for name in one)
        found = [name for name, count in names.items() if _chance(count, len(told), share) * n < UNLIKELY]
    return tuple(sorted(found))


def _chance(least: int, times: int, share: float) -> float:
    """The probability of `least` or more hits in so many attempts, each of that probability."""
    if least < 2 or share >= 1:
        return 1.0
    times = min(times, MOST_COUNTED)
    return sum(math.comb(times, k) * share**k * (1 - share) ** (times - k) for k in range(min(least, times), times + 1))
