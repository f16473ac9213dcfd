"""What a stopped step says."""

from __future__ import annotations

import torch

from voxcli.engines.ceiling import Size
from voxcli.errors import TrainingError
from voxcli.recipe.schema import Adapter, Quantization, Train
from voxcli.train import guard


def incident(kind: str, count: int = 2) -> guard.Incident:
    return guard.Incident(kind, 12, 0, 44, tuple(f"clip{i}" for i in range(count)))


def not_finite(cause: str, count: int = 2) -> TrainingError:
    names = [f"clip{i}" for i in range(count)]
    return guard.not_finite(12, "the loss is inf", why="it is", cause=cause, utterances=names, train=Train())


def test_a_loss_that_is_no_clips_fault_names_the_batch() -> None:
    error = not_finite("unknown")
    assert error.message == "step 12: the loss is inf; it is; the batch: clip0, clip1"
    assert error.utterances == ("clip0", "clip1")
    assert "weights were not changed" in str(error.help)


def test_the_help_follows_the_cause() -> None:
    assert "lower train.learning_rate (0.0001 now) to a tenth" in str(not_finite("learning-rate").help)
    assert 'train.mixed_precision = "bf16"' in str(not_finite("fp16-overflow").help)


def test_a_long_batch_is_cut_in_the_message_only() -> None:
    error = not_finite("unknown", count=40)
    assert error.message.endswith("clip11 and 28 more")
    assert len(error.utterances) == 40


def test_too_many_culprits_are_counted_by_cause() -> None:
    causes = {"a": "silent", "b": "ctc-infeasible", "c": "ctc-infeasible"}
    error = guard.too_many(12, "the loss is inf", "c", "no room", causes, 2)
    assert error.message == (
        "step 12: the loss is inf because of c (no room), and train.max_culprits = 2 are set aside already. "
        "By cause: 2 ctc-infeasible, 1 silent"
    )
    assert error.utterances == ("a", "b", "c")
    assert "too long for their audio" in str(error.help)


def test_out_of_memory_names_the_batch_and_the_next_try() -> None:
    error = guard.out_of_memory(
        incident("memory"), device=torch.device("cuda:0"), padded_duration=50.2, longest=25.1, ladder="try this"
    )
    expected = "step 12: out of memory on cuda:0 with a batch of 2 utterances, 50 s of padded audio, the longest 25.1 s"
    assert error.message == f"{expected}: clip0, clip1"
    assert error.help == "try this"


def test_batches_in_words() -> None:
    assert guard.batch_of(Size(4, 2.5)) == "4 utterances, 10 s of padded audio, the longest 2.5 s"
    assert guard.batch_of(Size(1, 2.5)) == "one utterance of 2.5 s"


def test_a_batch_that_took_four_parts_names_a_quarter() -> None:
    train = Train(batch_duration=100.0, gradient_accumulation_steps=2)
    said = guard.next_try(train, None, None, count=9, longest=20.0, times=4)
    assert said.startswith("train.batch_duration=25 train.gradient_accumulation_steps=8")
    assert guard.next_try(train, None, None, count=9, longest=40.0, times=4).startswith("train.batch_duration=40 ")


def test_what_leaves_the_optimizer_less_to_keep() -> None:
    assert "adamw_bnb_8bit" in guard.next_optimizer(Train(), None)
    assert "paged_adamw_8bit" in guard.next_optimizer(Train(optim="adamw_bnb_8bit"), None)
    assert "LoRA" in guard.next_optimizer(Train(optim="paged_adamw_8bit"), None)
    assert "adapter.r=4" in guard.next_optimizer(Train(optim="paged_adamw_8bit"), Adapter(r=8))


def test_the_ladder_goes_from_the_same_result_to_another_method() -> None:
    adapter, quantization = Adapter(), Quantization(load_in_8bit=True)

    def after(train: Train, *with_: object, count: int = 1) -> str:
        adapter, quantization = (*with_, None, None)[:2]
        return guard.next_try(train, adapter, quantization, count=count, longest=20.0)  # type: ignore[arg-type]

    train = Train(batch_duration=100.0, gradient_accumulation_steps=2)
    assert after(train, count=5).startswith("train.batch_duration=50 train.gradient_accumulation_steps=4")
    by_size = Train(per_device_train_batch_size=8)
    assert after(by_size, count=8).startswith("train.per_device_train_batch_size=4 train.gradient_accumulation_steps=2")
    assert "gradient_checkpointing" in after(train)
    train = Train(batch_duration=100.0, gradient_checkpointing=True)
    assert "mixed_precision" in after(train)
    train = Train(batch_duration=100.0, gradient_checkpointing=True, mixed_precision="bf16")
    assert "LoRA" in after(train)
    assert "8 bits" in after(train, adapter)
    assert "filter.max_duration=10" in after(train, adapter, quantization)
