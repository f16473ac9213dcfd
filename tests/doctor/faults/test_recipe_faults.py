"""Faults of recipes, found in the recipe and the config of its model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from planted import TEXTS, Fault, Healthy, assert_found, assert_healthy, model, recipe

from voxcli.testing import WORDS, Project

LORA = {"type": "lora", "r": 4, "target_modules": ["q_proj", "v_proj"]}
TRAINER = {"type": "transformers"}
_DIGITS = "零一二三四五六七八九"
JAPANESE = {
    "language": "ja",
    "texts": [f"{_DIGITS[number // 10]}たす{_DIGITS[number % 10]}は" for number in range(100)],
}
_NUMBERS = ("एक", "दो", "तीन", "चार", "पाँच", "छह", "सात", "आठ", "नौ", "दस")
HINDI = {"language": "hi", "texts": [f"{_NUMBERS[number // 10]} {_NUMBERS[number % 10]}" for number in range(100)]}


def planted(kind: str = "ctc", **sections: Any) -> Callable[[Project], Sequence[str]]:
    """A recipe with these sections."""
    return lambda project: recipe(project, kind, **sections)


def whisper(**sections: Any) -> Callable[[Project], Sequence[str]]:
    return planted("whisper", **sections)


def arguments(**given: Any) -> Callable[[Project], Sequence[str]]:
    """A recipe for the Trainer with further arguments."""
    return planted(backend={**TRAINER, "arguments": given})


def changed(kind: str, file: str, change: Callable[[dict[str, Any]], Any], **sections: Any) -> Any:
    """A recipe over a checkpoint of which one JSON file is changed."""

    def plant(project: Project) -> Sequence[str]:
        given = recipe(project, kind, **sections)
        path = project.path / kind / file
        table = json.loads(path.read_text())
        change(table)
        path.write_text(json.dumps(table))
        return given

    return plant


def without_file(kind: str, file: str) -> Callable[[Project], Sequence[str]]:
    """A recipe over a checkpoint that lacks one file."""

    def plant(project: Project) -> Sequence[str]:
        given = recipe(project, kind)
        (project.path / kind / file).unlink()
        return given

    return plant


def _mel_bins(table: dict[str, Any]) -> None:
    table["feature_extractor"]["feature_size"] = 128


def _sampling_rate(table: dict[str, Any]) -> None:
    table["feature_extractor"]["sampling_rate"] = 8000


def _window(table: dict[str, Any]) -> None:
    table["feature_extractor"]["chunk_length"] = 30


def _english(table: dict[str, Any]) -> None:
    table["is_multilingual"] = False
    del table["lang_to_id"], table["task_to_id"]


def _few_languages(table: dict[str, Any]) -> None:
    table["lang_to_id"] = {token: table["lang_to_id"][token] for token in ("<|en|>", "<|de|>")}


def _only_transcribes(table: dict[str, Any]) -> None:
    del table["task_to_id"]["translate"]


def _shifted(table: dict[str, Any]) -> None:
    table["no_timestamps_token_id"] += 1


def _pre_trained(table: dict[str, Any]) -> None:
    table["architectures"] = ["Wav2Vec2ForPreTraining"]


def stream(**train: Any) -> Callable[[Project], Sequence[str]]:
    """A folder of Parquet files that `datasets` streams."""

    def plant(project: Project) -> Sequence[str]:
        import datasets
        import pyarrow as pa

        project.speech("source", n=12, texts=TEXTS, splits={"train": 12})
        rows = [line.split(",") for line in (project.path / "source/manifest.csv").read_text().splitlines()[1:]]
        features = datasets.Features(audio=datasets.Audio(sampling_rate=16000), text=datasets.Value("string"))
        audio = [{"bytes": (project.path / "source" / row[0]).read_bytes(), "path": row[0]} for row in rows]
        columns = pa.table({"audio": audio, "text": [row[2] for row in rows]}, schema=features.arrow_schema)
        info = datasets.DatasetInfo(features=features)
        table = datasets.Dataset(datasets.table.InMemoryTable(columns), info=info)
        (project.path / "rows").mkdir()
        table.to_parquet(project.path / "rows/train-00000-of-00001.parquet")
        data = [{"type": "huggingface", "path": "rows", "streaming": True}]
        return recipe(project, data=data, train={"max_steps": None, "batch_duration": 4.0, **train})

    return plant


def without_validation(**sections: Any) -> Callable[[Project], Sequence[str]]:
    return lambda project: recipe(project, speech={"splits": {"train": 100}}, **sections)


def texts(**rules: Any) -> Callable[[Project], Sequence[str]]:
    return planted(text=rules)


FAULTS = [
    # the recipe itself
    Fault("unknown-key", planted(train={"learning_rat": 1e-4}), "R005"),
    Fault("path-that-is-not-there", planted(augment=[{"type": "noise", "root": "nowhere"}]), "R017"),
    Fault("quantised-base-with-full-training", planted(quantization={"load_in_8bit": True}), "R015"),
    Fault("half-precision-with-full-precision-steps", planted(train={"frozen_dtype": "float16"}, adapter=LORA), "R018"),
    # learning rates
    Fault("whisper-at-the-rate-of-lora", whisper(train={"learning_rate": 1e-3}), "R101", fixable=True),
    Fault("whisper-diverges", whisper(train={"learning_rate": 0.5}), "R101", fixable=True),
    Fault("ctc-far-too-high", planted(train={"learning_rate": 0.05}), "R101", fixable=True),
    Fault("ctc-too-low", planted(train={"learning_rate": 1e-7}), "R101", fixable=True),
    Fault("lora-at-the-rate-of-whisper", whisper(train={"learning_rate": 1e-5}, adapter=LORA), "R101", fixable=True),
    Fault(
        "random-weights-too-low",
        planted(
            model={"checkpoint": None, "architecture": "wav2vec2", "vocabulary": "data"},
            train={"learning_rate": 1e-5},
        ),
        "R101",
        fixable=False,
    ),
    # keys without effect
    Fault("moments-for-sgd", planted(train={"optim": "sgd", "adam_beta2": 0.98}), "R102", fixable=True),
    Fault("warm-up-longer-than-the-run", planted(train={"warmup_steps": 200.0}), "R103", fixable=True),
    Fault(
        "warm-up-longer-than-the-epochs",
        planted(train={"max_steps": None, "num_train_epochs": 2, "warmup_steps": 500.0}),
        "R103",
        fixable=True,
    ),
    Fault(
        "warm-up-of-a-constant-rate",
        planted(train={"lr_scheduler_type": "constant", "warmup_steps": 10.0}),
        "R104",
        fixable=True,
    ),
    Fault(
        "keys-of-a-constant-rate",
        planted(train={"lr_scheduler_type": "constant_with_warmup", "lr_scheduler_kwargs": {"num_cycles": 2}}),
        "R104",
        fixable=True,
    ),
    Fault("no-such-optimizer", planted(train={"optim": "adamw"}), "R105", fixable=True),
    Fault("no-such-scheduler", planted(train={"lr_scheduler_type": "cosin"}), "R105", fixable=True),
    Fault(
        "scheduler-without-its-key", planted(train={"lr_scheduler_type": "warmup_stable_decay"}), "R105", fixable=True
    ),
    Fault(
        "scheduler-with-a-key-too-many", planted(train={"lr_scheduler_kwargs": {"min_lr": 1e-6}}), "R105", fixable=True
    ),
    Fault("seed-twice", arguments(seed=3), "R105", fixable=True),
    Fault(
        "no-such-scheduler-of-the-trainer",
        planted(backend=TRAINER, train={"lr_scheduler_type": "cosin"}),
        "R105",
        fixable=True,
    ),
    Fault(
        "rate-falls-when-the-model-improves",
        planted(train={"lr_scheduler_type": "reduce_lr_on_plateau", "lr_scheduler_kwargs": {"mode": "max"}}),
        "R106",
        fixable=True,
    ),
    Fault(
        "greater-error-is-better", arguments(metric_for_best_model="wer", greater_is_better=True), "R106", fixable=True
    ),
    Fault("smoothed-labels", arguments(label_smoothing_factor=0.1), "R107", fixable=True),
    Fault("half-precision-evaluation", arguments(fp16_full_eval=True), "R107", fixable=True),
    Fault("half-precision-on-the-processor", planted(train={"mixed_precision": "fp16"}), "R108", fixable=True),
    Fault("weights-in-half-precision", planted(model={"config": {"dtype": "float16"}}), "R108", fixable=True),
    Fault(
        "four-bit-keys-in-eight-bits",
        planted(
            quantization={"load_in_8bit": True, "bnb_4bit_quant_type": "fp4"},
            adapter=LORA,
            train={"learning_rate": 1e-3},
        ),
        "R135",
        fixable=True,
    ),
    # adapters
    Fault(
        "adapter-of-another-architecture", planted(adapter={**LORA, "target_modules": ["linear_q"]}), "R110", "", True
    ),
    Fault("adapter-in-no-layer", planted(adapter={**LORA, "target_modules": "decoder.*"}), "R110", fixable=True),
    Fault(
        "new-tokens-for-a-model-without-embeddings",
        planted(adapter={**LORA, "trainable_token_indices": [1, 2]}, train={"learning_rate": 1e-3}),
        "R110",
        fixable=True,
    ),
    Fault("adapter-in-a-convolution", planted(adapter={**LORA, "target_modules": ["conv"]}), "R110", fixable=True),
    Fault("layers-beyond-the-stack", planted(adapter={**LORA, "layers_to_transform": [7]}), "R110", fixable=True),
    Fault(
        "adapter-in-the-frozen-encoder",
        whisper(
            model={"freeze_encoder": True},
            adapter={**LORA, "target_modules": r"model\.encoder\..*q_proj"},
            train={"learning_rate": 1e-3},
        ),
        "R110",
        fixable=True,
    ),
    Fault(
        "new-output-layer-stays-random",
        changed(
            "ctc", "config.json", _pre_trained, model={"vocabulary": "data"}, adapter={**LORA, "modules_to_save": []}
        ),
        "R111",
        fixable=True,
    ),
    Fault(
        "frozen-type-without-anything-frozen",
        planted(train={"frozen_dtype": "bfloat16", "mixed_precision": "bf16"}),
        "R136",
        fixable=True,
    ),
    Fault("rank-of-no-layer", planted(adapter={**LORA, "rank_pattern": {"decoder.*": 8}}), "R132", fixable=True),
    Fault("one-layer-beyond", planted(adapter={**LORA, "layers_to_transform": [0, 9]}), "R132", fixable=True),
    Fault(
        "adapter-over-random-weights",
        planted(model={"checkpoint": None, "architecture": "wav2vec2", "vocabulary": "data"}, adapter=LORA),
        "R109",
    ),
    Fault("more-frozen-layers-than-there-are", planted(model={"freeze_layers": 12}), "R109", fixable=True),
    Fault(
        "reentrant-over-frozen-layers",
        planted(
            backend={
                **TRAINER,
                "arguments": {
                    "activation_checkpointing": True,
                    "activation_checkpointing_kwargs": {"use_reentrant": True},
                },
            },
            model={"freeze_layers": 1},
        ),
        "R133",
        fixable=True,
    ),
    Fault(
        "reentrant-that-is-not-read",
        arguments(gradient_checkpointing_kwargs={"use_reentrant": True}),
        "R133",
        fixable=True,
    ),
    Fault("output-layer-left-out", planted(adapter={**LORA, "modules_to_save": []}), "R019", fixable=True),
    # the model and its files
    Fault("sizes-of-another-model", planted(model={"config": {"hidden_size": 32}}), "R137", fixable=True),
    Fault("more-layers-than-were-trained", planted(model={"config": {"num_hidden_layers": 4}}), "R137", fixable=True),
    Fault("dropout-in-per-cent", planted(model={"hidden_dropout": 10.0}), "R112", fixable=True),
    Fault("masks-that-are-switched-off", whisper(model={"mask_time_prob": 0.05}), "R113", fixable=True),
    Fault("masks-of-no-share", planted(model={"mask_feature_length": 4}), "R113", fixable=True),
    Fault(
        "masks-higher-than-the-features",
        planted(model={"mask_feature_prob": 0.1, "mask_feature_length": 64}),
        "R113",
        fixable=True,
    ),
    Fault("beams-for-ctc", planted(evaluate={"num_beams": 5}), "R114", fixable=True),
    Fault("more-tokens-than-positions", whisper(evaluate={"max_new_tokens": 448}), "R114", fixable=True),
    Fault(
        "no-language-at-all", whisper(model={"language": "turkisch"}, speech={"language": "tr"}), "R115", fixable=True
    ),
    Fault(
        "language-of-a-later-checkpoint",
        changed("whisper", "generation_config.json", _few_languages, model={"language": "tr"}),
        "R115",
    ),
    Fault("language-for-english-only", changed("whisper", "generation_config.json", _english), "R115", fixable=True),
    Fault(
        "task-of-another-checkpoint",
        changed("whisper", "generation_config.json", _only_transcribes, model={"generation_task": "translate"}),
        "R115",
        fixable=True,
    ),
    Fault(
        "english-only-for-turkish",
        changed("whisper", "generation_config.json", _english, model={"language": None}, text={"language": "tr"}),
        "R115",
    ),
    Fault("mel-bins-of-large-v3", changed("whisper", "processor_config.json", _mel_bins), "R116"),
    Fault("window-of-another-checkpoint", changed("whisper", "processor_config.json", _window), "R116"),
    Fault("sampling-rate-of-the-telephone", changed("whisper", "processor_config.json", _sampling_rate), "R116"),
    Fault("tokens-of-another-checkpoint", changed("whisper", "generation_config.json", _shifted), "R116"),
    Fault("clips-beyond-the-window", whisper(filter={"max_duration": 30.0}), "R117", fixable=True),
    Fault("nothing-within-the-window", whisper(filter={"min_duration": 5.0}), "R117", fixable=True),
    Fault("checkpoint-that-is-not-there", planted(model={"checkpoint": "missing/checkpoint"}), "R120"),
    Fault("tokenizer-that-is-not-there", without_file("whisper", "tokenizer.json"), "R116"),
    Fault("feature-extractor-that-is-not-there", without_file("whisper", "processor_config.json"), "R121"),
    # evaluation, batches, length
    Fault(
        "early-stopping-without-validation",
        without_validation(train={"early_stopping_patience": 3, "eval_steps": 20}),
        "R118",
        fixable=True,
    ),
    Fault(
        "evaluation-at-every-step",
        lambda project: recipe(
            project, "whisper", speech={"splits": {"train": 24, "validation": 30}}, train={"eval_steps": 1}
        ),
        "R119",
        fixable=True,
    ),
    Fault(
        "batch-of-more-clips-than-there-are",
        planted(train={"batch_duration": None, "per_device_train_batch_size": 64}),
        "R122",
        fixable=True,
    ),
    Fault(
        "clip-longer-than-a-batch",
        lambda project: recipe(
            project, speech={"texts": [*TEXTS[:5], "a" * 60, *TEXTS[5:]]}, train={"batch_duration": 4.0}
        ),
        "R122",
        utterances=("audio/train-005.wav",),
        fixable=True,
    ),
    Fault("batch-of-an-hour", planted(train={"batch_duration": 3600.0}), "R122", fixable=True),
    Fault("window-larger-than-the-batch", whisper(train={"batch_duration": 2.0}), "R122", fixable=True),
    Fault("steps-of-many-epochs", planted(train={"gradient_accumulation_steps": 64}), "R122", fixable=True),
    Fault("stream-without-an-end", stream(num_train_epochs=2), "R123"),
    Fault("words-of-japanese", whisper(model={"language": "ja"}, speech=JAPANESE), "R124", fixable=True),
    Fault("two-lengths", planted(train={"num_train_epochs": 3}), "R130", fixable=True),
    Fault(
        "patience-of-twenty-evaluations",
        planted(train={"early_stopping_patience": 20, "eval_steps": 25}),
        "R134",
        fixable=True,
    ),
    # text, augmentation, data
    Fault("capitals-after-lower-case", texts(lowercase=True, replace={"Dr": "doctor"}), "R125", fixable=True),
    Fault("replaced-and-turned-back", texts(replace={"a": "b", "b": "a"}), "R125", fixable=True),
    Fault("pattern-for-characters", texts(remove="[^a-z ]"), "R125", fixable=True),
    Fault("range-for-characters", planted(filter={"allowed_characters": "a-z"}), "R125", fixable=True),
    Fault(
        "vowels-of-hindi",
        whisper(model={"language": "hi"}, speech=HINDI, text={"strip_marks": True}),
        "R126",
        fixable=True,
    ),
    Fault("augmentation-that-is-never-drawn", planted(augment=[{"type": "speed", "p": 0.0}]), "R127", fixable=True),
    Fault(
        "slowed-beyond-the-window",
        lambda project: recipe(
            project,
            "whisper",
            speech={"texts": [*TEXTS[:5], "a" * 34, *TEXTS[5:]]},
            augment=[{"type": "speed", "factors": [0.9, 1.0, 1.1]}],
        ),
        "R128",
        utterances=("audio/train-005.wav",),
        fixable=True,
    ),
    Fault(
        "languages-of-unnamed-utterances",
        lambda project: recipe(project, speech={"language": None}, filter={"languages": ["en"]}),
        "R131",
        fixable=True,
    ),
    Fault("share-of-a-split-that-exists", planted(holdout={"validation": 0.1}), "R131", fixable=True),
]


def _preset(name: str, kind: str, **sections: Any) -> Callable[[Project], Sequence[str]]:
    """A shipped preset over tiny models."""

    def plant(project: Project) -> Sequence[str]:
        model(project, kind)
        texts = [f"{WORDS[n % 10]} {WORDS[n // 10 % 10]} {WORDS[n // 100]}" for n in range(500)]
        project.speech("data", texts=texts, splits={"train": 360, "validation": 20, "test": 20})
        language = 'language = "en"\n' if kind == "whisper" else ""
        more = "".join(f"[{section}]\n{lines}\n" for section, lines in sections.items())
        project.write(
            {
                "r.toml": f'extends = "{name}"\nname = "preset"\n\n[[data]]\ntype = "manifest"\n'
                f'path = "data/manifest.csv"\n\n[model]\ntype = "{kind}"\ncheckpoint = "{kind}"\n{language}{more}'
            }
        )
        return ["r.toml"]

    return plant


def _shipped(name: str, **lines: str) -> Callable[[Project], Sequence[str]]:
    """A shipped recipe over data and a model that are here; `lines` go into its sections."""

    def plant(project: Project) -> Sequence[str]:
        import numpy as np
        import soundfile

        turkish = name == "whisper_tr"
        model(project, "whisper", window=30)
        words = ("bir", "iki", "üç", "dört", "beş", "altı", "yedi", "sekiz", "dokuz", "on") if turkish else WORDS
        texts = [f"{words[n % 10]} {words[n // 10 % 10]} {words[n // 100]}" for n in range(500)]
        language = "tr" if turkish else None
        project.speech("data", texts=texts, splits={"train": 60, "validation": 12, "test": 12}, language=language)
        (project.path / "noise").mkdir()
        soundfile.write(project.path / "noise/hum.wav", np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
        sections = "".join(f"[{section}]\n{more}\n" for section, more in lines.items())
        if turkish:
            sections += '[[augment]]\ntype = "noise"\nroot = "noise"\n'
        data = '[[data]]\ntype = "manifest"\npath = "data/manifest.csv"\n'
        project.write({"r.toml": f'extends = "{name}"\n{data}{sections}'})
        return ["r.toml"]

    return plant


HEALTHY = [
    Healthy("warm-up-of-a-tenth", planted(train={"warmup_steps": 10.0})),
    Healthy("whisper", whisper()),
    Healthy("whisper-with-lora", whisper(adapter=LORA, train={"learning_rate": 1e-3}, filter={"max_duration": 3.0})),
    Healthy(
        "ctc-with-lora-and-a-new-output-layer",
        changed("ctc", "config.json", _pre_trained, model={"vocabulary": "data"}, adapter=LORA),
    ),
    Healthy(
        "many-keys-with-effect",
        planted(
            model={"freeze_layers": 1, "mask_time_prob": 0.05, "mask_time_length": 2, "freeze_feature_encoder": True},
            text={"lowercase": True, "remove_punctuation": True, "keep": "'", "replace": {"&": " and "}, "remove": "%"},
            augment=[{"type": "speed"}, {"type": "gain", "gain_db": [-6.0, 3.0]}],
            train={
                "optim": "adamw_torch",
                "adam_beta2": 0.98,
                "lr_scheduler_type": "cosine_with_min_lr",
                "lr_scheduler_kwargs": {"min_lr": 1e-6},
                "early_stopping_patience": 3,
                "eval_steps": 10,
                "save_steps": 30,
            },
            evaluate={"metrics": ["cer", "wer"]},
        ),
    ),
    Healthy("the-trainer", planted(backend={**TRAINER, "report_to": [], "arguments": {"logging_first_step": True}})),
    Healthy("a-stream-with-a-length", stream(max_steps=20)),
    Healthy(
        "japanese-by-characters",
        whisper(model={"language": "ja"}, speech=JAPANESE, evaluate={"metrics": ["cer", "wer"]}),
    ),
    Healthy(
        "random-weights",
        planted(
            model={
                "checkpoint": None,
                "architecture": "parakeet_ctc",
                "vocabulary": "abcdefghijklmnopqrstuvwxyz' ",
                "config": {
                    "encoder_config": {
                        "hidden_size": 32,
                        "num_hidden_layers": 1,
                        "num_attention_heads": 2,
                        "subsampling_factor": 4,
                    }
                },
            },
            train={"learning_rate": 1e-3},
        ),
    ),
    Healthy("quickstart", lambda project: ["quickstart"]),
    Healthy("sample-model-start", _shipped("sample-model-start")),
    Healthy("sample-model", _shipped("sample-model", model='checkpoint = "sample-model"')),
    Healthy("whisper-tr", _shipped("whisper_tr", model='checkpoint = "whisper"', train="batch_duration = 60.0")),
    Healthy("preset-whisper-full", _preset("whisper-full", "whisper")),
    Healthy("preset-whisper-lora-int8", _preset("whisper-lora-int8", "whisper")),
    Healthy("preset-whisper-qlora", _preset("whisper-qlora", "whisper")),
    Healthy("preset-ctc-full", _preset("ctc-full", "ctc")),
    Healthy("preset-ctc-lora", _preset("ctc-lora", "ctc")),
    Healthy("preset-full-checkpointed", _preset("full-checkpointed", "whisper")),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    """The recipe's checks alone: what is healthy is shown to all of them below."""
    alone = dataclasses.replace(fault, plant=lambda project: [*fault.plant(project), "--only", "R"])
    assert_found(alone, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())
