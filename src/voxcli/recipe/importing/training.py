"""TrainingArguments, old and new -> `[train]` and `[evaluate]`, with the defaults of transformers written out."""

from __future__ import annotations

from typing import Any

from voxcli.recipe.importing.imported import Imported


def training(to: Imported) -> None:
    """Everything about the length, the pace and the batches of a run."""
    _launch(to)
    _length(to)
    _batches(to)
    _optimizer(to)
    _precision(to)
    _evaluation(to)
    _left_out(to)


def _launch(to: Imported) -> None:
    to.tables["seed"] = to.number("seed", 42)
    if not to.flag("do_train") and not to.flag("do_eval"):
        text = "neither --do_train nor --do_eval: as printed, the command loads everything and trains nothing"
        to.note("mended", "--do_train", text)
    elif not to.flag("do_train"):
        text = "the command only evaluates: vox evaluate MODEL --data RECIPE --split validation"
        to.note("to do", "--do_eval", text)
    to.taken.update(("do_train", "do_eval", "do_predict"))
    if to.command.processes > 1:
        text = f"torchrun --nproc-per-node {to.command.processes} -m voxcli train R: batches are per device, as there"
        to.note("changed", "--nproc_per_node", text)
    if to.given("resume_from_checkpoint"):
        to.drop("resume_from_checkpoint", why="vox train R --resume goes on from the newest checkpoint, exactly")
    to.drop("overwrite_output_dir", why="a run is never overwritten: --resume, or another name")


def _length(to: Imported) -> None:
    steps = to.number("max_steps", -1)
    epochs = to.number("num_train_epochs", 3)
    if steps and steps > 0:
        to.set("train", max_steps=int(steps))
    else:
        to.set("train", num_train_epochs=float(epochs))


def _batches(to: Imported) -> None:
    size = to.number("per_device_train_batch_size", to.number("per_gpu_train_batch_size", 8))
    to.set(
        "train",
        per_device_train_batch_size=int(size),
        gradient_accumulation_steps=int(to.number("gradient_accumulation_steps", 1)),
        gradient_checkpointing=_either(to, "gradient_checkpointing", "activation_checkpointing"),
        dataloader_num_workers=int(to.number("dataloader_num_workers", 0)) or None,
    )
    if to.tables["train"]["gradient_accumulation_steps"] > 1 or to.command.processes > 1:
        text = (
            "transformers 5 multiplies the loss of audio models by the accumulation steps and by the processes, so "
            "that max_grad_norm clips far harder; here the gradient is the mean over all tokens of a step"
        )
        to.note("mended", "--gradient_accumulation_steps", text)
    to.drop(
        "group_by_length", "length_column_name", "train_sampling_strategy",
        why="batches always hold clips of about one duration, known from the headers",
    )  # fmt: skip
    to.drop("auto_find_batch_size", why="a step that does not fit is taken in halves; `vox plan R` says what fits")
    to.taken.update(("gradient_checkpointing_kwargs", "activation_checkpointing_kwargs"))


def _optimizer(to: Imported) -> None:
    to.set(
        "train",
        learning_rate=float(to.number("learning_rate", 5e-5)),
        lr_scheduler_type=to.text("lr_scheduler_type", "linear"),
        warmup_steps=float(_warmup(to)),
        weight_decay=float(to.number("weight_decay", 0.0)),
        max_grad_norm=float(to.number("max_grad_norm", 1.0)),
        label_smoothing_factor=float(to.number("label_smoothing_factor", 0.0)) or None,
    )
    for name in ("adam_beta1", "adam_beta2", "adam_epsilon"):
        if to.given(name):
            to.set("train", **{name: float(to.number(name))})
    optim = to.text("optim")
    if to.flag("adafactor"):
        optim = "adafactor"
    to.set("train", optim=optim)


