"""Checks of runs near their thresholds, and what they only note."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_folders import evaluated, falling, logs
from simulated import findings, healthy

from voxcli.doctor.context import Context
from voxcli.doctor.run.record import Record
from voxcli.doctor.run.run_log import LOSS, NORM, Evaluation
from voxcli.doctor.subject import Subject


def record(n: int = 1000, **more: Any) -> Record:
    """A healthy run of n steps without evaluations."""
    made = healthy(np.random.default_rng(3), least=n, most=n + 1)
    made.evaluations = []
    made.tables["model"] = {"type": "whisper"}
    for name in ("contrastive_loss", "codevector_perplexity"):
        made.figures.pop(name, None)
    made.figures["loss"] = falling(len(made.steps))
    for name, value in more.items():
        setattr(made, name, value)
    return made


def told(made: Record, code: str) -> list[tuple[str, str]]:
    """(level, message) of one check."""
    return [(level, message) for one, level, message in findings(made) if one == code]


def by_trainer(entries: list[dict[str, Any]], **more: Any) -> Record:
    """The same as a Trainer's log."""
    figures = {key: np.array([entry.get(key, np.nan) for entry in entries]) for key in entries[0] if key != "step"}
    steps = np.array([entry["step"] for entry in entries])
    return record(steps=steps, figures=figures, marks=np.zeros(len(steps), np.int8), trainer=True, **more)


def test_a_long_run_without_evaluation_is_noted() -> None:
    assert told(record(1000), "T118") == [
        ("note", "1000 steps without an evaluation: nothing says how good the model is")
    ]
    assert not told(record(499), "T118")


def test_memory_that_was_not_foreseen_is_noted() -> None:
    made = record()
    predicted = {"needed": 2**32}
    made.memory = [{"step": 9, "memory": {"measured": {"process": int(1.6 * 2**32)}, "predicted": predicted}}]
    assert told(made, "T119") == [("note", "the run took 6.40 GiB, and 4.00 GiB were predicted")]
    made.memory = [{"step": 9, "memory": {"measured": {"process": int(1.4 * 2**32)}, "predicted": predicted}}]
    assert not told(made, "T119")
    made.memory = [{"step": 9, "memory": {"measured": {"process": 2**29}, "predicted": {"needed": 2**30}}}]
    assert not told(made, "T119")
    made.memory = [{"step": 9, "memory": {"measured": {}, "predicted": {}}}]
    assert not told(made, "T119")


def test_a_run_that_crashed_and_went_on_is_noted() -> None:
    made = record()
    made.sessions = [{"step": at, "session": {"epoch": 0, "order": "a"}} for at in (0, 100, 200)]
    assert told(made, "T102") == [
        ("note", "the run crashed 2 times and went on from a checkpoint: nothing of what is in the log is lost")
    ]


def test_another_number_of_processes_is_another_order() -> None:
    made = record()
    made.sessions = [
        {"step": 0, "session": {"epoch": 0, "order": "a", "world": 2}},
        {"step": 100, "session": {"epoch": 0, "order": "b", "world": 1}},
    ]
    expected = "the run was resumed at step 100 with another order of epoch 0: 2 processes before, 1 since"
    assert told(made, "T115") == [("warning", expected)]
    made.sessions[1]["session"]["epoch"] = 1
    assert not told(made, "T115")


def test_epochs_of_another_length_are_other_batches() -> None:
    epoch = np.concatenate([np.arange(1, 41) / 10, 4 + np.arange(1, 41) / 5])
    ((level, message),) = told(by_trainer(logs(falling(80), epoch=epoch)), "T115")
    assert level == "warning"
    assert message.startswith("an epoch has 100 steps before step")
    assert not told(by_trainer(logs(falling(80))), "T115")


@pytest.mark.parametrize(("where", "level"), [([0, 1, 2], "note"), ([50], "note"), (list(range(30, 60, 3)), "warning")])
def test_single_overflows_of_float16_are_how_it_works(where: list[int], level: str) -> None:
    made = by_trainer(logs(falling(100)))
    made.marks[where] = NORM
    made.figures["grad_norm"][where] = math.inf
    assert [one for one, _ in told(made, "T103")] == [level]


