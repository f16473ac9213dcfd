"""Length, warm-up, pauses, and every scheduler of transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from voxcli.errors import RecipeError
from voxcli.recipe.schema import Train
from voxcli.train import packing, schedule
from voxcli.train.run import Moving


def of(batches: int = 10, world: int = 1, **keys: object) -> schedule.Length:
    return schedule.length(Train(**keys), batches_per_epoch=batches, world=world)  # type: ignore[arg-type]


def test_epochs_are_counted_in_whole_steps_with_the_rest_of_the_epoch() -> None:
    assert of(num_train_epochs=3.0).total_steps == 30
    assert of(num_train_epochs=2.0, gradient_accumulation_steps=4).total_steps == 6  # 4 + 4 + 2 batches, twice
    assert of(num_train_epochs=1.0, world=2, gradient_accumulation_steps=2).steps_per_epoch == 3
    assert of(num_train_epochs=0.5).total_steps == 5
    assert of(max_steps=7, num_train_epochs=3.0).total_steps == 7


def test_warm_up_is_a_count_or_a_share() -> None:
    assert of(max_steps=1000, warmup_steps=0.1).warmup_steps == 100
    assert of(max_steps=1000, warmup_steps=50).warmup_steps == 50
    assert of(max_steps=1000, warmup_steps=0.0).warmup_steps == 0


def test_at_most_ten_evaluations_and_one_at_the_end() -> None:
    few = of(batches=100, num_train_epochs=3.0)
    assert [step for step in range(301) if few.evaluates_at(step)] == [100, 200, 300]
    many = of(batches=2, num_train_epochs=50.0)
    assert sum(many.evaluates_at(step) for step in range(101)) == 10
    uneven = of(max_steps=25, eval_steps=10)
    assert [step for step in range(26) if uneven.evaluates_at(step)] == [10, 20, 25]
    assert [step for step in range(26) if of(max_steps=25, eval_steps=10, save_steps=20).saves_at(step)] == [20, 25]


@pytest.mark.parametrize(
    ("epochs", "utterances", "validation", "evaluations", "sample"),
    [
        (3.0, 100_000, 500, 3, 500),  # after each epoch
        (3.0, 2_000, 500, 3, 200),  # as many as allow three evaluations
        (8.0, 2_000, 500, 4, 400),  # ... four
        (1.0, 400, 40, 1, 40),  # a tenth of so little is not worth an evaluation of its own
        (100.0, 400, 40, 10, 40),
        (0.5, 1_000_000, 100_000, 1, 500),
    ],
)
def test_evaluations_cost_a_tenth_of_the_training(
    epochs: float, utterances: int, validation: int, evaluations: int, sample: int
) -> None:
    """An evaluated utterance costs what a trained one does."""
    made = schedule.length(
        Train(num_train_epochs=epochs),
        batches_per_epoch=100,
        world=1,
        utterances=utterances,
        validation=validation,
        most=500,
    )
    steps = [step for step in range(1, made.total_steps + 1) if made.evaluates_at(step)]
    assert len(steps) == evaluations
    assert made.sample is not None
    assert min(made.sample, validation) == sample
    assert len(steps) * sample <= 0.1 * epochs * utterances or len(steps) == 1


def test_who_says_when_is_asked_for_no_more_than_he_says() -> None:
    made = schedule.length(
        Train(max_steps=100, eval_steps=10), batches_per_epoch=10, world=1, utterances=80, validation=900, most=500
    )
    assert (made.eval_steps, made.sample) == (10, 500)


def test_a_run_without_a_length_is_refused() -> None:
    with pytest.raises(RecipeError, match="length of the run is not set"):
        of()


NAMES = [
    ("linear", {}),
    ("cosine", {}),
    ("cosine_with_restarts", {"num_cycles": 2}),
    ("polynomial", {"power": 2.0}),
    ("constant", {}),
    ("constant_with_warmup", {}),
    ("inverse_sqrt", {}),
    ("reduce_lr_on_plateau", {"patience": 1}),
    ("cosine_with_min_lr", {"min_lr": 1e-5}),
    ("cosine_warmup_with_min_lr", {"min_lr": 1e-5}),
    ("warmup_stable_decay", {"num_decay_steps": 4}),
    ("greedy", {}),
]


@pytest.mark.parametrize(("name", "keys"), NAMES, ids=[name for name, _ in NAMES])
def test_every_scheduler_of_transformers_continues_from_the_disk(tmp_path: Path, name: str, keys: dict) -> None:
    train = Train(max_steps=12, learning_rate=0.1, warmup_steps=3, lr_scheduler_type=name, lr_scheduler_kwargs=keys)
    length = schedule.length(train, batches_per_epoch=12, world=1)

    def make() -> tuple[torch.optim.Optimizer, object]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=train.learning_rate)
        return optimizer, schedule.build(optimizer, train, length, higher_is_better=False)

    def run(optimizer: torch.optim.Optimizer, scheduler: object, steps: range) -> list[float]:
        rates = []
        for step in steps:
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.after_step(scheduler)
            schedule.after_evaluation(scheduler, 1.0 + step)  # ever worse
        return rates

    whole = run(*make(), range(12))
    optimizer, scheduler = make()
    first = run(optimizer, scheduler, range(5))
    packing.write({"o": optimizer.state_dict(), "s": scheduler.state_dict()}, tmp_path / "t")  # type: ignore[attr-defined]
    optimizer, scheduler = make()
    found = packing.read(tmp_path / "t")
    optimizer.load_state_dict(found["o"])
    scheduler.load_state_dict(found["s"])  # type: ignore[attr-defined]
    assert first + run(optimizer, scheduler, range(5, 12)) == whole
    if name == "reduce_lr_on_plateau":
        assert whole[-1] < whole[0], "it follows the metric"


def test_a_finished_run_that_is_made_longer_goes_on_at_the_longer_schedules_rate() -> None:
    def rates(total: int, steps: range, state: dict | None = None) -> tuple[list[float], dict]:
        train = Train(max_steps=total, learning_rate=0.1, warmup_steps=0, lr_scheduler_type="linear")
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=train.learning_rate)
        length = schedule.length(train, batches_per_epoch=12, world=1)
        moving = Moving(optimizer, schedule.build(optimizer, train, length, higher_is_better=False))
        if state is not None:
            moving.restore(state)
        seen = []
        for _ in steps:
            seen.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.after_step(moving.scheduler)
        return seen, moving.capture()

    whole, _ = rates(20, range(20))
    _, end_of_ten = rates(10, range(10))
    longer, _ = rates(20, range(10, 20), end_of_ten)
    assert longer == whole[10:]


def test_every_name_of_transformers_is_tried_above() -> None:
    from transformers.trainer_utils import SchedulerType

    assert {str(member.value) for member in SchedulerType} == {name for name, _ in NAMES} == set(schedule.NAMES)


@pytest.mark.parametrize("name", ["linear", "cosine", "constant_with_warmup"])
@pytest.mark.parametrize("warmup", [0, 3])
def test_the_usual_schedulers_have_the_rates_of_transformers(name: str, warmup: int) -> None:
    from transformers.optimization import get_scheduler

    def rates(make: Any) -> list[float]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
        scheduler, found = make(optimizer), []
        for _ in range(12):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return found

    train, length = Train(lr_scheduler_type=name), schedule.Length(10, 5, warmup, 5, 5)
    ours = rates(lambda optimizer: schedule.build(optimizer, train, length, higher_is_better=False))
    theirs = rates(lambda optimizer: get_scheduler(name, optimizer, warmup, 10))
    assert ours == pytest.approx(theirs)


def test_a_usual_run_does_without_peft_and_bitsandbytes() -> None:
    """Their import costs half of what importing transformers does."""
    code = """
import sys, torch
from voxcli.recipe.schema import Train
from voxcli.train import optimizer, schedule
train = Train(batch_duration=10.0, max_steps=3)
optimizer.check(train)
made = optimizer.build(torch.nn.Linear(2, 2), train, torch.device("cpu"))
schedule.build(made, train, schedule.length(train, batches_per_epoch=3, world=1), higher_is_better=False)
print(sorted({"peft", "bitsandbytes", "transformers.trainer"} & set(sys.modules)))
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[]"


def test_an_unknown_scheduler_is_named() -> None:
    with pytest.raises(RecipeError, match="no scheduler is called 'cosin'") as caught:
        schedule.check("cosin")
    assert "cosine_with_min_lr" in str(caught.value.help)


def test_arguments_that_do_not_fit_are_named() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    train = Train(max_steps=10, lr_scheduler_type="cosine", lr_scheduler_kwargs={"cycles": 3})
    with pytest.raises(RecipeError, match=r"lr_scheduler_kwargs do not fit the scheduler 'cosine': .*cycles"):
        schedule.build(optimizer, train, of(max_steps=10), higher_is_better=False)
