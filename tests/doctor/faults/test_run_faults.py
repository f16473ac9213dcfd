"""Faults of runs, found in what they left on disk: of voxcli and of the transformers Trainer."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import run_folders as runs
import run_plants as plants
from planted import Fault, Healthy, assert_found, assert_healthy
from run_folders import IDS, evaluated, falling, logs, ordered, steps, validation
from run_plants import by_trainer, culprit, noisy, of
from trainer_folders import trained

from voxcli.testing import Project

CLIMBS = np.concatenate([falling(300), noisy(4.0, 200)])
SPIKES = np.where(np.isin(np.arange(400), (150, 250, 350)), 90.0, 2.0)
REPEATING = {"utterances": 40, "empty": 0.0, "blank": None, "repeating": 0.3, "at_limit": 0.2, "length_ratio": 3.4}
EMPTY = {"utterances": 40, "empty": 1.0, "blank": 1.0, "repeating": 0.0, "at_limit": None, "length_ratio": 0.0}
WHISPER = {"type": "whisper"}
LONGER = [*logs(falling(50)), *logs(falling(50), epoch=np.arange(51, 101) / 20)]
PRETRAINED = {
    "contrastive_loss": np.where(np.arange(400) < 200, 3.0, 0.001),
    "codevector_perplexity": np.where(np.arange(400) < 200, 150.0, 2.0),
}

FAULTS = [
    Fault("one-long-clip-does-not-fit", plants.long_clip, "T101", utterances=(IDS[3],)),
    Fault(
        "memory-ends-in-evaluation",
        of(
            [
                *steps(falling(40)),
                {"step": 40, "incident": "memory", "where": "evaluation", "n_utterances": 8, "padded_seconds": 96.0}
                | {"goes_on": "in halves", "said": "CUDA out of memory"},
            ]
        ),
        "T101",
    ),
    Fault("not-even-one-utterance-fits", of([*steps(falling(7)), plants.memory_error(7)], end=None), "T101", (IDS[2],)),
    Fault("ended-by-the-system", plants.without_memory, "T101"),
    Fault("killed", plants.killed, "T102"),
    Fault("log-stops", of(steps(falling(40)), sessions=False, saved=20, train={"max_steps": 400}), "T102"),
    Fault("ctc-infeasible", of(ordered(*steps(falling(40)), culprit("ctc-infeasible", "60 of 40"))), "T103", (IDS[4],)),
    Fault("trainer-that-was-ended", plants.stopped, "T102"),
    Fault("infeasible-by-the-data", plants.infeasible, "T103", utterances=(IDS[2],)),
    Fault("amplitude-by-the-data", plants.loud, "T103", utterances=(IDS[1],)),
    Fault(
        "norm-rose-before",
        of([*steps(falling(80), grad_norm=plants.RISING), plants.NAN_AT_81], end="error"),
        "T103",
        IDS[:4],
    ),
    Fault("half-precision", of([plants.NAN_AT_81], end="error", train={"mixed_precision": "fp16"}), "T103", IDS[:4]),
    Fault("infeasible-labels-of-a-trainer", partial(trained, kind="infeasible"), "T103"),
    Fault("loss-climbs", of(steps(CLIMBS)), "T104"),
    Fault("loss-of-a-trainer-climbs", by_trainer(logs(np.concatenate([falling(60), noisy(3.5, 40)]))), "T104"),
    Fault(
        "one-clip-in-all-spikes",
        of(
            ordered(
                *steps(falling(400), grad_norm=SPIKES),
                *(
                    {
                        "step": step,
                        "incident": "spike",
                        "grad_norm": 90.0,
                        "median": 2.0,
                        "utterances": [IDS[9], IDS[at]],
                    }
                    for at, step in enumerate((151, 251, 351))
                ),
            )
        ),
        "T105",
        (IDS[9],),
    ),
    Fault("plateau-of-a-ctc-head", of([*steps(noisy(2.9, 900)), validation(900, 1.02)]), "T106"),
    Fault(
        "classifier-guesses",
        by_trainer(
            [*logs(noisy(math.log(10), 60, 0.01)), evaluated(600, loss=2.31, accuracy=0.11)],
            architecture="Wav2Vec2ForSequenceClassification",
            config={"id2label": {str(index): str(index) for index in range(10)}},
        ),
        "T106",
    ),
    Fault("only-blanks", of([*steps(noisy(2.9, 900)), validation(900, 1.0, texts=EMPTY)]), "T107"),
    Fault(
        "only-blanks-of-a-trainer",
        by_trainer(ordered(*logs(noisy(2.9, 100)), *(evaluated(step, loss=2.9, wer=1.0) for step in (400, 700, 1000)))),
        "T107",
    ),
    Fault(
        "falls-silent",
        of(ordered(*steps(CLIMBS), validation(200, 0.5, 0.8), validation(400, 1.0, 4.0), validation(500, 1.0, 4.0))),
        "T107",
    ),
    Fault(
        "decoder-repeats-itself",
        of([*steps(falling(300)), validation(300, 2.6, texts=REPEATING)], model=WHISPER),
        "T108",
    ),
    Fault(
        "decoder-of-a-trainer-does-not-end",
        by_trainer(
            ordered(*logs(falling(60)), *(evaluated(step, loss=0.5, wer=240.0) for step in (200, 400, 600))),
            architecture="WhisperForConditionalGeneration",
        ),
        "T108",
    ),
    Fault("accumulation-of-a-trainer", partial(trained, kind="accumulated"), "T109"),
    Fault(
        "multiplied-by-eight",
        by_trainer(
            ordered(
                *logs(8 * falling(100, noise=0.03)),
                *(evaluated(step, loss=float(falling(100, noise=0)[step // 10 - 1])) for step in range(100, 1001, 100)),
            )
        ),
        "T109",
    ),
    Fault(
        "learned-by-heart",
        of(
            ordered(
                *steps(falling(1000)),
                *(validation(at * 100, 0.3 + 0.03 * abs(at - 3), 1 + 0.1 * at, best=at <= 3) for at in range(1, 11)),
            )
        ),
        "T110",
    ),
    Fault(
        "validation-loss-of-a-trainer-rises",
        by_trainer(
            ordered(*logs(falling(100)), *(evaluated(at * 100, loss=0.8 + 0.15 * abs(at - 3)) for at in range(1, 11)))
        ),
        "T110",
    ),
    Fault("other-beams", partial(plants.scores, wer=0.7, beams=5), "T111"),
    Fault("other-score-of-the-same-clips", partial(plants.scores, wer=0.8), "T111"),
    Fault("final-wer-of-a-trainer", plants.final_wer, "T111"),
    Fault("pre-training-collapsed", of(steps(falling(400), **PRETRAINED)), "T112"),
    Fault("became-slower", of(steps(falling(400), seconds=np.where(np.arange(400) < 150, 0.5, 1.5))), "T113"),
    Fault("waits-for-data", of(steps(falling(400), data_seconds=np.full(400, 0.3))), "T114"),
    Fault(
        "other-order-after-a-resume",
        of(ordered(*steps(falling(60)), {"step": 30, "end": "interrupted"}, runs.session(30, order="ffff"))),
        "T115",
    ),
    Fault(
        "other-batch-size-of-a-trainer",
        by_trainer([*LONGER[:50], *({**e, "step": e["step"] + 500} for e in LONGER[50:])]),
        "T115",
    ),
    Fault("rate-of-zero", of(steps(noisy(3.0, 60), learning_rate=np.zeros(60))), "T116"),
    Fault("warm-up-of-a-trainer-never-ends", by_trainer(logs(falling(60), learning_rate=np.arange(60) * 1e-7)), "T116"),
    Fault(
        "patience-during-the-plateau",
        of(
            ordered(*steps(noisy(2.9, 90)), *(validation(step, 1.0, best=step == 30) for step in (30, 60, 90))),
            end="stopped early",
            train={"max_steps": 2000, "early_stopping_patience": 2},
        ),
        "T117",
    ),
    Fault("many-set-aside", plants.many_set_aside, "T120", utterances=IDS[:5]),
    Fault("validation-infinite", of(ordered(*steps(falling(60)), validation(60, 0.9, math.inf))), "T121"),
    Fault("best-is-gone", plants.dangling, "T122"),
    Fault("weights-cut-short", plants.cut_short, "T122"),
    Fault("half-written-checkpoint", plants.half_written, "T122"),
    Fault("log-is-gone", plants.without_log, "T100"),
    Fault("checkpoint-of-a-trainer-without-weights", plants.no_weights, "T122"),
    Fault("disk-full", of([*steps(falling(20)), plants.disk_full(20)], end=None), "T123"),
    Fault(
        "best-of-a-trainer-is-the-worst",
        by_trainer(
            ordered(
                *logs(falling(60)), *(evaluated(s, wer=w, loss=w) for s, w in ((200, 0.9), (400, 0.5), (600, 0.3)))
            ),
            best_metric=0.9,
            best_model_checkpoint="trained/checkpoint-200",
            best_global_step=200,
        ),
        "T124",
    ),
    Fault(
        "evaluations-take-longer",
        of(ordered(*steps(falling(200)), *({**validation(at * 20, 0.5), "seconds": 120.0} for at in range(1, 11)))),
        "T125",
    ),
    Fault("damaged-log", plants.damaged_log, "T100"),
]


HEALTHY = [
    Healthy("a-real-run", runs.real),
    Healthy("a-real-run-resumed", plants.resumed),
    Healthy("a-real-run-evaluated-again", plants.evaluated_again),
    Healthy("a-run-that-goes-on", plants.running),
    Healthy("a-real-run-of-a-trainer", partial(trained, kind="healthy")),
    Healthy("two-steps", of(steps([3.0, 9.0]))),
    Healthy(
        "a-long-run",
        of(
            ordered(
                *steps(falling(3000, noise=0.4)),
                *(validation(at * 300, 1.05 if at == 1 else 0.6 / at**0.5, 1 + 0.01 * at) for at in range(1, 11)),
            )
        ),
    ),
    Healthy("still-silent-after-200-steps", of([*steps(noisy(2.9, 200)), validation(200, 1.0, texts=EMPTY)])),
    Healthy("had-converged-before", of([*steps(noisy(0.2, 2000, 0.3)), validation(2000, 0.1, 0.3)])),
    Healthy(
        "stopped-early",
        of(
            ordered(*steps(falling(800)), *(validation(at * 100, 0.3 + 0.02 * abs(at - 4)) for at in range(1, 9))),
            end="stopped early",
            train={"max_steps": 2000},
        ),
    ),
    Healthy("interrupted", of(steps(falling(300)), end="interrupted", train={"max_steps": 2000})),
    Healthy(
        "a-long-run-of-a-trainer",
        by_trainer(
            ordered(
                *logs(falling(200, noise=0.2)),
                *(evaluated(at * 200, loss=0.35 + 1 / at, wer=20 + 60 / at) for at in range(1, 11)),
                {"step": 2000, "train_loss": 0.7, "train_runtime": 3600.0, "epoch": 20.0},
            ),
            best_metric=26.0,
            best_model_checkpoint="trained/checkpoint-2000",
            best_global_step=2000,
        ),
    ),
    Healthy("float16-settles", by_trainer(logs(falling(50), grad_norm=[math.nan, math.inf, *[2.0] * 48]))),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_is_found(fault: Fault, vox_project: Callable[..., Project]) -> None:
    assert_found(fault, vox_project())


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda one: one.name)
def test_a_healthy_twin_is_silent(healthy: Healthy, vox_project: Callable[..., Project]) -> None:
    assert_healthy(healthy, vox_project())
