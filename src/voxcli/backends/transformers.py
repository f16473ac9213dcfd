"""transformers' Trainer around a prepared run, for those who need what it integrates: trackers, its optimizers.

The Trainer does processes, precision, optimizer and clipping. Batches, loss, log, evaluation and checkpoints are the
run's, as in the other backend. One "batch" of this Trainer is a whole optimizer step: its own accumulation averages
the means of unequal micro-batches and, for every audio model (their forward takes **kwargs), multiplies the loss by the
accumulation steps and by the number of processes (transformers 5.23, Trainer.training_step and compute_loss).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from voxcli.api import config, field

if TYPE_CHECKING:
    import transformers

    from voxcli.recipe.schema import Train
    from voxcli.train.run import Run
    from voxcli.train.steps import Step


_PARTED = {
    "fsdp": "this backend writes checkpoints in one process, which would have its part of the weights alone; on "
    "processors Accelerate parts nothing at all and does not say so",
    "deepspeed": "it takes its step within the backward pass, before the count of the whole step is known, and keeps "
    "gradients where no mean can be taken of them",
    "parallelism_config": "this backend writes checkpoints in one process, which would have its part of the weights "
    "alone",
}
"""Arguments with which a process has a part of the model, and why they are refused."""


@config
class Transformers:
    """transformers' Trainer with exact means."""

    report_to: tuple[str, ...] = ()
    """Trackers that receive what is logged: tensorboard, wandb, mlflow … as in TrainingArguments."""
    run_name: str | None = None
    """The run's name in trackers; None means the recipe's."""
    optim_args: str | None = None
    """Arguments of the optimizer, "key=value,key=value", as in TrainingArguments."""
    ddp_find_unused_parameters: bool | None = None
    """With several processes: true where layers are left out at random (LayerDrop). Costs a search a step."""
    ddp_backend: Literal["nccl", "gloo", "mpi"] | None = None
    """How processes talk; None means what the device needs."""
    torch_compile: bool = False
    """Compile the forward pass. Batches by duration change shape at every step, so it pays on a few lengths only."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Further keys of TrainingArguments, for example { ddp_timeout = 7200 }. Those that [train] has are refused, and
    those that part the model over processes (fsdp, deepspeed): the backend accelerate has `fsdp`."""

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
        """Raise `RecipeError` for an optimizer, a scheduler or an argument that the Trainer does not have."""
        from transformers import TrainingArguments

        from voxcli.errors import RecipeError
        from voxcli.train import optimizer, schedule, sharding

        schedule.check(train.lr_scheduler_type)
        if self.optim_args and train.optim_args:
            raise RecipeError("optim_args is set in [backend] and in [train]", help="keep [train] optim_args")
        optimizer.check(train)
        known = {one.name for one in dataclasses.fields(TrainingArguments)}
        for name in self.arguments:
            if name not in known or name in type(self).supports | {"bf16", "fp16", "output_dir"}:
                what = "is set in [train]" if name in known else "is no key of TrainingArguments"
                raise RecipeError(f"backend.arguments.{name} {what}", help="remove it from [backend]")
            if name in _PARTED and self.arguments[name]:
                raise RecipeError(f"backend.arguments.{name}: {_PARTED[name]}", help=sharding.INSTEAD)
        sharding.check_launcher(fsdp=False)

    def fit(self, run: Run) -> None:
        """Train to the run's end. Raises `TrainingError`, or `KeyboardInterrupt` after a checkpoint."""
        from transformers import PrinterCallback, TrainingArguments

        train = run.recipe.train
        arguments = TrainingArguments(
            output_dir=str(run.folder),
            max_steps=run.total_steps,
            learning_rate=train.learning_rate,
            # one kernel without temporary copies, as in the other backend
            optim="adamw_torch_fused" if train.optim == "adamw_torch" else train.optim,
            optim_args=self.optim_args,
            weight_decay=train.weight_decay,
            adam_beta1=train.adam_beta1,
            adam_beta2=train.adam_beta2,
            adam_epsilon=train.adam_epsilon,
            max_grad_norm=train.max_grad_norm,
            bf16=train.mixed_precision == "bf16",
            fp16=train.mixed_precision == "fp16",
            use_cpu=run.device.type == "cpu",
            seed=run.recipe.seed,
            logging_steps=train.logging_steps,
            logging_nan_inf_filter=False,
            report_to=list(self.report_to) or "none",
            run_name=self.run_name or run.recipe.name,
            ddp_find_unused_parameters=self.ddp_find_unused_parameters,
            ddp_backend=self.ddp_backend,
            torch_compile=self.torch_compile,
            save_strategy="no",
            eval_strategy="no",
            remove_unused_columns=False,
            label_names=["labels"],
            disable_tqdm=True,
            **self.arguments,
        )
        arguments._n_gpu = min(arguments.n_gpu, 1)  # one process drives one device: no DataParallel
        model: Any = run.bundle.model
        model.accepts_loss_kwargs = False  # the loss is a sum here, and nothing but `Gradients` may scale it
        trainer = _trainer(run)(model=model, args=arguments)
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def _parsed(text: str | None) -> dict[str, Any]:
    """ "a=1,b=true" -> {"a": 1, "b": True}"""
    import json

    found: dict[str, Any] = {}
    for pair in (text or "").replace(" ", "").split(","):
        key, _, value = pair.partition("=")
        try:
            found[key] = json.loads(value.lower())
        except ValueError:
            found[key] = value
    return {key: value for key, value in found.items() if key}