def test_a_loss_that_is_no_number_is_found_in_a_log_without_incidents() -> None:
    made = record()
    made.marks[600:] = LOSS
    made.figures["loss"][600:] = math.nan
    ((level, message),) = told(made, "T103")
    assert level == "error"
    assert message.startswith("step 601: loss is nan (400 of 1000 logged steps)")


def spikes(*sets: list[str], worst: str | None = None) -> list[dict[str, Any]]:
    """Spikes with these utterances."""
    more = {"worst": [worst]} if worst else {}
    figures = {"incident": "spike", "grad_norm": 90.0, "median": 2.0}
    return [{"step": 100 * at, **figures, "utterances": names, **more} for at, names in enumerate(sets, 1)]


@pytest.mark.parametrize(
    ("incidents", "level", "named"),
    [
        (spikes(["a", "b"], ["a", "c"]), "warning", ("a",)),
        (spikes(["a", "b"]), "note", ()),
        (spikes(["a", "b"], ["c", "d"], worst="b"), "warning", ("b",)),
        (spikes(["a", "b"], worst="b"), "note", ("b",)),
        (spikes(*(["a", str(at), *"bcdefghijkl"] for at in range(2))), "note", ()),
    ],
)
def test_utterances_of_several_spikes_are_named(
    incidents: list[dict[str, Any]], level: str, named: tuple[str, ...]
) -> None:
    from voxcli.doctor.checks.run.spikes import GradientSpikes

    made = record(incidents=incidents, lock={"data": {"train": {"utterances": 100}}})
    made.figures["grad_norm"][:] = 2.0
    context = Context(Subject(("run",), "r", Path("r")))
    context._opened["record"] = made
    (finding,) = GradientSpikes().run(context)
    assert (finding.level, finding.utterances) == (level, named)


def test_a_loss_that_is_suddenly_zero_was_no_number() -> None:
    made = by_trainer(logs(np.concatenate([falling(20), np.zeros(10)])))
    made.figures.pop("grad_norm")
    ((level, message),) = told(made, "T103")
    assert level == "error"
    assert message.startswith("from step 210 on the log shows loss 0.0: the loss was not a number")


def test_a_loss_that_is_learned_by_heart_may_be_zero() -> None:
    made = by_trainer(logs(np.round(3 * np.exp(-np.arange(40) / 3), 4)))
    assert made.figures["loss"][-1] == 0.0
    assert not told(made, "T103")


def test_steps_that_lost_all_their_utterances_are_no_fault() -> None:
    made = record()
    made.marks[600:650] = 1
    made.figures["loss"][600:650] = math.nan
    assert not told(made, "T103")


@pytest.mark.parametrize("wers", [[0.3, 0.31, 0.3, 0.31, 0.3], [0.5, 0.3, 0.4], [1.0, 1.05, 1.1, 1.2, 1.3], [0.3] * 9])
def test_scores_that_stay_where_they_are_are_no_over_fitting(wers: list[float]) -> None:
    made = record()
    made.evaluations = [Evaluation(200 * at, {"wer": wer, "loss": 1 + 0.02 * at}) for at, wer in enumerate(wers, 1)]
    assert not told(made, "T110")


def test_a_validation_loss_that_rises_alone_is_no_over_fitting() -> None:
    made = record()
    made.evaluations = [Evaluation(100 * at, {"wer": 0.5 - 0.02 * at, "loss": 1 + 0.1 * at}) for at in range(1, 11)]
    assert not told(made, "T110")


def test_a_loss_that_doubles_without_any_gain_is_over_fitting() -> None:
    made = record()
    made.evaluations = [Evaluation(100 * at, {"wer": 0.3, "loss": 1 + 0.1 * at}) for at in range(1, 11)]
    ((level, message),) = told(made, "T110")
    assert level == "warning"
    assert message.startswith("loss of the validation was best at step 100 (1.1) and is 2 at step 1000")


def test_accuracy_may_over_fit_as_well() -> None:
    made = record()
    made.tables["evaluate"] = {"metrics": ["accuracy"]}
    made.evaluations = [Evaluation(100 * at, {"accuracy": 0.9 - 0.03 * abs(at - 3)}) for at in range(1, 11)]
    ((level, message),) = told(made, "T110")
    assert level == "warning"
    assert message.startswith("accuracy of the validation was best at step 300 (90.0%) and is 69.0% at step 1000")


