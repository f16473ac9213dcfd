"""A CTC fine-tune by the settings of transformers' run_speech_recognition_ctc.py, and the same by vox.

    python benchmarks/parity_ctc.py [--steps 100] [--seed 42] [--accumulate 1] [--model FOLDER] [--threads N]

Both begin from one checkpoint (by default the one that ships, 5 M parameters), hear the same English (the speech that
ships), take as many steps of as many clips at the same rates, and are scored on the same held-out utterances. The order
of the clips differs: each draws it in its own way from the seed. With `--accumulate 2` the difference shows that the
reference makes of accumulated steps: its loss is not divided by them, so that clipping bites harder. A run of 100 steps
takes each about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soundfile
import torch
from parity import Row, Settings, children, show, vox
from transformers import AutoModelForCTC, AutoProcessor, Trainer, TrainingArguments, set_seed

from voxcli.sample import MODEL, SPEECH

PUNCTUATION = dict.fromkeys(map(ord, ',?.!-;:"“”…()&'), None)

RECIPE = """
name = "parity"
seed = {seed}

[[data]]
type = "sample-speech"

[filter]
min_duration = 0.0
max_duration = 20.0

[text]
lowercase = true
remove_punctuation = true

[model]
type = "ctc"
checkpoint = "{model}"
vocabulary = "checkpoint"

[train]
max_steps = {steps}
per_device_train_batch_size = {clips}
gradient_accumulation_steps = {accumulate}
learning_rate = {learning_rate}
lr_scheduler_type = "linear"
warmup_steps = {warmup}
eval_steps = {steps}
"""


@dataclass
class Padded:
    """The script's collator: features and labels are padded apart, padding of labels is -100."""

    processor: Any

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        name = self.processor.feature_extractor.model_input_names[0]
        batch = self.processor.feature_extractor.pad(
            [{name: one[name]} for one in features], padding=True, return_tensors="pt"
        )
        labels = self.processor.tokenizer.pad(
            [{"input_ids": one["labels"]} for one in features], padding=True, return_tensors="pt"
        )
        batch["labels"] = labels["input_ids"].masked_fill(labels["attention_mask"].ne(1), -100)
        return dict(batch)


def rows(split: str) -> list[dict[str, str]]:
    import csv

    with (SPEECH / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


def said(text: str) -> str:
    """chars_to_ignore, escaped as they were meant; lower case; the space that the script appends."""
    return text.translate(PUNCTUATION).lower() + " "


def prepared(split: str, processor: Any) -> list[dict[str, Any]]:
    """Features and labels of all clips beforehand, then the filter by duration, in the script's order."""
    name = processor.feature_extractor.model_input_names[0]
    made = []
    for row in rows(split):
        audio, rate = soundfile.read(SPEECH / row["path"], dtype="float32")
        features = processor.feature_extractor(audio, sampling_rate=rate)[name][0]
        labels = processor.tokenizer(said(row["text"])).input_ids
        made.append({name: np.asarray(features), "labels": labels, "samples": len(audio)})
    return [one for one in made if 0.0 * rate < one.pop("samples") < 20.0 * rate]


def reference(settings: Settings, folder: Path) -> Row:
    """The script: AutoModelForCTC with its dropouts at 0 and masks at 0.05, Trainer, argmax, WER as the text stands."""
    set_seed(settings.seed)
    begin = time.perf_counter()
    processor = AutoProcessor.from_pretrained(settings.model)
    model = AutoModelForCTC.from_pretrained(
        settings.model,
        dtype=torch.float32,
        ctc_loss_reduction="mean",
        ctc_zero_infinity=True,
        pad_token_id=processor.tokenizer.pad_token_id,
        vocab_size=len(processor.tokenizer.get_vocab()),
    )
    train, test = prepared("train", processor), prepared("test", processor)
    ready = time.perf_counter()

    def metrics(prediction: Any) -> dict[str, float]:
        blank = processor.tokenizer.pad_token_id  # the padding between batches of another length is -100
        labels = np.where(prediction.label_ids == -100, blank, prediction.label_ids)
        texts = processor.tokenizer.batch_decode(
            np.where(prediction.predictions == -100, blank, prediction.predictions)
        )
        references = processor.tokenizer.batch_decode(labels, group_tokens=False)
        return {"wer": jiwer.wer(references, texts), "cer": jiwer.cer(references, texts)}

    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder / "trainer"),
            max_steps=settings.steps,
            per_device_train_batch_size=settings.clips,
            per_device_eval_batch_size=settings.clips,
            gradient_accumulation_steps=settings.accumulate,
            learning_rate=settings.learning_rate,
            warmup_steps=settings.warmup,
            lr_scheduler_type="linear",
            train_sampling_strategy="group_by_length",
            seed=settings.seed,
            save_strategy="no",
            logging_steps=max(1, settings.steps // 10),
            use_cpu=True,
            disable_tqdm=True,
            report_to="none",
        ),
        data_collator=Padded(processor),
        train_dataset=train,  # type: ignore[arg-type]
        eval_dataset=test,  # type: ignore[arg-type]
        processing_class=processor,
        compute_metrics=metrics,
        preprocess_logits_for_metrics=lambda logits, _labels: logits.argmax(dim=-1),
    )
    trained = trainer.train()
    scores = trainer.evaluate()
    log = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    return Row(
        "run_speech_recognition_ctc.py's settings",
        {"WER": scores["eval_wer"], "CER": scores["eval_cer"]},
        prepare=ready - begin,
        train=trained.metrics["train_runtime"],
        cpu=time.process_time(),
        note=f"loss as logged: {log[0]:.3g} … {log[-1]:.3g}",
    )


def ours(settings: Settings, folder: Path) -> Row:
    """The same by `vox train` and `vox evaluate`, in processes of their own."""
    begin, used = time.perf_counter(), children()
    trained, scores = vox(RECIPE.format(**settings.table()), folder, split="test")
    raw = scores["raw"]
    return Row(
        "vox",
        {"WER": raw["wer"]["rate"], "CER": raw["cer"]["rate"]},
        prepare=time.perf_counter() - begin - trained["seconds"],
        train=trained["seconds"],
        cpu=children() - used,
        note="prepare: imports, checks, evaluation, all of two processes",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--clips", type=int, default=16, help="a step and accumulated batch")
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    settings = Settings(
        given.model, given.steps, given.clips // given.accumulate, given.accumulate, given.learning_rate, given.seed
    )
    with tempfile.TemporaryDirectory() as folder:
        show(
            "CTC, English, 40 held-out utterances",
            settings,
            [reference(settings, Path(folder)), ours(settings, Path(folder))],
        )


if __name__ == "__main__":
    main()
