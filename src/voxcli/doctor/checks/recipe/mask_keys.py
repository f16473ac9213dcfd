"""R113: keys of SpecAugment that mask nothing, or more than there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.doctor.checks.recipe.keys import without_effect
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_MASKS = ("mask_time_prob", "mask_time_length", "mask_feature_prob", "mask_feature_length")


class MaskKeyWithoutEffect:
    """Masks that are never drawn, because they are switched off or their share is 0; or masks that do not fit.

    Why: Whisper reads the `mask_…` keys only with `apply_spec_augment = true`, which its checkpoints have switched off.
    A length without a share masks nothing, where the checkpoint's own share is 0. A mask that is higher than the
    features ends the run at its first step: transformers refuses to draw it.

    Repair: `apply_spec_augment = true`; a share beside the length, for example `mask_feature_prob = 0.05`.

    Sources: transformers 5.23, modeling_whisper.py and modeling_wav2vec2.py: _mask_input_features,
    _mask_hidden_states, _compute_mask_indices; arXiv 1904.08779.
    """

    code: ClassVar[str] = "R113"
    name: ClassVar[str] = "mask-key-without-effect"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """From the recipe and the config of the model."""
        recipe = context.recipe
        model: Any = recipe.model
        set_here = [name for name in _MASKS if getattr(model, name, None) is not None]
        switch = getattr(model, "apply_spec_augment", None)
        if recipe.model_type not in ("whisper", "ctc") or not (set_here or switch):
            return
        usual = _defaults(context)
        if recipe.model_type == "whisper" and not (usual.get("apply_spec_augment") if switch is None else switch):
            help = "apply_spec_augment = true in [model], or remove the keys"
            finding = without_effect("model", set_here, "apply_spec_augment is not true", help=help)
            switched = Fix({"model.apply_spec_augment": True})
            yield Finding("warning", finding.message, help, path=finding.path, fix=switched)
            return
        whole = {**usual, **{name: getattr(model, name) for name in set_here}}
        for axis in ("time", "feature"):
            share, length = f"mask_{axis}_prob", f"mask_{axis}_length"
            if length in set_here and not whole.get(share):
                why = f"{share} is 0, so nothing is masked"
                help = f"{share} = 0.05 beside it, or remove {length}"
                yield without_effect("model", [length], why, help=help)
        if switch and not whole.get("mask_time_prob") and not whole.get("mask_feature_prob"):
            yield without_effect("model", ["apply_spec_augment"], "both shares of masks are 0")
        yield from _too_high(recipe.model_type, whole, set_here)


def _too_high(family: str, whole: dict[str, Any], set_here: list[str]) -> Iterator[Finding]:
    """A mask in bins or channels that is higher than there are, and would be drawn."""
    size = whole.get("num_mel_bins") if family == "whisper" else whole.get("hidden_size")
    height = whole.get("mask_feature_length")
    if not size or not height or not whole.get("mask_feature_prob") or height <= size:
        return
    usual = max(1, min(10, int(size) // 8))
    yield Finding(
        "error",
        f"mask_feature_length is {height}, and there are {size} {'mel bins' if family == 'whisper' else 'channels'}",
        f"mask_feature_length = {usual}",
        path=("model", "mask_feature_length" if "mask_feature_length" in set_here else "mask_feature_prob"),
        fix=Fix({"model.mask_feature_length": usual}),
    )


def _defaults(context: Context) -> dict[str, Any]:
    """What the checkpoint's config says of masks and sizes, with the defaults of its architecture; those alone for
    random weights. Empty of masks where the architecture draws none itself.
    """
    from transformers import AutoConfig

    model: Any = context.recipe.model
    config = context.config
    kind = config.get("model_type") or str(getattr(model, "architecture", "")).replace("-", "_")
    try:
        usual = AutoConfig.for_model(kind).to_dict()
    except ValueError:
        try:
            usual = AutoConfig.for_model(kind.replace("_", "-")).to_dict()
        except ValueError:
            usual = {}
    sizes = {key: value for key, value in (getattr(model, "config", None) or {}).items() if not isinstance(value, dict)}
    return {**usual, **config, **sizes}
