"""A classifier trained by the settings of transformers' run_audio_classification.py, and the same by vox.

    python benchmarks/parity_classification.py shared/data/fsdd [--steps 200] [--seed 42] [--model FOLDER]

The folder holds a manifest.csv with path, label and split (the free spoken digit dataset: 2,700 and 300 clips). Both
begin from the same checkpoint: `--model`, or, since nothing small enough is downloaded, a wav2vec 2.0 of 0.4 M
parameters with random weights, written once. They see random stretches of a second, take as many steps of as many clips
at the same rates, and are scored on the test split. The order and the stretches differ: each draws them in its own way
from the seed. 200 steps take each about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from parity import Row, Settings, children, show, vox
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    Trainer,
    TrainingArguments,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    set_seed,
)

SECONDS = 1.0  # max_length_seconds, as in the script's example of keywords
SMALL = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "conv_dim": (64, 64, 64, 64, 64, 64, 64),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "mask_time_prob": 0.0,
    "layerdrop": 0.0,
}

RECIPE = """
name = "parity"
seed = {seed}

[[data]]
type = "manifest"
path = "{manifest}"
splits = {{ train = ["train"], validation = ["test"], test = ["test"] }}

[model]
type = "classifier"
checkpoint = "{model}"
crop = "random"
crop_duration = {seconds}

[train]
max_steps = {steps}
per_device_train_batch_size = {clips}
gradient_accumulation_steps = {accumulate}
learning_rate = {learning_rate}
lr_scheduler_type = "linear"
warmup_steps = {warmup}
eval_steps = {steps}
"""


def small(folder: Path, seed: int) -> Path:
    """Write the model that both begin from."""
    torch.manual_seed(seed)
    Wav2Vec2Model(Wav2Vec2Config(**SMALL)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return folder


class Clips(torch.utils.data.Dataset[dict[str, Any]]):
    """A split with the script's transform: resampled by `cast_column`, cut to a random stretch where it trains."""

    def __init__(self, manifest: Path, split: str, extractor: Any, label2id: dict[str, int]) -> None:
        with manifest.open(encoding="utf-8", newline="") as file:
            self._rows = [row for row in csv.DictReader(file) if row["split"] == split]
        self._folder, self._extractor, self._label2id = manifest.parent, extractor, label2id
        self._crops = split == "train"

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self._rows[index]
        audio, rate = soundfile.read(self._folder / row["path"], dtype="float32")
        if rate != self._extractor.sampling_rate:
            import soxr

            audio, rate = soxr.resample(audio, rate, self._extractor.sampling_rate), self._extractor.sampling_rate
        length = round(rate * SECONDS)
        if self._crops and len(audio) > length:
            offset = random.randint(0, len(audio) - length - 1)
            audio = audio[offset : offset + length]
        name = self._extractor.model_input_names[0]
        return {name: self._extractor(audio, sampling_rate=rate)[name][0], "label": self._label2id[row["label"]]}


def reference(settings: Settings, manifest: Path, folder: Path) -> Row:
    """The script: AutoModelForAudioClassification, Trainer, accuracy; the macro F1 is added here."""
    from sklearn.metrics import f1_score

    set_seed(settings.seed)
    begin = time.perf_counter()
    with manifest.open(encoding="utf-8", newline="") as file:
        labels = sorted({row["label"] for row in csv.DictReader(file) if row["split"] == "train"})
    label2id = {label: index for index, label in enumerate(labels)}
    extractor = AutoFeatureExtractor.from_pretrained(settings.model, return_attention_mask=True)
    config = AutoConfig.from_pretrained(
        settings.model,
        num_labels=len(labels),
        label2id=label2id,
        id2label=dict(enumerate(labels)),
        finetuning_task="audio-classification",
    )
    model = AutoModelForAudioClassification.from_pretrained(settings.model, config=config, dtype=torch.float32)
    train, test = (Clips(manifest, split, extractor, label2id) for split in ("train", "test"))
    ready = time.perf_counter()

    def metrics(prediction: Any) -> dict[str, float]:
        found = np.argmax(prediction.predictions, axis=1)
        right = prediction.label_ids
        return {"accuracy": float((found == right).mean()), "f1": float(f1_score(right, found, average="macro"))}

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
            remove_unused_columns=False,
            label_names=["labels"],
            seed=settings.seed,
            save_strategy="no",
            logging_steps=max(1, settings.steps // 10),
            use_cpu=True,
            disable_tqdm=True,
            report_to="none",
        ),
        train_dataset=train,
        eval_dataset=test,
        processing_class=extractor,
        compute_metrics=metrics,
    )
    trained = trainer.train()
    scores = trainer.evaluate()
    log = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    return Row(
        "run_audio_classification.py's settings",
        {"accuracy": scores["eval_accuracy"], "macro F1": scores["eval_f1"]},
        prepare=ready - begin + scores["eval_runtime"],
        train=trained.metrics["train_runtime"],
        cpu=time.process_time(),
        note=f"loss as logged: {float(log[0]):.3g} … {float(log[-1]):.3g}",
    )


def ours(settings: Settings, manifest: Path, folder: Path) -> Row:
    """The same by `vox train` and `vox evaluate`, in processes of their own."""
    begin, used = time.perf_counter(), children()
    table = {**settings.table(), "manifest": manifest.resolve(), "seconds": SECONDS}
    trained, scores = vox(RECIPE.format(**table), folder, split="test")
    return Row(
        "vox",
        {"accuracy": scores["accuracy"]["value"], "macro F1": scores["macro_f1"]["value"]},
        prepare=time.perf_counter() - begin - trained["seconds"],
        train=trained["seconds"],
        cpu=children() - used,
        note="the rest: imports, checks and scoring of two processes",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--clips", type=int, default=32, help="a step")
    parser.add_argument("--accumulate", type=int, default=1, help="batches that a step's clips come in")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = given.model or str(small(folder / "small", given.seed))
        clips = given.clips // given.accumulate
        settings = Settings(model, given.steps, clips, given.accumulate, given.learning_rate, given.seed)
        manifest = given.folder / "manifest.csv"
        found = [reference(settings, manifest, folder), ours(settings, manifest, folder)]
        show(f"Classification, {given.folder.name}, test split", settings, found)


if __name__ == "__main__":
    main()
