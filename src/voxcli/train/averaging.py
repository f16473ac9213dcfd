"""`[train] average_checkpoints`: the weights of several checkpoints of a finished run -> their mean, as one model.

Averaging what a run has passed (Vaswani et al., arXiv 1706.03762, section 5.4; ESPnet averages its best ones) costs
nothing while it trains. The mean is evaluated like any checkpoint and stands in runs/NAME/averaged; `best` stands for
it where it is better, and it is logged as {"averaged": [steps], "validation_of_average": {…}}.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from voxcli.train import checkpoint, processes
from voxcli.train.folder import AVERAGED, TRAINING_STATE, RunFolder

if TYPE_CHECKING:
    from voxcli.recipe.schema import Train
    from voxcli.train.run import Run

_WEIGHTS = ("adapter_model.safetensors", "model.safetensors")
_INDEX = "model.safetensors.index.json"


def kept(folder: RunFolder, train: Train, *, higher_is_better: bool, metric: str) -> set[int]:
    """Steps of the checkpoints that will be averaged, as far as the run has come; empty where none will be."""
    count = train.average_checkpoints
    if not count:
        return set()
    there = [step for step, _ in folder.checkpoints()]
    if train.average_by == "last":
        return set(there[-count:])
    values = _values(folder, metric)
    known = [step for step in there if step in values]
    ranked = sorted(known, key=lambda step: (values[step] if not higher_is_better else -values[step], -step))
    return set(ranked[:count])


def finish(run: Run) -> None:
    """Average the checkpoints of a run that has come to its end, where it asks for that and it is not done yet."""
    train = run.recipe.train
    target = run.files.path / AVERAGED
    done = entry_of(run.files)
    if not train.average_checkpoints or not run.finished or (done is not None and done["step"] == run.state.step):
        return
    metric = (*run.metrics, "loss")[0]
    steps = sorted(kept(run.files, train, higher_is_better=run.higher_is_better, metric=metric))
    processes.wait()
    if len(steps) < 2:
        run.progress.say(f"nothing to average: {len(steps)} checkpoints")
        return
    partial = target.with_name(f".{AVERAGED}.partial")
    if run.rank == 0:
        shutil.rmtree(partial, ignore_errors=True)
        mean([run.files.checkpoint(step) for step in steps], partial)
    processes.wait()
    checkpoint.load_weights(run.bundle, partial)
    if run.average is not None:  # the averages of the run itself are not wanted any more
        run.average = None
    scores = run.evaluate()
    processes.wait()
    best, value = run.state.best_metric, scores.get(metric)
    better = value is not None and (best is None or (value > best if run.higher_is_better else value < best))
    if run.rank == 0:
        shutil.rmtree(target, ignore_errors=True)  # of the run before it was made longer
        partial.rename(target)
        run.files.append_log(
            {"step": run.state.step, "averaged": steps, "validation_of_average": scores, "best": better}
        )
        if better:
            run.files.point_best(target)
    shown = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
    said = "better than each of them" if better else "not better than the best of them, which stays the model"
    run.progress.say(f"average of steps {', '.join(map(str, steps))}: validation {shown}  ({said})")
    processes.wait()


def entry_of(folder: RunFolder) -> dict[str, Any] | None:
    """What the log says of the newest average of a run: "averaged", "validation_of_average", "best", "step"."""
    found = [entry for entry in folder.log() if "averaged" in entry]
    return found[-1] if found and (folder.path / AVERAGED).is_dir() else None


def mean(sources: list[Path], target: Path) -> None:
    """Write the folder of the newest source to `target`, with the mean of all their weights; sums are in float64."""
    shutil.copytree(sources[-1], target, ignore=shutil.ignore_patterns(TRAINING_STATE))
    for name in _files(sources[-1]):
        sums: dict[str, torch.Tensor] = {}
        for source in sources:
            for key, tensor in load_file(source / name).items():
                sums[key] = sums[key] + tensor.double() if key in sums else tensor.double()
        last = load_file(sources[-1] / name)
        made = {
            key: (sums[key] / len(sources)).to(one.dtype) if one.is_floating_point() else one
            for key, one in last.items()
        }
        save_file(made, target / name, metadata={"format": "pt"})
    checkpoint.to_disk(target)


def _files(folder: Path) -> list[str]:
    if (folder / _INDEX).is_file():
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        return sorted(set(index["weight_map"].values()))
    return [name for name in _WEIGHTS if (folder / name).is_file()]


def _values(folder: RunFolder, metric: str) -> dict[int, float]:
    """Step -> the metric of its evaluation."""
    found: dict[int, float] = {}
    for entry in folder.log():
        value: Any = entry.get("validation", {}).get(metric) if isinstance(entry.get("validation"), dict) else None
        if isinstance(value, int | float) and value == value:
            found[int(entry["step"])] = float(value)
    return found
