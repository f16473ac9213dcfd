"""run_wav2vec2_pretraining_no_trainer.py."""

from __future__ import annotations

import itertools
from typing import Any

from voxcli.errors import UsageError
from voxcli.recipe.importing import shared
from voxcli.recipe.importing.imported import Imported

_SIZES: dict[str, dict[str, Any]] = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}
_LARGE = {"codevector_dim": 768, "proj_codevector_dim": 768}
_LAYER_NORM = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}


def pretraining(to: Imported) -> None:
    """An encoder from audio alone, from random weights."""
    to.tables["name"] = shared.name_of(to)
    to.tables["seed"] = to.number("seed", 0)
    _data(to)
    _train(to)
    _model(to)


def _data(to: Imported) -> None:
    path = to.text("dataset_name")
    names = to.words("dataset_config_names") or []
    parts = to.words("dataset_split_names") or []
    if path is None or not parts:
        raise UsageError("the command needs --dataset_name and --dataset_split_names", help="as the script does")
    if names and len(names) != len(parts):
        text = f"{len(names)} --dataset_config_names and {len(parts)} --dataset_split_names: they go in pairs"
        raise UsageError(text, help="one split for each configuration")
    of: dict[str | None, list[str]] = {}
    for name, part in itertools.zip_longest(names, parts):
        of.setdefault(name, []).append(part)
    column = to.text("audio_column_name", "audio")
    tables = [
        {"type": "huggingface", "path": path, "name": name, "splits": {"train": found}, "audio_column": column}
        for name, found in of.items()
    ]
    to.tables["data"] = [{key: value for key, value in table.items() if value is not None} for table in tables]
    shared.scripted(to, to.tables["data"])
    to.set("holdout", validation=float(to.number("validation_split_percentage", 1)) / 100)
    to.set("filter", min_duration=float(to.number("min_duration_in_seconds", 3.0)))
    to.set("filter", max_duration=float(to.number("max_duration_in_seconds", 5.0)), too_long="crop")
    to.note("changed", "--max_duration_in_seconds", 'cut down to the middle; too_long = "chunk" learns from all of it')
    to.drop(
        "preprocessing_num_workers", "overwrite_cache", "preprocessing_only", "train_cache_file_name",
        "validation_cache_file_name", why="features are made while training",
    )  # fmt: skip
    shared.hub(to)


def _train(to: Imported) -> None:
    steps = to.number("max_train_steps")
    length = {"max_steps": int(steps)} if steps else {"num_train_epochs": float(to.number("num_train_epochs", 3))}
    to.taken.add("num_train_epochs")
    warmup = float(to.number("num_warmup_steps", 0))
    if steps and warmup >= steps:
        text = f"{warmup:g} steps of {steps} only warm up: the rate never reaches its peak. A tenth of the run instead"
        to.note("mended", "--num_warmup_steps", text)
        warmup = 0.1
    to.set(
        "train",
        **length,
        per_device_train_batch_size=int(to.number("per_device_train_batch_size", 8)),
        gradient_accumulation_steps=int(to.number("gradient_accumulation_steps", 1)),
        gradient_checkpointing=to.flag("gradient_checkpointing") or None,
        learning_rate=float(to.number("learning_rate", 5e-5)),
        lr_scheduler_type=to.text("lr_scheduler_type", "linear"),
        warmup_steps=warmup,
        weight_decay=float(to.number("weight_decay", 0.0)),
        adam_beta1=float(to.number("adam_beta1", 0.9)),
        adam_beta2=float(to.number("adam_beta2", 0.999)),
        adam_epsilon=float(to.number("adam_epsilon", 1e-8)),
        save_steps=int(to.number("saving_steps", 500)),
        logging_steps=min(int(to.number("logging_steps", 500)), 100),
    )
    if to.given("weight_decay"):
        to.note("mended", "--weight_decay", "the script never hands it to its optimizer, which takes 0.01")
    if to.tables["train"]["gradient_accumulation_steps"] > 1:
        text = "the script keeps little but the last part of an accumulated step; here all of it counts"
        to.note("mended", "--gradient_accumulation_steps", text)
    to.note("mended", "gradient norm", "the script does not clip gradients; max_grad_norm is 1.0 here, 0 leaves them")
    if to.command.processes > 1:
        text = f"torchrun --nproc-per-node {to.command.processes} -m voxcli train R: batches are per device, as there"
        to.note("changed", "--num_processes", text)
    to.drop("per_device_eval_batch_size", why="evaluate.batch_duration: s of audio a batch")
    to.drop("pad_to_multiple_of", why="batches hold clips of about one duration")
    to.drop("push_to_hub", "hub_model_id", "hub_token", why="vox export RUN --to merged --push OWNER/NAME")


def _model(to: Imported) -> None:
    name = shared.checkpoint(to)
    size = "large" if "large" in name.lower() or "xls-r" in name.lower() else "base"
    sizes = {**_SIZES[size], **(_LARGE if size == "large" else {}), **_LAYER_NORM}
    conformer = "conformer" in name.lower()
    model: dict[str, Any] = {"type": "pretraining", "architecture": "wav2vec2-conformer" if conformer else "wav2vec2"}
    model["mask_time_prob"] = float(to.number("mask_time_prob", to.number("mask_prob", 0.65)))
    model["mask_time_length"] = int(to.number("mask_time_length", to.number("mask_length", 10)))
    model["max_gumbel_temperature"] = float(to.number("max_gumbel_temperature", 2.0))
    model["min_gumbel_temperature"] = float(to.number("min_gumbel_temperature", 0.5))
    model["gumbel_temperature_decay"] = float(to.number("gumbel_temperature_decay", 0.999995))
    model["config"] = sizes
    to.tables["model"] = model
    to.drop("config_name", why="sizes stand in [model.config]")
    text = (
        f"the script takes the sizes of {name}, and no weights: {size} sizes are written out, by the name alone. "
        f'To go on from its weights: checkpoint = "{name}" in place of architecture and config'
    )
    to.note("changed", "--model_name_or_path", text)
    if not any(one in name.lower() for one in ("-v2", "lv60", "xls-r", "xlsr", "conformer")):
        text = f"{name} has no stable layer norm, and the script refuses it: sizes with layer norm are written out"
        to.note("mended", "--model_name_or_path", text)
