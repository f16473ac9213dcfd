"""Commands as they are printed in the READMEs of transformers' audio examples, and elsewhere, as recipes."""

from __future__ import annotations

import json
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxcli.errors import UsageError
from voxcli.recipe.importing.recipes import imported, lines, text
from voxcli.recipe.resolve import resolve_tables
from voxcli.testing import Project

CTC = r"""torchrun --nproc_per_node 8 run_speech_recognition_ctc.py --dataset_name="common_voice"
    --model_name_or_path="facebook/wav2vec2-large-xlsr-53" --dataset_config_name="tr" --output_dir="./wav2vec2-tr-demo"
    --preprocessing_num_workers="16" --overwrite_output_dir --num_train_epochs="15" --per_device_train_batch_size="4"
    --learning_rate="3e-4" --warmup_steps="500" --eval_strategy="steps" --text_column_name="sentence"
    --length_column_name="input_length" --save_steps="400" --eval_steps="100" --logging_steps="1" --layerdrop="0.0"
    --save_total_limit="3" --freeze_feature_encoder --gradient_checkpointing --fp16
    --chars_to_ignore , ? . ! - \; \: \" “ % ‘ ” --group_by_length --push_to_hub --do_train --do_eval"""
OLD_CTC = """python -m torch.distributed.launch --nproc_per_node 4 run_speech_recognition_ctc.py
    --dataset_name timit_asr --model_name_or_path facebook/wav2vec2-base --output_dir /runs/timit
    --evaluation_strategy steps
    --eval_steps 100
    --warmup_ratio 0.05 --per_gpu_train_batch_size 16 --no_cuda --do_train --no_freeze_feature_encoder
    --metric_for_best_model wer --tokenizer_name_or_path facebook/wav2vec2-base-960h"""
ADAPTER = """CUDA_VISIBLE_DEVICES=0 python run_speech_recognition_ctc_adapter.py
    --dataset_name mozilla-foundation/common_voice_17_0 --model_name_or_path facebook/mms-1b-all
    --dataset_config_name tr --output_dir ./wav2vec2-mms-tr --num_train_epochs 4 --per_device_train_batch_size 32
    --learning_rate 1e-3 --warmup_steps 100 --eval_strategy steps --text_column_name sentence --target_language tur
    --train_split_name train+validation --eval_split_name test --do_train --do_eval --gradient_checkpointing --fp16"""
WHISPER = """python run_speech_recognition_seq2seq.py --model_name_or_path=openai/whisper-small
    --dataset_name=mozilla-foundation/common_voice_17_0 --dataset_config_name=hi --language=hindi --task=transcribe
    --train_split_name=train+validation --eval_split_name=test --max_steps=5000 --output_dir=./whisper-small-hi
    --per_device_train_batch_size=16 --gradient_accumulation_steps=2 --per_device_eval_batch_size=16 --logging_steps=25
    --learning_rate=1e-5 --warmup_steps=500 --eval_strategy=steps --eval_steps=1000 --save_strategy=steps
    --save_steps=1000 --generation_max_length=225 --max_duration_in_seconds=30 --text_column_name=sentence
    --freeze_feature_encoder=False --gradient_checkpointing --fp16 --overwrite_output_dir --do_train --do_eval
    --predict_with_generate --use_auth_token"""
WARM = """python run_speech_recognition_seq2seq.py --dataset_name librispeech_asr --model_name_or_path ./
    --dataset_config_name clean --train_split_name train.100 --eval_split_name validation --output_dir ./out
    --learning_rate 3e-4 --do_lower_case --do_train --do_eval --predict_with_generate --generation_max_length 40"""
KEYWORDS = """python run_audio_classification.py --model_name_or_path facebook/wav2vec2-base --dataset_name superb
    --dataset_config_name ks --output_dir wav2vec2-base-ft-ks --overwrite_output_dir --remove_unused_columns False
    --do_train --do_eval --fp16 --learning_rate 3e-5 --max_length_seconds 1 --attention_mask False --warmup_ratio 0.1
    --num_train_epochs 5 --per_device_train_batch_size 32 --gradient_accumulation_steps 4
    --metric_for_best_model accuracy --load_best_model_at_end True --seed 0 --dataloader_num_workers 4"""
LANGUAGES = """python run_audio_classification.py --model_name_or_path facebook/wav2vec2-base
    --dataset_name common_language --label_column_name language --audio_column_name audio --max_length_seconds 16
    --learning_rate 3e-4 --output_dir lang --warmup_ratio 0.1"""  # as the guide prints it: it trains nothing
