"""A real Whisper with a LoRA over an int8 base, merged: the figures of plain transformers, and the run's own texts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from peft import PeftModel
from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

from voxcli.testing import Project

SHARED = Path(os.environ.get("VOX_SHARED", Path(__file__).parents[3] / "shared"))
MODEL = SHARED / "models/whisper-tiny.en"
PROMPTS = SHARED / "data/asterisk-en"
pytestmark = pytest.mark.skipif(
    not (MODEL / "model.safetensors").is_file() or not (PROMPTS / "manifest.csv").is_file(),
    reason=f"needs {MODEL} and {PROMPTS}",
)


def test_an_int8_lora_run_is_merged(vox_project: Callable[..., Project]) -> None:
    project = vox_project(
        {
            "mine.toml": f"""
            name = "mine"
            [[data]]
            type = "manifest"
            path = "{PROMPTS}/manifest.csv"
            [model]
            type = "whisper"
            checkpoint = "{MODEL}"
            encoder_context = "clip"
            [quantization]
            load_in_8bit = true
            [adapter]
            r = 8
            use_rslora = true
            [train]
            max_steps = 2
            learning_rate = 3e-4
            batch_duration = 8.0
            use_cpu = true
            [evaluate]
            max_utterances = 1
            max_new_tokens = 8
            """
        }
    )
    project.run("train", "mine.toml").assert_ok()
    told = project.run("export", "runs/mine", "--to", "merged", "--out", "merged", "--probe", "2").assert_ok()
    assert "trained over int8" in told.out
    merged: Any = AutoModelForSpeechSeq2Seq.from_pretrained(project.path / "merged")
    processor = AutoProcessor.from_pretrained(project.path / "merged")
    assert len(processor.tokenizer.english_spelling_normalizer) > 1000
    unmerged = PeftModel.from_pretrained(
        AutoModelForSpeechSeq2Seq.from_pretrained(MODEL, dtype=torch.float32), str(project.path / "runs/mine/best")
    ).eval()
    audio, rate = soundfile.read(PROMPTS / "audio/activated.flac", dtype="float32")
    features = processor(np.asarray(audio), sampling_rate=rate, return_tensors="pt").input_features
    tokens = processor.tokenizer("Activated.", return_tensors="pt").input_ids
    with torch.no_grad():
        found = merged(input_features=features, decoder_input_ids=tokens).logits
        wanted = unmerged(input_features=features, decoder_input_ids=tokens).logits
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()
    ids = merged.generate(features, max_new_tokens=8)
    assert "ctivated" in processor.batch_decode(ids, skip_special_tokens=True)[0]
