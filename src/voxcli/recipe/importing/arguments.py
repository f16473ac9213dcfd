"""The names of arguments that transformers' audio example scripts have, or had.

Inventory of the scripts at transformers 4.49 to 5.23 and of `TrainingArguments`; names that were removed in between are
still understood.
"""

from __future__ import annotations

import difflib
from pathlib import PurePath

SCRIPTS = {
    "ctc": ("CTC", "run_speech_recognition_ctc.py"),
    "adapter": ("CTC with a language adapter", "run_speech_recognition_ctc_adapter.py"),
    "seq2seq": ("sequence to sequence", "run_speech_recognition_seq2seq.py"),
    "classification": ("classification", "run_audio_classification.py"),
    "pretraining": ("pre-training", "run_wav2vec2_pretraining_no_trainer.py"),
}
"""Short name -> (in words, file)."""

_FILES = {file: script for script, (_, file) in SCRIPTS.items()} | {
    "run_speech_recognition_ctc_streaming.py": "ctc",
    "run_common_voice.py": "ctc",
    "run_asr.py": "ctc",
}

PROCESSES = ("nproc_per_node", "num_processes")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DATA = "dataset_name dataset_config_name train_split_name eval_split_name audio_column_name text_column_name"
_HUB = "cache_dir token use_auth_token trust_remote_code"
_CTC = """
    model_name_or_path tokenizer_name_or_path final_dropout mask_time_prob mask_time_length mask_feature_prob
    mask_feature_length layerdrop ctc_loss_reduction overwrite_cache preprocessing_num_workers max_train_samples
    max_eval_samples chars_to_ignore eval_metrics max_duration_in_seconds min_duration_in_seconds preprocessing_only
    unk_token pad_token word_delimiter_token
"""
OWN: dict[str, frozenset[str]] = {
    "ctc": _names(
        f"""{_DATA} {_HUB} {_CTC} freeze_feature_encoder freeze_feature_extractor attention_dropout activation_dropout
        feat_proj_dropout hidden_dropout ctc_zero_infinity add_adapter phoneme_language shuffle_buffer_size"""
    ),
    "adapter": _names(f"{_DATA} {_HUB} {_CTC} target_language adapter_attn_dim overwrite_lang_vocab"),
    "seq2seq": _names(
        f"""{_DATA} {_HUB} model_name_or_path config_name tokenizer_name feature_extractor_name model_revision
        use_fast_tokenizer freeze_feature_encoder freeze_encoder forced_decoder_ids suppress_tokens apply_spec_augment
        model_index_name text_column overwrite_cache preprocessing_num_workers max_train_samples max_eval_samples
        max_duration_in_seconds min_duration_in_seconds preprocessing_only do_lower_case language task
        predict_with_generate generation_max_length generation_num_beams sortish_sampler generation_config"""
    ),
    "classification": _names(
        f"""{_HUB} dataset_name dataset_config_name train_split_name eval_split_name audio_column_name
        label_column_name train_file eval_file max_train_samples max_eval_samples max_length_seconds model_name_or_path
        config_name model_revision feature_extractor_name freeze_feature_encoder freeze_feature_extractor attention_mask
        ignore_mismatched_sizes"""
    ),
    "pretraining": _names(
        """dataset_name dataset_config_names dataset_split_names trust_remote_code preprocessing_num_workers
        overwrite_cache preprocessing_only cache_dir validation_split_percentage logging_steps saving_steps
        audio_column_name model_name_or_path config_name train_cache_file_name validation_cache_file_name
        per_device_train_batch_size per_device_eval_batch_size learning_rate weight_decay num_train_epochs
        max_train_steps gradient_accumulation_steps gradient_checkpointing lr_scheduler_type num_warmup_steps output_dir
        seed max_gumbel_temperature min_gumbel_temperature gumbel_temperature_decay max_duration_in_seconds
        min_duration_in_seconds pad_to_multiple_of adam_beta1 adam_beta2 adam_epsilon push_to_hub hub_model_id hub_token
        mask_time_prob mask_time_length mask_prob mask_length"""
    ),
}
"""Arguments that belong to a script itself."""

TRAINING = _names(
    """
    output_dir do_train do_eval do_predict eval_strategy prediction_loss_only per_device_train_batch_size
    per_device_eval_batch_size gradient_accumulation_steps eval_accumulation_steps eval_delay torch_empty_cache_steps
    learning_rate weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm num_train_epochs max_steps
    lr_scheduler_type lr_scheduler_kwargs warmup_steps log_level log_level_replica log_on_each_node logging_strategy
    logging_first_step logging_steps logging_nan_inf_filter save_strategy save_steps save_total_limit save_on_each_node
    save_only_model restore_callback_states_from_checkpoint enable_jit_checkpoint use_cpu seed data_seed bf16 fp16
    bf16_full_eval fp16_full_eval tf32 local_rank ddp_backend debug dataloader_drop_last eval_steps
    dataloader_num_workers dataloader_prefetch_factor dataloader_multiprocessing_context dataloader_in_order run_name
    disable_tqdm remove_unused_columns label_names load_best_model_at_end metric_for_best_model greater_is_better
    ignore_data_skip fsdp fsdp_config accelerator_config parallelism_config deepspeed label_smoothing_factor optim
    optim_args length_column_name train_sampling_strategy report_to project trackio_space_id ddp_find_unused_parameters
    ddp_bucket_cap_mb ddp_broadcast_buffers ddp_timeout dataloader_pin_memory dataloader_persistent_workers
    skip_memory_metrics push_to_hub resume_from_checkpoint hub_model_id hub_strategy hub_token hub_private_repo
    hub_always_push hub_revision gradient_checkpointing gradient_checkpointing_kwargs activation_checkpointing
    activation_checkpointing_kwargs include_for_metrics auto_find_batch_size full_determinism torch_compile
    torch_compile_backend torch_compile_mode include_num_input_tokens_seen neftune_noise_alpha optim_target_modules
    batch_eval_metrics eval_on_start use_liger_kernel liger_kernel_config eval_use_gather_object
    average_tokens_across_devices use_cache
    """
)
PARTING = _names("fsdp fsdp_config deepspeed parallelism_config")
"""Those of them with which every process has a part of the model."""
REMOVED = _names(
    """
    group_by_length warmup_ratio evaluation_strategy overwrite_output_dir logging_dir save_safetensors no_cuda
    use_mps_device fp16_backend half_precision_backend fp16_opt_level include_inputs_for_metrics
    include_tokens_per_second push_to_hub_model_id push_to_hub_organization push_to_hub_token per_gpu_train_batch_size
    per_gpu_eval_batch_size tpu_num_cores tpu_metrics_debug past_index dispatch_batches split_batches jit_mode_eval
    use_ipex torchdynamo ray_scope adafactor use_legacy_prediction_loop mp_parameters xpu_backend
    fsdp_min_num_params fsdp_transformer_layer_cls_to_wrap sharded_ddp
    """
)
"""Arguments of TrainingArguments that transformers 5 refuses."""


def script_of(word: str) -> str | None:
    """The short name of a script by the path of its file."""
    return _FILES.get(PurePath(word).name)


def known(script: str) -> frozenset[str]:
    """Every argument a script has or had."""
    return OWN[script] if script == "pretraining" else OWN[script] | TRAINING | REMOVED


def close(name: str, script: str) -> str | None:
    """The argument that was perhaps meant."""
    found = difflib.get_close_matches(name, sorted(known(script)), n=1)
    return found[0] if found else None