PRETRAINING = """accelerate launch --num_processes=2 run_wav2vec2_pretraining_no_trainer.py
    --dataset_name="librispeech_asr" --dataset_config_names clean clean --dataset_split_names validation test
    --model_name_or_path="patrickvonplaten/wav2vec2-base-v2" --output_dir="./wav2vec2-pretrained-demo"
    --max_train_steps="20000" --num_warmup_steps="32000" --gradient_accumulation_steps="8" --learning_rate="0.005"
    --weight_decay="0.01" --max_duration_in_seconds="20.0" --min_duration_in_seconds="2.0" --logging_steps="1"
    --saving_steps="10000" --per_device_train_batch_size="8" --per_device_eval_batch_size="8" --adam_beta1="0.9"
    --adam_beta2="0.98" --adam_epsilon="1e-06" --gradient_checkpointing --mask_time_prob="0.65" --mask_time_length="10"
    """
COMMANDS = {
    "ctc": CTC, "old ctc": OLD_CTC, "adapter": ADAPTER, "whisper": WHISPER, "warm start": WARM, "keywords": KEYWORDS,
    "languages": LANGUAGES, "pretraining": PRETRAINING,
}  # fmt: skip


def tables_and_notes(command: str) -> tuple[dict[str, Any], str]:
    made = imported(shlex.split(command))
    return made.tables, "\n".join(lines(made))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_text_is_a_recipe_with_what_was_found_as_comments(name: str, tmp_path: Path) -> None:
    made = imported(shlex.split(COMMANDS[name]))
    whole = text(made)
    assert tomllib.loads(whole) == made.tables
    assert all(line.split(":")[1].split()[0] in whole for line in lines(made))
    assert max(map(len, whole.splitlines()[: whole.count("\n#")])) < 125
    if made.tables["model"]["type"] != "classifier":  # whose window stands in a config that is not here
        assert resolve_tables(made.tables, missing="warning").name == made.tables["name"]


def test_ctc() -> None:
    tables, notes = tables_and_notes(CTC)
    (data,) = tables["data"]
    assert data["splits"] == {"train": ["train", "validation"], "validation": ["test"]}
    assert (data["path"], data["name"], data["text_column"]) == ("common_voice", "tr", "sentence")
    assert tables["name"] == "wav2vec2-tr-demo"
    assert tables["seed"] == 42
    assert tables["text"] == {"lowercase": True, "remove": ',?.!-;:"“%‘”'}
    assert tables["model"]["freeze_feature_encoder"] is True
    assert tables["model"]["hidden_dropout"] == 0.0
    train = tables["train"]
    assert (train["learning_rate"], train["warmup_steps"], train["num_train_epochs"]) == (3e-4, 500.0, 15.0)
    assert (train["per_device_train_batch_size"], train["mixed_precision"], train["eval_steps"]) == (4, "fp16", 100)
    assert "they become the range !-;, which deletes every digit and apostrophes too" in notes
    assert "mended: --gradient_accumulation_steps: transformers 5 multiplies the loss" in notes
    assert "torchrun --nproc-per-node 8 -m voxcli train" in notes
    assert "to do: --dataset_name: common_voice is a Python script" in notes
    assert "left out: --push_to_hub: vox export RUN --to merged --push" in notes


def test_names_that_transformers_has_removed() -> None:
    tables, notes = tables_and_notes(OLD_CTC)
    train = tables["train"]
    assert (train["warmup_steps"], train["eval_steps"], train["per_device_train_batch_size"]) == (0.05, 100, 16)
    assert train["use_cpu"] is True
    assert tables["model"]["freeze_feature_encoder"] is False
    assert tables["model"]["vocabulary"] == "checkpoint"
    for mended in ("--warmup_ratio", "--evaluation_strategy", "--metric_for_best_model"):
        assert f"mended: {mended}:" in notes
    assert "the tokenizer of facebook/wav2vec2-base-960h" in notes


def test_a_language_adapter() -> None:
    tables, _ = tables_and_notes(ADAPTER)
    assert tables["adapter"] == {"type": "attention", "language": "tur", "adapter_attn_dim": 16}
    assert "freeze_feature_encoder" not in tables["model"]


def test_whisper_and_a_warm_start() -> None:
    tables, notes = tables_and_notes(WHISPER)
    assert tables["model"] == {"type": "whisper", "checkpoint": "openai/whisper-small", "language": "hindi"}
    assert tables["evaluate"] == {"max_new_tokens": 221, "metrics": ["wer", "cer"]}
    assert (tables["train"]["max_steps"], tables["filter"]["max_duration"]) == (5000, 30.0)
    assert "freeze_feature_encoder" not in notes
    _, crashing = tables_and_notes(WHISPER.replace("--freeze_feature_encoder=False", ""))
    assert "mended: --freeze_feature_encoder: the script calls what Whisper does not have" in crashing
    warm, _ = tables_and_notes(WARM)
    assert (warm["model"]["type"], warm["model"]["freeze_feature_encoder"]) == ("encoder-decoder", True)
    assert warm["evaluate"]["max_new_tokens"] == 40
    assert warm["data"][0]["revision"] == "refs/convert/parquet"


