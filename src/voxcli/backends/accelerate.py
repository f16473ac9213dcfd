"""The training loop of voxcli. A prepared run comes in; at the end its folder holds the trained model.

accelerate (https://huggingface.co/docs/accelerate) brings the processes: the same recipe runs alone, or under
`torchrun --nproc-per-node 2 -m voxcli train RECIPE` or `accelerate launch`. Gradients are exact means, see
`voxcli.train.mean`.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar

from voxcli.api import config

if TYPE_CHECKING:
    import torch

    from voxcli.recipe.schema import Train
    from voxcli.train.run import Run
    from voxcli.train.steps import Step


@config
class Accelerate:
    """Our loop: one process or several, a CPU, a GPU or Apple's."""

    fsdp: bool = False
    """Part weights, gradients and optimizer state over the processes (torch's FSDP2): each holds a share of them, and
    sends and receives every layer in each pass. For models that do not fit one device; a single process ignores it."""

    free_on_resume: ClassVar[frozenset[str]] = frozenset({"fsdp"})
    supports: ClassVar[frozenset[str]] = frozenset(
        {
            "max_steps",
            "num_train_epochs",
            "learning_rate",
            "lr_scheduler_type",
            "lr_scheduler_kwargs",
            "warmup_steps",
            "optim",
            "optim_args",
            "optim_target_modules",
            "layer_decay",
            "learning_rates",
            "freeze",
            "weight_decay",
            "adam_beta1",
            "adam_beta2",
            "adam_epsilon",
            "label_smoothing_factor",
            "max_grad_norm",
            "ema_decay",
            "average_checkpoints",
            "average_by",
            "batch_duration",
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "group_by_length",
            "gradient_checkpointing",
            "mixed_precision",
            "frozen_dtype",
            "attn_implementation",
            "use_cpu",
            "dataloader_num_workers",
            "logging_steps",
            "eval_steps",
            "save_steps",
            "save_total_limit",
            "early_stopping_patience",
            "max_culprits",
        }
    )

    def check(self, train: Train) -> None:
        """Raise `RecipeError` for an optimizer or scheduler that does not exist, and for what `fsdp` cannot part."""
        from voxcli.train import optimizer, schedule, sharding

        optimizer.check(train)
        schedule.check(train.lr_scheduler_type)
        sharding.check_launcher(fsdp=self.fsdp)
        if self.fsdp:
            sharding.check(train)

    def fit(self, run: Run) -> None:
        """Train to the run's end. Raises `TrainingError`, or `KeyboardInterrupt` after a checkpoint."""
        import torch

        from voxcli.train import device, mean, optimizer, schedule
        from voxcli.train.gradients import Gradients
        from voxcli.train.run import Moving
        from voxcli.train.steps import steps
        from voxcli.train.updating import Update

        if self.fsdp:
            run.shard()
        train, model, parameters = run.recipe.train, run.bundle.model, run.parameters
        made = optimizer.build(model, train, run.device)
        if run.sharding is not None:
            run.sharding.adopt(made)
        update = Update.of(made, failed=run.shortage.optimizer, exhausted=run.shortage.optimizer_exhausted)
        scheduler = schedule.build(made, train, run.length, higher_is_better=run.higher_is_better)
        # small float16 gradients would vanish without a scale that grows as far as they allow
        scaler = torch.amp.GradScaler(run.device.type) if train.mixed_precision == "fp16" else None
        moving = Moving(made, scheduler, scaler)

        def autocast() -> AbstractContextManager[None]:
            return device.autocast(run.device, train.mixed_precision)

        def backward(loss: torch.Tensor) -> None:
            (scaler.scale(loss) if scaler else loss).backward()

        whole = run.sharding is None  # else every pass waits for the other processes: none is repeated
        gradients = Gradients(run, backward=backward, scaled=scaler is not None, alone=whole, repeatable=whole)

        def finished(step: Step, figures: torch.Tensor) -> tuple[dict[str, float], bool] | None:
            """Make the summed gradients those of the mean, clipped. None where the step has to be taken again."""
            if run.world > 1 and whole:  # parts are added up within the backward pass
                mean.sum_over_processes(parameters)
            unscaled = scaler is not None and bool(mean.gradients(parameters))
            if scaler and unscaled:
                scaler.unscale_(made)
            norm = mean.finish(
                parameters, factor=gradients.factor(figures), max_norm=train.max_grad_norm, parted=not whole
            )
            checked = gradients.check(step, figures, norm)
            if checked is None and scaler and unscaled:
                scaler.update(scaler.get_scale())  # its scale stays, and it may unscale once more
            return checked

        run.begin(moving)
        if run.finished:
            return
        source = steps(run)
        step = next(source)
        begin = time.perf_counter() - step.waited
        while True:
            made.zero_grad(set_to_none=True)
            figures = gradients.add(step, model, autocast=autocast)
            # read the next batches while the device still works on these
            following = next(source) if run.state.step + 1 < run.total_steps else None
            while (checked := finished(step, figures)) is None:  # again, without what made it not finite
                figures = gradients.add(step, model, autocast=autocast)
            facts, interrupted = checked
            present = bool(mean.gradients(parameters))  # none where memory sufficed for no utterance of the step
            facts["learning_rate"] = float(made.param_groups[0]["lr"])
            update.skip = gradients.nothing
            if scaler and present:
                scaler.step(made)
                scaler.update()
            else:
                made.step()
            schedule.after_step(scheduler)
            facts["seconds"] = time.perf_counter() - begin
            run.after_step(step, moving, facts=facts, interrupted=interrupted)
            begin = time.perf_counter()
            if run.finished or following is None:
                return
            step = following
