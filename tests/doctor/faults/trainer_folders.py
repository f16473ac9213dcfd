"""What the transformers Trainer really writes: a tiny model, a few steps, each kind of run once a process."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from voxcli.testing import Project


def trained(project: Project, kind: str) -> list[str]:
    """A Trainer's folder: "healthy", "infeasible" (labels longer than the frames), "accumulated" (4 batches a step)."""
    shutil.copytree(_trained(kind), project.path / "trained")
    return ["trained"]


@functools.cache
def _trained(kind: str) -> Path:
    import torch
    from transformers import Trainer, TrainingArguments, Wav2Vec2Config, Wav2Vec2ForCTC

    folder = Path(tempfile.mkdtemp(prefix="vox-trainer-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=12,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_kernel=(10, 8),
        conv_stride=(8, 8),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        mask_time_prob=0.0,
        ctc_loss_reduction="mean",
    )

    class Clips(torch.utils.data.Dataset[Any]):
        """Noise of 49 frames, with labels of one length."""

        def __init__(self, length: int) -> None:
            self.length = length

        def __len__(self) -> int:
            return 16

        def __getitem__(self, index: int) -> dict[str, Any]:
            label = torch.randint(1, 12, (self.length,))
            return {"input_values": torch.randn(3200), "labels": label}

    arguments = TrainingArguments(
        str(folder),
        max_steps=12,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4 if kind == "accumulated" else 1,
        logging_steps=2,
        eval_strategy="steps",
        eval_steps=4,
        save_steps=4,
        save_total_limit=2,
        use_cpu=True,
        disable_tqdm=True,
        report_to="none",
        metric_for_best_model="loss",
        load_best_model_at_end=True,
    )
    clips = Clips(60 if kind == "infeasible" else 5)
    trainer = Trainer(Wav2Vec2ForCTC(config), arguments, train_dataset=clips, eval_dataset=Clips(5))
    trainer.train()
    trainer.save_state()
    trainer.create_model_card()
    return folder
