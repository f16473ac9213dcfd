"""Three ways to train a task: a first look (quick), what suits most (balanced), what is worth waiting for (thorough).

A level is a preset, a checkpoint to begin with, and what it sets on top; `vox recipe new --level` writes all of it into
the recipe, where it can be read and changed. Figures without a source are those of the presets; the others are named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from voxcli.recipe.render import value_text

LevelName = Literal["quick", "balanced", "thorough"]
Line = tuple[str, object, str]
"""Key, value, comment."""
_COLUMN = 43  # characters before a comment


@dataclass(frozen=True)
class Level:
    """One way to train a task."""

    about: str
    preset: str
    checkpoint: str | None
    """None: from random weights, by keys of the model."""
    train: tuple[Line, ...]
    model: tuple[Line, ...] = ()
    augment: tuple[tuple[Line, ...], ...] = ()


_SPEED = (("type", "speed", "pitch follows, as with another voice"), ("factors", [0.9, 1.0, 1.1], ""))
_GAIN = (("type", "gain", "no microphone is as loud as another"), ("p", 0.5, ""))
_PATIENT: Line = ("early_stopping_patience", 4, "evaluations without a better score")
_SMOOTHED: Line = ("ema_decay", 0.999, "what is evaluated and saved is an average over the last steps")
_SMALL: tuple[Line, ...] = (
    ("architecture", "wav2vec2", "from random weights"),
    (
        "config",
        {
            "hidden_size": 192,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "intermediate_size": 768,
            "conv_dim": [64, 128, 128, 192],
            "conv_kernel": [20, 8, 8, 4],
            "conv_stride": [10, 4, 4, 2],
            "num_codevectors_per_group": 64,
            "codevector_dim": 128,
            "proj_codevector_dim": 128,
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
        },
        "",
    ),
)

LEVELS: dict[str, dict[LevelName, Level]] = {
    "ctc": {
        "quick": Level(
            "a thousand steps of a small encoder: whether the data can be learned at all",
            "ctc-full",
            "facebook/wav2vec2-base",
            (("max_steps", 1000, ""), ("batch_duration", 60.0, "s"), ("eval_steps", 250, "")),
        ),
        "balanced": Level(
            "the multilingual encoder of 300 M parameters, with masks and changes of speed",
            "ctc-full",
            "facebook/wav2vec2-xls-r-300m",
            (("num_train_epochs", 15, ""), _PATIENT),
            (("mask_time_prob", 0.05, "SpecAugment"), ("mask_feature_prob", 0.05, "")),
            (_SPEED,),
        ),
        "thorough": Level(
            "the encoder of 600 M parameters that was pre-trained on 143 languages, long and averaged",
            "ctc-full",
            "facebook/w2v-bert-2.0",
            (
                ("num_train_epochs", 30, ""),
                ("learning_rate", 5e-5, "more makes this encoder forget"),
                _PATIENT,
                _SMOOTHED,
            ),
            (("mask_time_prob", 0.1, "SpecAugment"), ("mask_feature_prob", 0.1, "")),
            (_SPEED, _GAIN),
        ),
    },
    "seq2seq": {
        "quick": Level(
            "five hundred steps of Whisper base: what the data change",
            "whisper-lora-int8",
            "openai/whisper-base",
            (("max_steps", 500, ""), ("eval_steps", 125, "")),
        ),
        "balanced": Level(
            "Whisper small with LoRA",
            "whisper-lora-int8",
            "openai/whisper-small",
            (("num_train_epochs", 3, ""), _PATIENT),
            (),
            (_SPEED,),
        ),
        "thorough": Level(
            "the largest Whisper with LoRA, longer, and with times so that it does not forget them",
            "whisper-lora-int8",
            "openai/whisper-large-v3",
            (("num_train_epochs", 6, ""), ("learning_rate", 5e-4, ""), _PATIENT),
            (("timestamps", 0.5, "share of the utterances that are learned with times"),),
            (_SPEED, _GAIN),
        ),
    },
    "classification": {
        "quick": Level(
            "the output layers alone, on the encoder of Whisper tiny: minutes without a GPU",
            "classifier-frozen",
            "openai/whisper-tiny",
            (("num_train_epochs", 10, ""),),
            (("encoder_context", "clip", "as long as the clip is, not 30 s"),),
        ),
        "balanced": Level(
            "every weight of a small encoder",
            "classifier-full",
            "facebook/wav2vec2-base",
            (("num_train_epochs", 10, ""), _PATIENT),
            (),
            (_GAIN,),
        ),
        "thorough": Level(
            "a large encoder, rare classes weighted, long and averaged",
            "classifier-full",
            "microsoft/wavlm-large",
            (("num_train_epochs", 20, ""), ("learning_rate", 2e-5, ""), _PATIENT, _SMOOTHED),
            (("class_weights", "balanced", "an utterance of a rare class counts more"),),
            (_SPEED, _GAIN),
        ),
    },
    "pretraining": {
        "quick": Level(
            "2.5 M parameters on a processor: whether the loss falls and the codes stay in use",
            "pretraining",
            None,
            (
                ("max_steps", 1200, ""),
                ("batch_duration", 20.0, "s"),
                ("gradient_accumulation_steps", 1, ""),
                ("learning_rate", 1e-3, ""),
                ("mixed_precision", "no", ""),
                ("gradient_checkpointing", False, ""),
            ),
            _SMALL,
        ),
        "balanced": Level(
            "the multilingual encoder goes on with your recordings",
            "pretraining",
            "facebook/wav2vec2-xls-r-300m",
            (("num_train_epochs", 10, ""), ("learning_rate", 1e-4, "what is known is not to be forgotten")),
        ),
        "thorough": Level(
            "the same, three times as long and with larger steps",
            "pretraining",
            "facebook/wav2vec2-xls-r-300m",
            (
                ("num_train_epochs", 30, ""),
                ("learning_rate", 1e-4, "what is known is not to be forgotten"),
                ("gradient_accumulation_steps", 16, "the mean is exact over all of it"),
            ),
        ),
    },
}


def with_level(text: str, task: str, name: LevelName) -> str:
    """A first recipe's text with the preset, the model and the training of a level."""
    level = LEVELS[task][name]
    text = re.sub(r"^extends = .*$", _line("extends", level.preset, f"{name}: {level.about}"), text, flags=re.M)
    text = re.sub(r"^num_train_epochs = .*$", "\n".join(_lines(level.train)), text, flags=re.M)
    own = {key for key, _, _ in level.model}
    for key in own:
        text = re.sub(rf"^(?:# )?{key} = .*\n", "", text, flags=re.M)
    if level.checkpoint is None:  # random weights, unless a checkpoint was named
        text = re.sub(r"^checkpoint = .*\n", "", text, flags=re.M)
    if level.model:
        text = re.sub(
            r"^(\[model\]\n(?:checkpoint = .*\n)?)", lambda found: found[1] + _block(level.model), text, flags=re.M
        )
    augment = "".join("[[augment]]\n" + _block(table) + "\n" for table in level.augment)
    return text.replace("[model]\n", augment + "[model]\n", 1)


def _block(lines: tuple[Line, ...]) -> str:
    return "\n".join(_lines(lines)) + "\n"


def _lines(lines: tuple[Line, ...]) -> list[str]:
    return [_line(*line) for line in lines]


def _line(key: str, value: object, comment: str) -> str:
    text = f"{key} = {value_text(value)}"
    return f"{text.ljust(_COLUMN)} # {comment}" if comment else text
