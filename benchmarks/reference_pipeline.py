"""The pipeline of transformers' speech recognition examples, as one process: for benchmarks/training.py.

What run_speech_recognition_ctc.py and run_speech_recognition_seq2seq.py (transformers 5.23, examples/pytorch) do with a
CSV: `datasets` loads it, features of every clip are computed beforehand and kept in its cache, clips are filtered by
length, `Trainer` or `Seq2SeqTrainer` takes batches of random clips (or of similar ones, `--group-by-length`), pads them
to the longest, and saves the model; then it evaluates. Written anew; audio is decoded by soundfile, torchcodec absent.
Prints a line of JSON with the seconds of each part.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BEGIN = time.perf_counter()


def main() -> None:
    """Load, compute features, train, save, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("ctc", "seq2seq"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", required=True, help="CSV with path, duration and text, already normalised")
    parser.add_argument("--validation", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--clips", type=int, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=30.0)
    parser.add_argument("--language")
    parser.add_argument("--group-by-length", action="store_true")
    given = parser.parse_args()

    import datasets
    import torch
    import transformers
    from transformers import AutoProcessor, set_seed

    set_seed(given.seed)
    seconds = {"imports": time.perf_counter() - BEGIN}
    begin = time.perf_counter()
    raw = datasets.load_dataset(
        "csv", data_files={"train": given.train, "validation": given.validation}, cache_dir=given.cache
    )
    processor = AutoProcessor.from_pretrained(given.model)
    if given.kind == "ctc":
        model = transformers.AutoModelForCTC.from_pretrained(given.model, dtype=torch.float32)
    else:
        model = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(given.model, dtype=torch.float32)
        if given.language:
            processor.tokenizer.set_prefix_tokens(language=given.language, task="transcribe")
            model.generation_config.language, model.generation_config.task = given.language, "transcribe"
    name = processor.feature_extractor.model_input_names[0]

    def prepare(row: dict[str, Any]) -> dict[str, Any]:
        import soundfile

        audio, rate = soundfile.read(row["path"], dtype="float32")
        made = {name: processor.feature_extractor(audio, sampling_rate=rate)[name][0], "input_length": len(audio)}
        return made | {"labels": processor.tokenizer(row["text"] or "").input_ids}

    ready = raw.map(prepare, remove_columns=raw["train"].column_names)
    longest = given.longest * processor.feature_extractor.sampling_rate
    ready["train"] = ready["train"].filter(lambda length: length < longest, input_columns=["input_length"])
    seconds["features"] = time.perf_counter() - begin
    begin = time.perf_counter()
    keys: dict[str, Any] = {
        "output_dir": str(given.out),
        "max_steps": given.steps,
        "per_device_train_batch_size": given.clips,
        "learning_rate": given.learning_rate,
        "warmup_steps": given.steps // 10,
        "lr_scheduler_type": "linear",
        "train_sampling_strategy": "group_by_length" if given.group_by_length else "random",
        "length_column_name": "input_length",
        "remove_unused_columns": not given.group_by_length,
        "seed": given.seed,
        "save_strategy": "no",
        "eval_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
        "report_to": "none",
    }
    if given.kind == "ctc":
        arguments: Any = transformers.TrainingArguments(**keys)
        made: Any = transformers.Trainer
        collate: Any = PaddedCTC(processor, name)
    else:
        arguments = transformers.Seq2SeqTrainingArguments(**keys, predict_with_generate=True)
        made = transformers.Seq2SeqTrainer
        collate = PaddedSeq2Seq(processor, name, model.config.decoder_start_token_id)
    trainer = made(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=ready["train"],
        eval_dataset=ready["validation"],
        processing_class=processor,
    )
    trainer.train()
    seconds["training"] = time.perf_counter() - begin
    begin = time.perf_counter()
    trainer.save_model(str(given.out / "model"))
    processor.save_pretrained(given.out / "model")
    seconds["saving"] = time.perf_counter() - begin
    seconds["command"] = time.perf_counter() - BEGIN
    begin = time.perf_counter()
    trainer.evaluate()
    seconds["evaluation"] = time.perf_counter() - begin
    print(json.dumps(seconds))


@dataclass
class PaddedCTC:
    """Features and labels padded apart to the longest of the batch; padding of labels is -100."""

    processor: Any
    name: str

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = self.processor.feature_extractor.pad(
            [{self.name: row[self.name]} for row in rows], padding=True, return_tensors="pt"
        )
        batch["labels"] = _labels(self.processor, rows)
        return dict(batch)


@dataclass
class PaddedSeq2Seq:
    """Log-mels of 30 s; labels padded to the longest, without the start token."""

    processor: Any
    name: str
    start: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = self.processor.feature_extractor.pad([{self.name: row[self.name]} for row in rows], return_tensors="pt")
        labels = _labels(self.processor, rows)
        batch["labels"] = labels[:, 1:] if bool((labels[:, 0] == self.start).all()) else labels
        return dict(batch)


def _labels(processor: Any, rows: list[dict[str, Any]]) -> Any:
    padded = processor.tokenizer.pad([{"input_ids": row["labels"]} for row in rows], return_tensors="pt")
    return padded["input_ids"].masked_fill(padded["attention_mask"].ne(1), -100)


if __name__ == "__main__":
    main()