def _own(train: Train) -> bool:
    """Whether the optimizer is one that the Trainer would not make like this: of several rates, or with arguments."""
    from voxcli.train.optimizer import NAMES

    return bool(train.layer_decay is not None or train.learning_rates or train.optim_args or train.optim not in NAMES)


def _trainer(run: Run) -> type[transformers.Trainer]:
    """A Trainer class that takes the steps of `run`. Made here, so that importing this module imports nothing heavy."""
    import torch
    from transformers import Trainer, TrainerCallback
    from transformers.trainer_callback import TrainerControl, TrainerState

    from voxcli.train import optimizer, schedule
    from voxcli.train.gradients import Gradients
    from voxcli.train.run import Moving
    from voxcli.train.steps import steps
    from voxcli.train.updating import Update

    train = run.recipe.train
    given = train.optim_args or _parsed(getattr(run.recipe.backend, "optim_args", None))
    train = dataclasses.replace(train, optim_args=given)

    class Told(TrainerCallback):
        """Passes the Trainer's events on to the run."""

        def __init__(self, trainer: ExactTrainer) -> None:
            self.trainer = trainer

        def on_train_begin(
            self, args: Any, state: TrainerState, control: TrainerControl, **parts: Any
        ) -> TrainerControl:
            self.trainer.moving = Moving(
                self.trainer.optimizer, self.trainer.lr_scheduler, self.trainer.accelerator.scaler
            )
            run.begin(self.trainer.moving)
            state.global_step = run.state.step
            control.should_training_stop = run.finished
            return control

        def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **parts: Any) -> TrainerControl:
            trainer = self.trainer
            before = run.last_scores
            step, facts, interrupted = trainer.taken
            facts["seconds"] = time.perf_counter() - trainer.begun
            run.after_step(step, trainer.moving, facts=facts, interrupted=interrupted)
            trainer.begun = time.perf_counter()
            if run.last_scores is not before:
                trainer.log({f"eval_{name}": value for name, value in run.last_scores.items()})
            control.should_training_stop = run.finished
            return control

    class Stream:
        """The steps of the run as the data loader of one epoch."""

        def __len__(self) -> int:
            return max(1, run.total_steps - run.state.step)

        def __iter__(self) -> Iterator[Step]:
            return steps(run)

    class ExactTrainer(Trainer):
        """One batch is one optimizer step, and its gradient is the mean over all that the step saw."""

        def __init__(self, **settings: Any) -> None:
            self.update: Update | None = None
            super().__init__(**settings, callbacks=[Told(self)])
            # DistributedDataParallel adds gradients up within the backward pass: no process repeats it alone
            alone = run.world == 1
            self.gradients = Gradients(run, backward=self.accelerator.backward, scaled=self.args.fp16, alone=alone)
            self.begun = time.perf_counter()

        def create_optimizer(self, *args: Any, **given: Any) -> Any:
            trainer: Any = self
            if trainer.optimizer is None and _own(train):
                trainer.optimizer = optimizer.build(trainer.model, train, run.device)
            made = super().create_optimizer(*args, **given)
            if self.update is None:
                self.update = Update.of(made, failed=run.shortage.optimizer, exhausted=run.shortage.optimizer_exhausted)
            return made

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            trainer: Any = self
            if trainer.lr_scheduler is None:
                trainer.lr_scheduler = schedule.build(
                    optimizer or trainer.optimizer, train, run.length, higher_is_better=run.higher_is_better
                )
                trainer._created_lr_scheduler = True
            return trainer.lr_scheduler

        def get_train_dataloader(self) -> Any:
            return Stream()

        def get_batch_samples(self, epoch_iterator: Iterator[Step], num_batches: int, device: Any) -> Any:
            return [next(epoch_iterator) for _ in range(num_batches)], None

        def floating_point_ops(self, inputs: Any) -> int:
            return 0

        def training_step(self, model: Any, inputs: Step, num_items_in_batch: Any = None) -> Any:
            model.train()
            self.taken = (inputs, {"learning_rate": self._get_learning_rate()}, False)
            self.compute(inputs, model)
            return torch.zeros((), device=self.args.device)  # it is added where it is known to be finite

        def compute(self, step: Step, model: Any) -> None:
            """The gradients of the mean over a step."""
            self.figures = self.gradients.add(
                step,
                model,
                autocast=self.compute_loss_context_manager,
                unsynchronised=lambda: self.accelerator.no_sync(model=model),
            )
            if self.gradients.nothing:  # the Trainer and its scaler want gradients to look at
                for one in run.parameters:
                    one.grad = torch.zeros_like(one)
                assert self.update is not None
                self.update.skip = True
            # DistributedDataParallel has divided the sum over processes by their number
            factor = self.gradients.factor(self.figures) * run.world
            torch._foreach_mul_([one.grad for one in run.parameters if one.grad is not None], factor)

        def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
            norm = super()._get_grad_norm(model, grad_norm)
            step, facts, _ = self.taken
            while (checked := self.gradients.check(step, self.figures, torch.as_tensor(norm))) is None:
                if (scaler := self.accelerator.scaler) is not None:
                    scaler.update(scaler.get_scale())  # its scale stays, and it may unscale once more
                self.compute(step, model)
                clipped = self._clip_grad_norm(model) if self.args.max_grad_norm > 0 else None
                norm = super()._get_grad_norm(model, clipped)
            figures, interrupted = checked
            self._tr_loss += self.figures[0] / self.figures[1].clamp(min=1.0)
            self.taken = (step, {**facts, **figures}, interrupted)
            return figures["grad_norm"]

    return ExactTrainer
