"""T105: steps whose gradient is far above the usual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import Finding
from voxcli.doctor.checks.thresholds import MANY_SPIKES, SPIKE, SPIKE_FIRST, SPIKE_WINDOW, SPIKES_AT_LEAST
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context


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

        from voxcli.doctor.course import usual

        record = context.record
        told = [one for one in record.incidents if one.get("incident") == "spike"]
        names = Counter(str(name) for one in told for name in set(one.get("utterances") or ()))
        epochs = max(1.0, float(np.nanmax(record.column("epoch"), initial=1.0)))
        again = sorted(name for name, count in names.items() if count > 1)
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
        many = len(steps) >= SPIKES_AT_LEAST and len(steps) > MANY_SPIKES * len(norm)
        unclipped = record.train.get("max_grad_norm") == 0
        few = [name for name in again if names[name] >= 2 and len(again) <= 16]
        message = (
            f"the gradient's norm was over {SPIKE:g} times the usual in {len(steps)} of {len(norm)} steps, "
            f"the worst at step {worst[2]}: {worst[0]:.3g} beside {worst[1]:.3g}"
        )
        if few:
            who = f"{few[0]} was" if len(few) == 1 else f"{len(few)} utterances were"
            message += f"; {who} in more than one of them, in {epochs:.0f} passes over the data"
        if few or many or unclipped:
            help = "listen to the utterances and compare their transcripts; leave them out by [filter] exclude"
            if not names:
                help = (
                    f"listen to the clips of these steps; {record.key('max_grad_norm')}=1.0 and {record.lower_rate()}"
                )
            yield Finding("warning", message, help, utterances=tuple(few or names), where=f"step {worst[2]}")
        else:
            help = "single spikes that the clipping holds do no harm; listen to their utterances if you have a minute"
            yield Finding("note", message, help, utterances=tuple(names), where=f"step {worst[2]}")