def test_classification_and_a_printed_command_that_trains_nothing() -> None:
    tables, notes = tables_and_notes(KEYWORDS)
    assert tables["model"]["crop_duration"] == 1.0
    assert tables["evaluate"]["metrics"] == ["accuracy", "macro_f1"]
    assert (tables["train"]["warmup_steps"], tables["seed"]) == (0.1, 0)
    assert "mended: --dataset_name: superb was a Python script" in notes
    assert "--remove_unused_columns False the script" not in notes
    tables, notes = tables_and_notes(LANGUAGES)
    assert tables["data"][0]["label_column"] == "language"
    assert "mended: --do_train: neither --do_train nor --do_eval" in notes
    assert "mended: --remove_unused_columns: without --remove_unused_columns False" in notes


def test_pretraining() -> None:
    tables, notes = tables_and_notes(PRETRAINING)
    (data,) = tables["data"]
    assert data["splits"] == {"train": ["validation", "test"]}
    assert tables["holdout"] == {"validation": 0.01}
    assert tables["model"]["architecture"] == "wav2vec2"
    assert tables["model"]["config"]["do_stable_layer_norm"] is True
    assert tables["train"]["warmup_steps"] == 0.1
    assert "mended: --num_warmup_steps: 32000 steps of 20000 only warm up" in notes
    assert "mended: --gradient_accumulation_steps: the script keeps little but the last part" in notes
    refused = PRETRAINING.replace("patrickvonplaten/wav2vec2-base-v2", "facebook/wav2vec2-base")
    assert (
        "mended: --model_name_or_path: facebook/wav2vec2-base has no stable layer norm" in tables_and_notes(refused)[1]
    )


def test_files_of_a_command_and_of_arguments(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("#!/bin/sh\nexport X=1\n" + WHISPER.replace("\n", " \\\n") + "\n")
    assert imported([str(script)]).tables == imported(shlex.split(WHISPER)).tables
    arguments = {"model_name_or_path": "m", "dataset_name": "d", "predict_with_generate": True, "do_train": True}
    (tmp_path / "a.json").write_text(json.dumps({**arguments, "learning_rate": 1e-5, "language": None}))
    assert imported([str(tmp_path / "a.json")]).tables["train"]["learning_rate"] == 1e-5
    with_script = imported(["python", "run_speech_recognition_seq2seq.py", str(tmp_path / "a.json")])
    assert with_script.tables["model"]["checkpoint"] == "m"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "run_speech_recognition_ctc.py --learning_rat 1",
            r"--learning_rat \(--learning_rate\?\) is no argument of run_",
        ),
        ("run_speech_recognition_ctc.py --model_name_or_path m", "the command has no --dataset_name"),
        ("run_speech_recognition_ctc.py x --fp16", "'x' stands before any argument"),
        ("run_speech_recognition_ctc.py --model_name_or_path m --dataset_name d --max_steps a", "expected a number"),
        (
            "run_speech_recognition_ctc.py --model_name_or_path m --dataset_name d --fp16 maybe",
            "expected True or False",
        ),
        ("python run_glue.py --task_name mrpc", "run_glue.py is none of the scripts that can be imported"),
        ("--learning_rate 1", "nothing says which script this is for"),
        ("run_audio_classification.py nothere.json", "nothere.json cannot be read"),
        ("run_wav2vec2_pretraining_no_trainer.py --dataset_name d", "needs --dataset_name and --dataset_split_names"),
    ],
)
def test_what_is_no_command(command: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        imported(command.split())


def test_the_command_line(vox_project: Callable[..., Project]) -> None:
    project = vox_project()
    written = project.run("recipe", "import", "--out", "mine.toml", "--", *shlex.split(WHISPER)).assert_ok()
    assert "wrote mine.toml" in written.err
    assert "no problems" in project.run("recipe", "check", "mine.toml").assert_ok().out
    assert "exists already" in project.run("recipe", "import", "--out", "mine.toml", "--", "x.py").assert_code(2).err
    offline = project.run("recipe", "import", "--json", "--", *shlex.split(KEYWORDS)).assert_ok()
    assert json.loads(offline.out)["recipe"]["model"]["type"] == "classifier"