def _warmup(to: Imported) -> float:
    """Steps, or a share below 1."""
    steps, share = to.number("warmup_steps"), to.number("warmup_ratio")
    if share is not None:
        to.note("mended", "--warmup_ratio", "removed from transformers 5: warmup_steps below 1 is a share")
        if steps is None:
            return float(share)
    warmup = float(steps or 0)
    most = to.tables.get("train", {}).get("max_steps")
    if most is not None and warmup >= most:
        text = f"{warmup:g} steps of {most} only warm up: the rate never reaches its peak. A tenth of the run instead"
        to.note("mended", "--warmup_steps", text)
        return 0.1
    return warmup


def _precision(to: Imported) -> None:
    fp16, bf16 = to.flag("fp16"), to.flag("bf16")
    to.set("train", mixed_precision="bf16" if bf16 else "fp16" if fp16 else None)
    if to.flag("no_cuda") or to.flag("use_cpu"):
        to.set("train", use_cpu=True)


def _evaluation(to: Imported) -> None:
    strategy = to.text("eval_strategy", to.text("evaluation_strategy"))
    if to.given("evaluation_strategy"):
        to.note("mended", "--evaluation_strategy", "removed from transformers 5: eval_strategy; here eval_steps alone")
    every = to.number("eval_steps", to.number("logging_steps") if strategy == "steps" else None)
    to.set(
        "train",
        eval_steps=_whole(every) if strategy != "epoch" else None,
        save_steps=_whole(to.number("save_steps")),
        logging_steps=_whole(to.number("logging_steps")),
        save_total_limit=_whole(to.number("save_total_limit")),
    )
    to.drop("save_strategy", "logging_strategy", why="steps, or each epoch where none are set")
    best = to.text("metric_for_best_model")
    if best is not None and "loss" not in best:
        if not to.given("greater_is_better") and best.removeprefix("eval_") in ("wer", "cer", "mer", "wil"):
            text = "without --greater_is_better False the script keeps the worst checkpoint by it as the best"
            to.note("mended", "--metric_for_best_model", text)
        to.tables.setdefault("best", best.removeprefix("eval_"))
    to.drop("load_best_model_at_end", "greater_is_better", why="the best checkpoint is always kept, as runs/NAME/best")
    to.drop("per_device_eval_batch_size", "per_gpu_eval_batch_size", why="evaluate.batch_duration: s of audio a batch")
    to.drop("eval_accumulation_steps", "batch_eval_metrics", why="no logits are kept")


def _left_out(to: Imported) -> None:
    to.drop(
        "push_to_hub", "hub_model_id", "hub_token", "hub_strategy", "hub_private_repo", "hub_always_push",
        "push_to_hub_model_id", "push_to_hub_organization", "push_to_hub_token", "hub_revision",
        why="vox export RUN --to merged --push OWNER/NAME, after the run",
    )  # fmt: skip
    to.drop(
        "report_to", "run_name", "logging_dir", "project", "trackio_space_id",
        why="log.jsonl holds every step; trackers by [backend] type = \"transformers\", arguments = { report_to = … }",
    )  # fmt: skip
    to.drop("remove_unused_columns", "label_names", why="columns are named in [[data]], and nothing else is dropped")
    to.drop("logging_nan_inf_filter", why="a loss that is not finite is never hidden: the utterance is named")


def metrics(to: Imported, names: list[str]) -> None:
    """`[evaluate] metrics`, the one that picks the best checkpoint first."""
    best: Any = to.tables.pop("best", None)
    if best in names:
        names = [best, *(name for name in names if name != best)]
    elif best is not None:
        to.note("changed", "--metric_for_best_model", f"'{best}' is no metric here: {names[0]} picks the best")
    to.set("evaluate", metrics=names)


def _either(to: Imported, *names: str) -> bool | None:
    found = [to.flag(name) for name in names]
    return True if any(found) else None


def _whole(number: float | None) -> int | None:
    """Steps; a share of the run, which transformers allows, is left to the default."""
    return int(number) if number is not None and number >= 1 else None