@pytest.mark.parametrize("ratio", [0.9, 1.3, 1.6])
def test_a_training_loss_above_the_validation_loss_is_usual(ratio: float) -> None:
    made = by_trainer(logs(ratio * falling(100, noise=0.03)))
    made.evaluations = [
        Evaluation(at, {"loss": float(falling(100, noise=0)[at // 10 - 1])}) for at in range(100, 1001, 100)
    ]
    assert not told(made, "T109")


def test_a_gap_that_grows_is_regularisation() -> None:
    made = by_trainer(logs(falling(100, noise=0.03)))
    curve = falling(100, noise=0) / np.linspace(1, 3, 100)
    made.evaluations = [Evaluation(at, {"loss": float(curve[at // 10 - 1])}) for at in range(100, 1001, 100)]
    assert not told(made, "T109")


def test_a_new_classifier_that_begins_at_a_multiple_of_chance() -> None:
    made = by_trainer(logs(np.linspace(4 * math.log(10), 2, 30)))
    made.tables.pop("model")
    made.config = {"architectures": ["ASTForAudioClassification"], "id2label": {str(at): "x" for at in range(10)}}
    assert [level for level, _ in told(made, "T109")] == ["warning"]


def test_a_rate_that_ends_long_before_the_run() -> None:
    made = record()
    made.figures["learning_rate"] = np.concatenate([np.linspace(1e-4, 0, 600), np.zeros(400)])
    assert told(made, "T116") == [
        ("warning", "the learning rate is 0 from step 600 on: 401 logged steps taught nothing")
    ]


@pytest.mark.parametrize("n", [2, 3, 5, 10, 20, 50])
def test_short_runs_say_nothing(n: int) -> None:
    rng = np.random.default_rng(n)
    made = healthy(rng, least=n, most=n + 1)
    made.figures["loss"] = rng.uniform(2, 12, n)
    made.figures["data_seconds"] = made.figures["seconds"].copy()
    made.evaluations = [Evaluation(n, {"wer": 1.0, "cer": 1.0, "loss": 9.0}, {"empty": 1.0, "blank": 1.0})]
    assert not [one for one in findings(made) if one[1] != "note"]


def test_one_pause_of_others_is_no_slower_run() -> None:
    made = record(800)
    made.figures["seconds"] = np.full(800, 0.5)
    made.figures["audio_seconds"], made.figures["padding"] = np.full(800, 16.0), np.full(800, 0.1)
    made.figures["seconds"][500:650] = 2.0
    assert not told(made, "T113")


def test_smaller_batches_are_no_slower_run() -> None:
    made = record(800)
    audio = np.concatenate([np.full(400, 16.0), np.tile([16.0, 2.0], 200)])
    made.figures["audio_seconds"], made.figures["padding"] = audio, np.full(800, 0.1)
    made.figures["seconds"] = 0.3 + 0.02 * audio
    assert not told(made, "T113")


def test_an_eval_entry_without_scores_is_nothing(tmp_path: Path) -> None:
    from voxcli.doctor.run.record import of_trainer

    entries = [*logs(falling(3)), {"step": 30, "eval_runtime": 3.0}, evaluated(30, wer=0.3)]
    (tmp_path / "trainer_state.json").write_text(__import__("json").dumps({"global_step": 30, "log_history": entries}))
    assert len(of_trainer(tmp_path).evaluations) == 1


@pytest.mark.parametrize(
    ("reason", "count", "level"),
    [
        ("its label of 60 tokens needs 62 frames, its audio has 61 (after augmentation)", 1, "note"),
        ("its label of 60 tokens needs 62 frames, its audio has 61 (after augmentation)", 60, "warning"),
        ("its label of 60 tokens needs 62 frames, its audio has 40", 1, "warning"),
        ("data/a.wav is damaged: flac decoder lost sync", 1, "warning"),
        ("its samples reach 1e+30, and audio lies within -1 and 1", 1, "warning"),
        ("does not fit the memory, even alone (25.1 s)", 1, "note"),
        ("does not fit the memory, even alone (25.1 s)", 20, "warning"),
    ],
)
def test_what_was_set_aside_weighs_by_its_reason(reason: str, count: int, level: str) -> None:
    culprits = [{"id": f"a{at}", "split": "train", "reason": reason} for at in range(count)]
    made = record(culprits=culprits, lock={"data": {"train": {"utterances": 1000}}})
    assert [one for one, _ in told(made, "T120")] == [level]
