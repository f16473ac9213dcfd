"""R127: augmentations that change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Augmentation, Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_DECIDES = {  # the key that says how much is changed
    "speed": "factors",
    "time-stretch": "factors",
    "gain": "gain_db",
    "pitch": "semitones",
    "clipping": "clipped",
    "low-pass": "cutoff",
}


class AugmentationWithoutEffect:
    """An augmentation is never drawn, or draws what changes nothing.

    Why: `p = 0`, a speed of 1.0 alone, a gain of 0 dB, a low-pass above what the model's rate holds. The recipe
    promises a robustness that the model does not get. A feature extractor that scales every clip to the same level
    (wav2vec 2.0 with do_normalize) takes any gain away again, which is said as a note.

    Repair: a share above 0, or without the [[augment]].

    Sources: voxcli.data.preparation.steps; transformers 5.23, Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm.
    """

    code: ClassVar[str] = "R127"
    name: ClassVar[str] = "augmentation-without-effect"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe, and the feature extractor's file."""
        recipe = context.recipe
        tables: list[dict[str, Any]] = list(recipe.tables.get("augment", ()))
        rate = _rate(context)
        idle = {index: why for index, one in enumerate(recipe.augment) if (why := _idle(one, rate))}
        kept = [table for index, table in enumerate(tables) if index not in idle]
        for place, (index, why) in enumerate(idle.items()):
            kind = tables[index]["type"]
            changes = {f"augment.{index}": None} if len(idle) == 1 and kept else {"augment": kept or None}
            key = "p" if not tables[index].get("p", 1.0) else _DECIDES.get(kind, "type")
            yield Finding(
                "warning",
                f"the augmentation '{kind}' changes nothing: {why}",
                "p = 0.5, or without this [[augment]]",
                path=("augment", index, key),
                fix=Fix(changes) if place == 0 else None,
            )
        for index, table in enumerate([] if context.training else tables):
            if table["type"] == "gain" and index not in idle and _levels(context):
                message = "the feature extractor scales every clip to one level: gain changes nothing"
                yield Finding("note", message, "noise changes what the model hears", path=("augment", index))


def _idle(augmentation: Augmentation, sampling_rate: int) -> str | None:
    """Why an augmentation changes nothing: what it says of its own keys, where it says anything."""
    if augmentation.p == 0:
        return "p is 0"
    own = getattr(augmentation, "idle", None)
    return own(sampling_rate) if callable(own) else None


def _rate(context: Context) -> int:
    """The model's, Hz; speech's usual one where the model cannot be looked at."""
    from voxcli.doctor.context import Unavailable

    try:
        return context.limits.sampling_rate
    except Unavailable:
        return 16000


def _levels(context: Context) -> bool:
    """Whether the checkpoint's feature extractor takes the level out of samples."""
    from voxcli.doctor.context import Unavailable
    from voxcli.models.checkpoint import read_json

    checkpoint = getattr(context.recipe.model, "checkpoint", None)
    try:
        if checkpoint is None or not context.config:
            return False
    except Unavailable:
        return False
    nested = (read_json(checkpoint, "processor_config.json") or {}).get("feature_extractor")
    extractor = nested or read_json(checkpoint, "preprocessor_config.json") or {}
    kind = extractor.get("feature_extractor_type")
    return kind == "Wav2Vec2FeatureExtractor" and bool(extractor.get("do_normalize"))
