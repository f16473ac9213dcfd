"""R107: arguments of the Trainer for what voxcli does itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from voxcli.api import Finding, Fix
from voxcli.findings import About

if TYPE_CHECKING:
    from voxcli.doctor.context import Context

_EVALUATES = "voxcli evaluates: see [evaluate]"
_READS = "voxcli makes and reads the batches: see [train]"
_SAVES = "voxcli writes and finds the checkpoints: see [train] and --resume"
_NOT_READ = {
    **dict.fromkeys(
        (
            "per_device_eval_batch_size",
            "eval_accumulation_steps",
            "eval_delay",
            "batch_eval_metrics",
            "eval_do_concat_batches",
            "eval_use_gather_object",
            "prediction_loss_only",
            "include_for_metrics",
            "fp16_full_eval",
            "bf16_full_eval",
            "do_eval",
            "do_predict",
        ),
        _EVALUATES,
    ),
    **dict.fromkeys(
        (
            "dataloader_drop_last",
            "dataloader_pin_memory",
            "dataloader_persistent_workers",
            "dataloader_in_order",
            "dataloader_multiprocessing_context",
            "train_sampling_strategy",
            "length_column_name",
            "data_seed",
            "auto_find_batch_size",
            "average_tokens_across_devices",
            "torch_empty_cache_steps",
        ),
        _READS,
    ),
    **dict.fromkeys(
        ("save_only_model", "save_on_each_node", "resume_from_checkpoint", "ignore_data_skip"),
        _SAVES,
    ),
    "label_smoothing_factor": "the loss is the task's own",
}
"""Keys of TrainingArguments that the backend's Trainer never comes to, and why."""


class BackendArgumentWithoutEffect:
    """`[backend] arguments` holds keys that the transformers backend does not come to.

    Why: the backend takes the Trainer's processes, precision, optimizer and clipping. Batches, loss, evaluation and
    checkpoints are voxcli's, so `label_smoothing_factor`, `per_device_eval_batch_size` or `fp16_full_eval` change
    nothing, and nobody says so while it trains.

    Repair: remove them; where voxcli has a key for the same it stands in [train] or [evaluate].

    Sources: voxcli.backends.transformers; transformers 5.23, trainer.py: what compute_loss, get_train_dataloader,
    evaluate and _save_checkpoint read.
    """

    code: ClassVar[str] = "R107"
    name: ClassVar[str] = "backend-argument-without-effect"
    about: ClassVar[About] = "recipe"
    before_training: ClassVar[bool] = True

    def run(self, context: Context) -> Iterator[Finding]:
        """One finding a reason."""
        recipe = context.recipe
        if recipe.tables["backend"]["type"] != "transformers":
            return
        arguments: dict[str, Any] = getattr(recipe.backend, "arguments", {})
        reasons: dict[str, list[str]] = {}
        for name in arguments:
            if name in _NOT_READ:
                reasons.setdefault(_NOT_READ[name], []).append(name)
        for why, names in reasons.items():
            has = "has" if len(names) == 1 else "have"
            yield Finding(
                "warning",
                f"{' and '.join(names)} in [backend] arguments {has} no effect: {why}",
                f"remove {' and '.join(names)}",
                path=("backend", "arguments", names[0]),
                fix=Fix({f"backend.arguments.{name}": None for name in names}),
            )
